"""MP4 and Core Audio files with their index moved before their audio.

Phones and editors write the audio first and its index, which is known last, after it. ffmpeg reads
a file from a pipe here and cannot go back, so the index must come first.
Knows: boxes of ISO 14496-12 (MP4, M4A, 3GP, QuickTime) and chunks of CAF (Apple 2011). Does not
know: codecs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

PARENT_BOXES = frozenset([b"moov", b"trak", b"mdia", b"minf", b"stbl"])
"""The boxes that a table of offsets may be in, from the outside in."""
MAX_BOXES = 10_000
MAX_DEPTH = 8
"""How deep boxes may lie in boxes; a table of offsets is in five."""

CAF_HEADER_BYTES = 8
CAF_CHUNK_HEADER_BYTES = 12


@dataclass(frozen=True)
class _Box:
    """A box: its type, and where in the file it starts, its content starts, and it ends."""

    kind: bytes
    start: int
    content: int
    end: int


def mp4_with_index_first(data: bytes) -> bytes:
    """Return an MP4 file with its index (moov) before its audio (mdat)."""
    boxes = list(_boxes(data, 0, len(data)))
    kinds = [box.kind for box in boxes]
    if b"moov" not in kinds or b"mdat" not in kinds or kinds.index(b"moov") < kinds.index(b"mdat"):
        return data
    index = boxes[kinds.index(b"moov")]
    target = boxes[0].end if boxes[0].kind == b"ftyp" else 0
    moved = _with_offsets_moved(data, index)
    return data[:target] + moved + data[target : index.start] + data[index.end :]


def caf_with_index_first(data: bytes) -> bytes:
    """Return a CAF file with its table of packets (pakt) and all else before its audio (data)."""
    chunks, position = [], CAF_HEADER_BYTES
    while position + CAF_CHUNK_HEADER_BYTES <= len(data):
        size = struct.unpack_from(">q", data, position + 4)[0]
        end = len(data)
        if size >= 0:  # a negative size means: to the end of the file
            end = min(end, position + CAF_CHUNK_HEADER_BYTES + size)
        chunks.append(data[position:end])
        position = end
    chunks.sort(key=lambda chunk: chunk.startswith(b"data"))
    return data[:CAF_HEADER_BYTES] + b"".join(chunks)


def _with_offsets_moved(data: bytes, index: _Box) -> bytes:
    """Return an index for a file in which the index comes before the audio.

    Its tables say where in the file the audio is, which will be later by the index's own length.
    """
    size = index.end - index.start
    moved = bytearray(data[index.start : index.end])
    for table in _offset_tables(data, index):
        entry_format = ">I" if table.kind == b"stco" else ">Q"
        entry_bytes = struct.calcsize(entry_format)
        count = int.from_bytes(data[table.content + 4 : table.content + 8], "big")
        first = table.content + 8
        room = (table.end - first) // entry_bytes
        for at in range(first, first + min(count, room) * entry_bytes, entry_bytes):
            offset = struct.unpack_from(entry_format, data, at)[0]
            if offset < index.start:  # audio after the index stays where it is
                struct.pack_into(entry_format, moved, at - index.start, offset + size)
    return bytes(moved)


def _offset_tables(data: bytes, parent: _Box, depth: int = MAX_DEPTH) -> Iterator[_Box]:
    """Find the tables of offsets (stco of 32 bits, co64 of 64) in a box and the boxes in it."""
    for box in _boxes(data, parent.content, parent.end):
        if box.kind in (b"stco", b"co64"):
            yield box
        elif box.kind in PARENT_BOXES and depth:
            yield from _offset_tables(data, box, depth - 1)


def _boxes(data: bytes, start: int, end: int) -> Iterator[_Box]:
    """Find the boxes that follow one another in a part of a file, until one is damaged."""
    for _ in range(MAX_BOXES):
        if start + 8 > end:
            return
        size = int.from_bytes(data[start : start + 4], "big")
        kind = data[start + 4 : start + 8]
        content = start + 8
        if size == 1:  # too large for its field: the size follows in 64 bits
            size = int.from_bytes(data[start + 8 : start + 16], "big")
            content = start + 16
        stop = end if size == 0 else start + size
        if not content <= stop <= end:
            return
        yield _Box(kind, start, content, stop)
        start = stop
