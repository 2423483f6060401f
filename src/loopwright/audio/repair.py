"""WAV, AIFF, FLAC, Ogg and Wave64 files whose headers are wrong about their length, put right.

Programs that write to a pipe cannot go back to fill in a length, and recorders that are stopped
hard never get to it: they leave 0, 0xFFFFFFFF and other placeholders. Others count their headers as
audio, or leave out a byte of padding. So the chunks are walked here, the audio is followed to its
real end, and the file is rebuilt from what a decoder needs.

Knows: RIFF and RF64 (EBU Tech 3306), AIFF and AIFF-C (Apple 1989, 1991), Wave64 (Sony 2003), FLAC's
first block (RFC 9639). Does not know: samples.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from loopwright.audio import ogg_pages
from loopwright.audio.chunks import ByteOrder, chunk
from loopwright.audio.header_length import check_header_length
from loopwright.errors import NotAudio

PLACEHOLDER = 0x7F000000
"""A size from here on (about 2 GB) means "not known": larger files are never accepted."""
CHUNK_HEADER_BYTES = 8
FILE_HEADER_BYTES = 12
MAX_CHUNKS = 10_000
ANOTHER_FILE = "is followed by another file, which was left out"
UNKNOWN_LENGTH = "does not say how long it is; it was used to its end"

_KNOWN_CHUNKS = frozenset([
    b"LIST", b"id3 ", b"ID3 ", b"bext", b"iXML", b"_PMX", b"cue ", b"smpl", b"fact", b"JUNK",
    b"PAD ", b"inst", b"acid", b"axml", b"PEAK", b"COMT", b"ANNO", b"NAME", b"AUTH", b"APPL",
    b"MARK", b"INST", b"(c) ",
])  # fmt: skip
"""Chunks that may follow the audio, recognised by name even if their size is wrong."""
_TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN")
"""The first bytes of tags that programs put after the audio of any kind of file."""

DS64_DATA_SIZE_AT = 8
FORMAT_BYTES, COMMON_BYTES = 16, 18
"""The shortest ``fmt `` chunk of a WAV file, and the shortest COMM chunk of an AIFF file."""
OFFSET_BYTES = 8
"""What a SSND chunk of an AIFF file begins with, before its samples."""
MP3_IN_WAV = 0x0055
REBUILT_CODECS = frozenset([0x0001, 0x0002, 0x0003, 0x0006, 0x0007, 0x0011, 0xFFFE])
"""WAV codecs that need no more than two chunks: PCM, float, A-law, µ-law and two ADPCMs."""
UNCOMPRESSED_AIFF = frozenset([b"NONE", b"twos", b"sowt", b"fl32", b"FL32", b"fl64", b"FL64"])

W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
"""The name of the chunk of audio; its size (8 bytes, after it) counts both."""
W64_CHUNK_HEADER_BYTES = 24

FLAC_START = b"fLaC\x00\x00\x00\x22"
"""A FLAC file's first bytes: its mark, and the header of STREAMINFO, which always has 34 bytes."""
FLAC_PLACEHOLDER = 16 * PLACEHOLDER
"""A count of samples from here on means "not known"; it has 36 bits."""
FLAC_COUNT_AT = 21
"""Where STREAMINFO's count of samples begins: in the low half of this byte."""


@dataclass(frozen=True)
class Repaired:
    """A file that can be read to its end.

    Args:
        data: The file, as libsndfile (or, for MP3 in WAV, the MP3 reader) reads all of it.
        notes: What was wrong with it, each to be read after the file's name.
        expected_frames: Samples per channel by its header, where only decoding can count them.
        codec: The number of a WAV file's codec; 0 for other files.
        links: Files of the same kind that continue this one.
    """

    data: bytes
    notes: tuple[str, ...] = ()
    expected_frames: int | None = None
    codec: int = 0
    links: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class _Chunk:
    """A chunk: its name, where its content begins, and its length by its header."""

    name: bytes
    at: int
    size: int

    @property
    def end(self) -> int:
        """Where its content ends, by its header."""
        return self.at + self.size


