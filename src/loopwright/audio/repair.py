"""WAV, AIFF, FLAC and Ogg files whose headers say how long they are, put right.

Programs that write to a pipe cannot go back to fill in a length, and recorders that are ended do
not get to it: they leave 0, 0xFFFFFFFF and other placeholders; others count their headers as audio
or leave out a byte of padding. So the chunks are walked here, the audio is taken to its real end,
and the file is built anew from what a decoder needs.

Knows: RIFF and RF64 (EBU Tech 3306), AIFF and AIFF-C (Apple 1989, 1991), FLAC's first block
(RFC 9639). Does not know: samples.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from loopwright.audio import ogg_pages
from loopwright.audio.chunks import ByteOrder
from loopwright.audio.chunks import chunk as chunk_of
from loopwright.audio.promises import check_promise
from loopwright.errors import NotAudio

PLACEHOLDER = 0x7F000000
"""No file that is taken is this large: a size from here on means "not known" (2 GB and about)."""
DS64_DATA_SIZE_AT = 8
MAX_CHUNKS = 10_000
ANOTHER_FILE = "is not the only one sent: another file begins behind it, which was left out"

_KNOWN_CHUNKS = frozenset([
    b"LIST", b"id3 ", b"ID3 ", b"bext", b"iXML", b"_PMX", b"cue ", b"smpl", b"fact", b"JUNK", b"PAD ", b"inst",
    b"acid", b"axml", b"PEAK", b"COMT", b"ANNO", b"NAME", b"AUTH", b"APPL", b"MARK", b"INST", b"(c) ",
])  # fmt: skip
"""What may stand behind the audio; known by name, also where its size is wrong or the file breaks off in it."""
_TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN")
SHORTEST_CHUNK = 8
W64_CHUNK_HEADER_BYTES = 24
UNKNOWN_LENGTH = "does not say how long it is; it was used to its end"

MP3_IN_WAV = 0x0055
REBUILT = frozenset([0x0001, 0x0002, 0x0003, 0x0006, 0x0007, 0x0011, 0xFFFE])
"""WAV formats that need no more than two chunks: PCM, float, A-law, µ-law and two ADPCMs."""

W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
"""The name of the chunk of audio; its size, 8 bytes, comes behind and counts both."""
FLAC_BEGINNING = b"fLaC\x00\x00\x00\x22"
"""A FLAC file's first bytes: its mark, and the header of STREAMINFO, which is always 34 bytes long."""
FLAC_PLACEHOLDER = 16 * PLACEHOLDER
"""A number of samples, of 36 bits, from here on means "not known"."""
FLAC_TOTAL_AT = 21
"""Where the 36 bits of STREAMINFO's number of samples begin: the low half of this byte."""


@dataclass(frozen=True)
class Repaired:
    """A file that can be read to its end.

    Args:
        data: the file, whole, as libsndfile (or, for MP3 in WAV, the MP3 reader) takes it.
        notes: what was wrong with it, each to be read after the name of the file.
        promised: samples per channel that a header promised and that are counted by decoding.
        codec: the WAV format's number; 0 in other files.
        links: files that go on where this one ends, of the same kind.
    """

    data: bytes
    notes: tuple[str, ...] = ()
    promised: int | None = None
    codec: int = 0
    links: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class _Chunk:
    """A chunk: its name, where its content begins, and how long its header says that it is."""

    name: bytes
    at: int
    size: int


