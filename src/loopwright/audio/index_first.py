"""MP4 and Core Audio files with their index before their audio, as a reader needs that cannot go back.

Phones and editors write the audio first and the index, which is known last, behind it. ffmpeg reads
a file from a pipe here, so the index is moved to the front.
Knows: boxes of ISO 14496-12 (MP4, M4A, 3GP, QuickTime) and chunks of CAF (Apple 2011). Does not
know: codecs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_HOLD_BOXES = frozenset([b"moov", b"trak", b"mdia", b"minf", b"stbl"])
MAX_BOXES = 10_000
MAX_DEPTH = 8
"""Boxes in boxes; a table lies in five (moov, trak, mdia, minf, stbl)."""

CAF_HEADER_BYTES = 8
CAF_CHUNK_HEADER_BYTES = 12


@dataclass(frozen=True)
class _Box:
    """A box: its type, where it begins, where its content does, and where it ends."""

    kind: bytes
    start: int
    content: int
    end: int


def mp4_with_index_first(data: bytes) -> bytes:
    """Return the same file with its index (moov) before its audio (mdat); unchanged if it is there already."""
    boxes = list(_boxes(data, 0, len(data)))
    kinds = [box.kind for box in boxes]
    if b"moov" not in kinds or b"mdat" not in kinds or kinds.index(b"moov") < kinds.index(b"mdat"):
        return data
    index = boxes[kinds.index(b"moov")]
    moved = _shifted(data, index)
    begin = boxes[0].end if boxes[0].kind == b"ftyp" else 0
    return data[:begin] + moved + data[begin : index.start] + data[index.end :]


def caf_with_index_first(data: bytes) -> bytes:
    """Return the same file with its table of packets (pakt) and all else before its audio (data)."""
    chunks, position = [], CAF_HEADER_BYTES
    while position + CAF_CHUNK_HEADER_BYTES <= len(data):
        size = struct.unpack_from(">q", data, position + 4)[0]
        end = len(data) if size < 0 else min(len(data), position + CAF_CHUNK_HEADER_BYTES + size)
        chunks.append(data[position:end])
        position = end
    audio_last = sorted(chunks, key=lambda chunk: chunk[:4] == b"data")
    return data[:CAF_HEADER_BYTES] + b"".join(audio_last)


def _shifted(data: bytes, index: _Box) -> bytes:
    """Return the index with the places of audio that will lie later by the index's own length."""
    size = index.end - index.start
    shifted = bytearray(data[index.start : index.end])
    for table in _tables(data, index):
        number = ">I" if table.kind == b"stco" else ">Q"
        count = int.from_bytes(data[table.content + 4 : table.content + 8], "big")
        room = (table.end - table.content - 8) // struct.calcsize(number)
        for entry in range(min(count, room)):
            at = table.content + 8 + entry * struct.calcsize(number)
            place = struct.unpack_from(number, data, at)[0]
            if place < index.start:  # what lies behind the index stays where it is
                struct.pack_into(number, shifted, at - index.start, place + size)
    return bytes(shifted)


def _tables(data: bytes, parent: _Box, depth: int = MAX_DEPTH) -> Iterator[_Box]:
    """Find the tables of where audio lies (stco, co64) in a box and the boxes in it."""
    for box in _boxes(data, parent.content, parent.end):
        if box.kind in (b"stco", b"co64"):
            yield box
        elif box.kind in _HOLD_BOXES and depth:
            yield from _tables(data, box, depth - 1)


def _boxes(data: bytes, start: int, end: int) -> Iterator[_Box]:
    for _ in range(MAX_BOXES):
        if start + 8 > end:
            return
        size, kind = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8]
        content = start + 8
        if size == 1:  # the size is too large for its field and follows in 64 bits
            size, content = int.from_bytes(data[start + 8 : start + 16], "big"), start + 16
        stop = end if size == 0 else start + size
        if not content <= stop <= end:
            return
        yield _Box(kind, start, content, stop)
        start = stop