def repair_wav(data: bytes) -> Repaired:
    """Rebuild a WAV or RF64 file from the audio that is there.

    Raises:
        NotAudio: It does not describe its samples, has none, or lacks much of its audio.
    """
    layout, size_in_ds64 = b"", None
    for found in _chunks(data, "little"):
        if found.name == b"ds64":
            at = found.at + DS64_DATA_SIZE_AT
            size_in_ds64 = int.from_bytes(data[at : at + 8], "little")
        if found.name == b"fmt ":
            layout = data[found.at : found.end]
        if found.name == b"data":
            break
    else:
        raise NotAudio("is a WAV file that holds no samples: it breaks off before them")
    if len(layout) < FORMAT_BYTES:
        raise NotAudio(
            "is a WAV file that does not say what its samples are: its `fmt ` chunk is missing"
        )
    expected = found.size
    if size_in_ds64 is not None and expected >= PLACEHOLDER:
        expected = size_in_ds64
    audio, notes = _audio_of(data, found.at, expected, "little")
    codec, frame_bytes = struct.unpack_from("<H10xH", layout)
    if codec == MP3_IN_WAV:
        return Repaired(audio, notes, codec=codec)
    if codec not in REBUILT_CODECS:
        return Repaired(data, notes, codec=codec)
    audio = audio[: len(audio) - len(audio) % max(1, frame_bytes)]
    body = b"WAVE" + chunk(b"fmt ", layout) + chunk(b"data", audio)
    return Repaired(chunk(b"RIFF", body), notes, codec=codec)