def repaired_wav(data: bytes) -> Repaired:
    """Return a WAV or RF64 file with the audio that is really there.

    Raises:
        NotAudio: for a file without a format or samples, or one that lacks much of its audio.
    """
    layout, size_of_data = b"", None
    for chunk in _chunks(data, "little"):
        if chunk.name == b"ds64":
            at = chunk.at + DS64_DATA_SIZE_AT
            size_of_data = int.from_bytes(data[at : at + 8], "little")
        if chunk.name == b"fmt ":
            layout = data[chunk.at : chunk.at + chunk.size]
        if chunk.name == b"data":
            break
    else:
        raise NotAudio("is a WAV file that holds no samples: it breaks off before them")
    if len(layout) < 16:
        raise NotAudio(
            "is a WAV file that does not say what its samples are: its `fmt ` chunk is missing"
        )
    promised = chunk.size if size_of_data is None or chunk.size < PLACEHOLDER else size_of_data
    content, notes = _audio_of(data, chunk.at, promised, "little")
    codec, align = struct.unpack_from("<H", layout)[0], struct.unpack_from("<H", layout, 12)[0]
    if codec == MP3_IN_WAV:
        return Repaired(content, notes, codec=codec)
    if codec not in REBUILT:
        return Repaired(data, notes, codec=codec)
    content = content[: len(content) - len(content) % max(1, align)]
    body = b"WAVE" + chunk_of(b"fmt ", layout) + chunk_of(b"data", content)
    return Repaired(chunk_of(b"RIFF", body), notes, codec=codec)