def repair_aiff(data: bytes) -> Repaired:
    """Rebuild an AIFF or AIFF-C file from the audio that is there.

    Raises:
        NotAudio: It does not describe its samples, has none, or lacks much of its audio.
    """
    common, version = b"", b""
    audio: bytes | None = None
    notes: tuple[str, ...] = ()
    for found in _chunks(data, "big"):
        if found.name == b"COMM" and not common:
            common = data[found.at : found.end]
        if found.name == b"FVER":
            version = data[found.at : found.end]
        if found.name == b"SSND" and audio is None:
            audio, notes = _audio_of(data, found.at, found.size, "big")
    if len(common) < COMMON_BYTES:
        raise NotAudio(
            "is an AIFF file that does not say what its samples are: its COMM chunk is missing"
        )
    if audio is None or len(audio) < OFFSET_BYTES:
        raise NotAudio("is an AIFF file that holds no samples: it breaks off before them")
    kind = data[8:12]
    compression = common[18:22] if kind == b"AIFC" else b"NONE"
    if compression in UNCOMPRESSED_AIFF:
        channels, frames, bits = struct.unpack_from(">hIh", common)
        frame_bytes = max(1, channels * -(-bits // 8))
        found_frames = (len(audio) - OFFSET_BYTES) // frame_bytes
        # the size of the chunk was right: the number of samples may still be wrong
        if not notes and 0 < frames < PLACEHOLDER // frame_bytes:
            notes = check_header_length(frames, found_frames, "samples")
        common = common[:2] + struct.pack(">I", found_frames) + common[6:]
    body = kind + (chunk(b"FVER", version, "big") if version else b"")
    body += chunk(b"COMM", common, "big") + chunk(b"SSND", audio, "big")
    return Repaired(chunk(b"FORM", body, "big"), notes)


def repair_flac(data: bytes) -> Repaired:
    """Remove the count of samples from a FLAC file, so that it is decoded to its end."""
    notes: tuple[str, ...] = ()
    another = data.find(FLAC_START, len(FLAC_START))
    if another >= 0:
        data, notes = data[:another], (ANOTHER_FILE,)
    if len(data) <= FLAC_COUNT_AT:
        return Repaired(data, notes)
    after = FLAC_COUNT_AT + 5
    expected = int.from_bytes(data[FLAC_COUNT_AT:after], "big") & 0xF_FFFF_FFFF
    not_known = bytes([data[FLAC_COUNT_AT] & 0xF0]) + bytes(4)
    whole = data[:FLAC_COUNT_AT] + not_known + data[after:]
    return Repaired(whole, notes, expected if 0 < expected < FLAC_PLACEHOLDER else None)


def repair_w64(data: bytes) -> Repaired:
    """Write the true sizes into a Wave64 file, and cut off what follows its audio.

    Raises:
        NotAudio: It lacks much of its audio.
    """
    at = data.find(W64_DATA)
    if at < 0:
        return Repaired(data)
    size_at = at + len(W64_DATA)
    expected = int.from_bytes(data[size_at : size_at + 8], "little")
    found = len(data) - at
    rest = data[at + expected :]
    if rest.startswith(_TAGS) or len(rest) < W64_CHUNK_HEADER_BYTES or not rest.strip(b"\0"):
        data = data[: at + expected]
    notes: tuple[str, ...] = ()
    if expected >= PLACEHOLDER and expected > found:
        notes = (UNKNOWN_LENGTH,)
    elif expected > found:
        notes = check_header_length(expected, found, "bytes of audio")
    file_size = struct.pack("<Q", len(data))
    audio_size = struct.pack("<Q", min(expected, found))
    whole = data[:16] + file_size + data[24:size_at] + audio_size + data[size_at + 8 :]
    return Repaired(whole, notes)


def repair_ogg(data: bytes) -> Repaired:
    """Split an Ogg chain (a recording that was stopped and continued) into its files."""
    (first, *others), is_ended = ogg_pages.links(data)
    notes = []
    if others:
        notes.append(f"is {1 + len(others)} Ogg files one after the other; all of them were used")
    if not is_ended:
        notes.append("breaks off before its last page; it was used as far as it goes")
    return Repaired(first, tuple(notes), links=tuple(others))


def _chunks(data: bytes, order: ByteOrder) -> Iterator[_Chunk]:
    """Walk the chunks of a RIFF or IFF file, even where a byte of padding was left out."""
    position = FILE_HEADER_BYTES
    for _ in range(MAX_CHUNKS):
        if position + CHUNK_HEADER_BYTES > len(data):
            return
        found = _chunk_at(data, position, order)
        yield found
        has_padding = found.size % 2 and not _is_chunk(data, found.end, order)
        position = found.end + 1 if has_padding else found.end


def _chunk_at(data: bytes, position: int, order: ByteOrder) -> _Chunk:
    size = int.from_bytes(data[position + 4 : position + CHUNK_HEADER_BYTES], order)
    return _Chunk(data[position : position + 4], position + CHUNK_HEADER_BYTES, size)


def _is_chunk(data: bytes, position: int, order: ByteOrder) -> bool:
    """Return whether a chunk may begin here: a printable name, and a size within the file."""
    if position + CHUNK_HEADER_BYTES > len(data):
        return False
    found = _chunk_at(data, position, order)
    is_name = all(0x20 <= byte < 0x7F for byte in found.name)
    return is_name and found.end <= len(data) + 1  # the last byte of padding may be missing


def _audio_of(
    data: bytes, at: int, expected: int, order: ByteOrder
) -> tuple[bytes, tuple[str, ...]]:
    """Follow the audio in a chunk to its real end.

    Args:
        data: The file.
        at: Where the content of the chunk begins.
        expected: Its length by its header.
        order: The order of bytes in the file.

    Returns:
        The audio, and notes on what was wrong with the length.

    Raises:
        NotAudio: Much of the audio is missing.
    """
    found = len(data) - at
    end = at + expected
    if expected == 0 and found and _is_all_chunks(data, at, order):
        return b"", ()  # a recording that was stopped at once
    if 0 < expected <= found:
        is_padded = expected % 2 and data[end : end + 1] == b"\0"
        for rest in (end, end + 1) if is_padded else (end,):
            if data[rest : rest + 4] in (b"RIFF", b"FORM", b"RF64"):
                return data[at:end], (ANOTHER_FILE,)
            is_named = data[rest : rest + 4] in _KNOWN_CHUNKS or data.startswith(_TAGS, rest)
            # zeros are what is left of a disk's last block
            if is_named or _is_chunk(data, rest, order) or not data[rest:].strip(b"\0"):
                return data[at:end], ()
    if not 0 < expected < PLACEHOLDER:
        return data[at:], (UNKNOWN_LENGTH,) if found else ()
    return data[at:], check_header_length(expected, found, "bytes of audio")


def _is_all_chunks(data: bytes, at: int, order: ByteOrder) -> bool:
    """Return whether the rest of a file is chunks, one after the other."""
    while at + CHUNK_HEADER_BYTES <= len(data) and _is_chunk(data, at, order):
        found = _chunk_at(data, at, order)
        at = found.end + found.size % 2
    return at >= len(data)