def repaired_aiff(data: bytes) -> Repaired:
    """Return an AIFF or AIFF-C file with the audio that is really there. Raises as for WAV."""
    kind, common, version = data[8:12], b"", b""
    content: bytes | None = None
    notes: tuple[str, ...] = ()
    for chunk in _chunks(data, "big"):
        if chunk.name == b"COMM" and not common:
            common = data[chunk.at : chunk.at + chunk.size]
        if chunk.name == b"FVER":
            version = data[chunk.at : chunk.at + chunk.size]
        if chunk.name == b"SSND" and content is None:
            content, notes = _audio_of(data, chunk.at, chunk.size, "big")
    if len(common) < 18:
        raise NotAudio(
            "is an AIFF file that does not say what its samples are: its COMM chunk is missing"
        )
    if content is None or len(content) < 8:
        raise NotAudio("is an AIFF file that holds no samples: it breaks off before them")
    channels, frames, bits = struct.unpack_from(">hIh", common)
    compression = common[18:22] if kind == b"AIFC" else b"NONE"
    if compression in (b"NONE", b"twos", b"sowt", b"fl32", b"FL32", b"fl64", b"FL64"):
        width = channels * -(-bits // 8)
        there = (len(content) - 8) // max(1, width)
        promised = frames if 0 < frames < PLACEHOLDER // max(1, width) else there
        if not notes:  # the chunk's own size was right; the number of samples may still not be
            notes = check_promise(promised, there, "samples", at_least=64)
        common = common[:2] + struct.pack(">I", there) + common[6:]
    body = kind + (chunk_of(b"FVER", version, "big") if version else b"")
    body += chunk_of(b"COMM", common, "big") + chunk_of(b"SSND", content, "big")
    return Repaired(chunk_of(b"FORM", body, "big"), notes)


def repaired_flac(data: bytes) -> Repaired:
    """Return a FLAC file that is decoded to its end, with the number of samples it promised."""
    another = data.find(FLAC_BEGINNING, len(FLAC_BEGINNING))
    notes = () if another < 0 else (ANOTHER_FILE,)
    data = data if another < 0 else data[:another]
    promised = int.from_bytes(data[FLAC_TOTAL_AT : FLAC_TOTAL_AT + 5], "big") & 0xF_FFFF_FFFF
    unknown = bytes([data[FLAC_TOTAL_AT] & 0xF0]) + bytes(4) if len(data) > FLAC_TOTAL_AT else b""
    whole = data[:FLAC_TOTAL_AT] + unknown + data[FLAC_TOTAL_AT + len(unknown) :]
    return Repaired(whole, notes, promised if 0 < promised < FLAC_PLACEHOLDER else None)


def repaired_w64(data: bytes) -> Repaired:
    """Return a Wave64 file (Sony 2003) with true sizes, where a pipe left placeholders or tags follow."""
    at = data.find(W64_DATA)
    if at < 0:
        return Repaired(data)
    promised, there = int.from_bytes(data[at + 16 : at + 24], "little"), len(data) - at
    notes: tuple[str, ...] = ()
    behind = data[at + promised :]
    if behind.startswith(_TAGS) or len(behind) < W64_CHUNK_HEADER_BYTES or not behind.strip(b"\0"):
        data = data[: at + promised]
    if promised > there:
        notes = (
            (UNKNOWN_LENGTH,)
            if promised >= PLACEHOLDER
            else check_promise(promised, there, "bytes of audio")
        )
    audio_bytes = min(promised, there)
    sizes = struct.pack("<Q", len(data)), struct.pack("<Q", audio_bytes)
    whole = data[:16] + sizes[0] + data[24 : at + 16] + sizes[1] + data[at + 24 :]
    return Repaired(whole, notes)


def repaired_ogg(data: bytes) -> Repaired:
    """Return the first file of an Ogg chain (recordings that were stopped and went on) and the others."""
    (first, *others), is_ended = ogg_pages.links(data)
    notes = []
    if others:
        notes.append(f"is {1 + len(others)} Ogg files one after the other; all of them were used")
    if not is_ended:
        notes.append("breaks off before its last page; it was used as far as it goes")
    return Repaired(first, tuple(notes), links=tuple(others))


def _chunks(data: bytes, order: ByteOrder) -> Iterator[_Chunk]:
    """Walk the chunks of a RIFF or IFF file, also where a byte of padding was left out."""
    position = 12
    for _ in range(MAX_CHUNKS):
        if position + 8 > len(data):
            return
        chunk = _chunk_at(data, position, order)
        yield chunk
        end = chunk.at + chunk.size
        is_padded = not chunk.size % 2 or not _is_chunk(data, end, order)
        position = end + (chunk.size % 2 if is_padded else 0)


def _chunk_at(data: bytes, position: int, order: ByteOrder) -> _Chunk:
    size = int.from_bytes(data[position + 4 : position + 8], order)
    return _Chunk(data[position : position + 4], position + 8, size)


def _is_chunk(data: bytes, position: int, order: ByteOrder) -> bool:
    """Whether a chunk may lie here: a name of printable letters, and a size that stays in the file."""
    if position + 8 > len(data):
        return False
    chunk = _chunk_at(data, position, order)
    is_name = all(0x20 <= byte < 0x7F for byte in chunk.name)
    return is_name and chunk.at + chunk.size <= len(data) + 1


def _audio_of(
    data: bytes, at: int, promised: int, order: ByteOrder
) -> tuple[bytes, tuple[str, ...]]:
    """Return the bytes of a chunk of audio to their real end, and what to say of its size."""
    there = len(data) - at
    end = at + promised
    if promised == 0 and there and _is_all_chunks(data, at, order):
        return b"", ()  # a recording that was ended at once
    if 0 < promised <= there:
        is_padded = promised % 2 and data[end : end + 1] == b"\0"
        for behind in (end, end + 1) if is_padded else (end,):
            if data[behind : behind + 4] in (b"RIFF", b"FORM", b"RF64"):
                return data[at:end], (ANOTHER_FILE,)
            if _is_no_audio(data, behind, order):
                return data[at:end], ()
    if not 0 < promised < PLACEHOLDER:
        return data[at:], (UNKNOWN_LENGTH,) if there else ()
    return data[at:], check_promise(promised, there, "bytes of audio")


def _is_no_audio(data: bytes, at: int, order: ByteOrder) -> bool:
    """Whether what stands behind the audio is a chunk, a tag, a few bytes, or zeros that fill up a block of a disk."""
    rest = data[at : at + SHORTEST_CHUNK]
    is_named = rest[:4] in _KNOWN_CHUNKS or rest.startswith(_TAGS)
    return is_named or _is_chunk(data, at, order) or not data[at:].strip(b"\0")


def _is_all_chunks(data: bytes, at: int, order: ByteOrder) -> bool:
    """Whether chunks follow each other from here to the end of the file."""
    while at + SHORTEST_CHUNK <= len(data) and _is_chunk(data, at, order):
        chunk = _chunk_at(data, at, order)
        at = chunk.at + chunk.size + chunk.size % 2
    return at >= len(data)
