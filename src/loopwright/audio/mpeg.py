"""MP3 files with a correct length: their frames are counted, and the count is written before them.

An MP3 file has no field for its length. Readers believe a Xing or Info tag if there is one, which
pipes and the encoders of browsers leave out or get wrong, and else guess from the bit rate of the
first frame. So every frame is found here, whatever is between frames is left out, and an Info tag
with the exact count is put before them: libsndfile then decodes all of them, and nothing else.

Knows: frames of MPEG 1, 2 and 2.5, layer III (ISO 11172-3, 13818-3), and the Xing and LAME tags.
Does not know: how a frame is decoded.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from loopwright.audio.header_length import check_header_length
from loopwright.errors import NotAudio

# kbit/s by index, for MPEG 1 and for MPEG 2 and 2.5; index 0 is "free format", 15 is not allowed
_BITRATES = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {0b11: (44100, 48000, 32000), 0b10: (22050, 24000, 16000), 0b00: (11025, 12000, 8000)}
"""Sample rates in Hz by the bits of the version, and by index."""
LAYER_III = 0b01
MONO = 0b11
HEADER_BYTES = 4
ID3_HEADER_BYTES = 10
ZEROS_BYTES = 1 << 16
"""How many zeros before a first frame are skipped at a time."""
SEARCHED_BYTES = 1 << 18
"""How far into a file its first frame is searched for, after its tags."""
MAX_FALSE_STARTS = 100_000
"""Headers without frames after them, in one file; one with more was made to keep a reader busy."""
FRAMES_IN_A_ROW = 3
"""This many headers, each where the one before says, are MP3 and no coincidence."""

# sync, a version, layer III; a bit rate and a sample rate that exist: most bytes fail here at once
_HEADER = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef]")

XING_HAS_FRAMES = 0x01
"""The flag of a Xing tag that counts frames."""
XING_FIELD_BYTES = (4, 4, 100, 4)
"""A Xing tag's fields, each with a flag: frames, bytes, table of contents, quality."""
DECODER_DELAY = 529
"""Samples that every decoder of layer III is late by; readers remove them with the encoder's."""
LAME_DELAY_AT = 21
"""Where in a LAME tag the encoder's delay and padding are, of 12 bits each."""
LAME_DELAY_BYTES = 3
LAME_BYTES = 36


@dataclass(frozen=True)
class Frame:
    """A frame of an MP3 file, as its header describes it.

    Args:
        at: Where it begins in the file.
        size: Its length in bytes.
        rate: Hz.
        samples: Per channel.
        is_mono: Whether it has one channel, and not two.
        is_mpeg1: Whether its version is MPEG 1, and not 2 or 2.5.
    """

    at: int
    size: int
    rate: int
    samples: int
    is_mono: bool
    is_mpeg1: bool

    @property
    def side_bytes(self) -> int:
        """Bytes of side information after the header; a Xing tag comes after them."""
        if self.is_mpeg1:
            return 17 if self.is_mono else 32
        return 9 if self.is_mono else 17


@dataclass(frozen=True)
class _Tag:
    """A Xing, Info or VBRI tag: its count of frames, and its LAME delay and padding, 3 bytes."""

    frames: int | None
    lame_delay: bytes | None


def read_frame(data: bytes, at: int) -> Frame | None:
    """Return the layer III frame whose header is at a position; None where there is none."""
    if at + HEADER_BYTES > len(data) or data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:
        return None
    second, third = data[at + 1], data[at + 2]
    version, layer = second >> 3 & 3, second >> 1 & 3
    bitrate_index, rate_index = third >> 4, third >> 2 & 3
    if layer != LAYER_III or version == 0b01 or rate_index == 3 or not 0 < bitrate_index < 15:
        return None
    is_mpeg1 = version == 0b11
    is_mono = data[at + 3] >> 6 == MONO
    rate, samples = _RATES[version][rate_index], 1152 if is_mpeg1 else 576
    bitrate = _BITRATES[1 if is_mpeg1 else 2][bitrate_index] * 1000
    padding = third >> 1 & 1
    size = samples // 8 * bitrate // rate + padding
    return Frame(at, size, rate, samples, is_mono, is_mpeg1)


def skip_id3(data: bytes) -> int:
    """Return where a file begins after its ID3v2 tags (ID3v2.4 structure, section 3.1)."""
    position = 0
    while data[position : position + 3] == b"ID3" and len(data) >= position + ID3_HEADER_BYTES:
        size = 0
        for byte in data[position + 6 : position + ID3_HEADER_BYTES]:
            size = size << 7 | byte & 0x7F
        has_footer = bool(data[position + 5] & 0x10)
        position += ID3_HEADER_BYTES * (1 + has_footer) + size
    if position < len(data):
        return position
    # a size beyond the end of the file is wrong: the audio begins somewhere after the header
    return min(ID3_HEADER_BYTES, len(data))


def find_first_frame(data: bytes) -> Frame | None:
    """Return the first frame near the start of a file that others follow; None for none."""
    start = skip_id3(data)
    # zeros come after tags with room to grow, and at the start of a broken download
    while data[start : start + 1] == b"\0":
        zeros = data[start : start + ZEROS_BYTES]
        start += len(zeros) - len(zeros.lstrip(b"\0"))
    return next(_followed_frames(data, start, start + SEARCHED_BYTES, itertools.count(1)), None)


def repair_mp3(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Put a tag with the right count before the frames of an MP3 file.

    Returns:
        The file, and notes on what was wrong.

    Raises:
        NotAudio: There is no frame, there are far fewer than a tag says, or the sample rate or the
            channels change midway.
    """
    frames, tags = [], []
    for frame in iterate_frames(data):
        tag = _tag_of(data, frame)
        if tag is None:
            frames.append(frame)
        else:
            tags.append(tag)
    if not frames:
        raise NotAudio("holds no whole MP3 frame")
    # one stream has one rate and one number of channels, and libsndfile believes the first frame
    first = frames[0]
    if any((frame.rate, frame.is_mono) != (first.rate, first.is_mono) for frame in frames):
        raise NotAudio("is several MP3s of different sample rates or channels; send one of them")
    notes = []
    if len(tags) > 1:
        notes.append(f"is {len(tags)} MP3s one after the other; all of them were used")
    elif tags and tags[0].frames is not None:
        expected, found = tags[0].frames * first.samples, len(frames) * first.samples
        notes += check_header_length(expected, found, "samples", tolerance=first.samples)
    audio = b"".join(data[frame.at : frame.at + frame.size] for frame in frames)
    return _info_frame(first, len(frames), tags) + audio, tuple(notes)


def iterate_frames(data: bytes) -> Iterator[Frame]:
    """Find all whole frames; tags, pictures and damage between them are skipped.

    Raises:
        NotAudio: There are more false starts than damage explains.
    """
    frame, false_starts = find_first_frame(data), itertools.count(1)
    while frame is not None:
        end = frame.at + frame.size
        if end > len(data):
            return
        yield frame
        frame = read_frame(data, end)
        if frame is None:
            frame = next(_followed_frames(data, end, len(data), false_starts), None)


def _followed_frames(
    data: bytes, start: int, end: int, false_starts: Iterator[int]
) -> Iterator[Frame]:
    """Find the frames that others follow in a part of a file.

    Args:
        data: The file.
        start: Where the part begins.
        end: Where it ends.
        false_starts: Counts the headers without frames after them, from 1; one for all of a file.

    Raises:
        NotAudio: There are more than MAX_FALSE_STARTS of them.
    """
    for found in _HEADER.finditer(data, start, end):
        frame = read_frame(data, found.start())
        if frame is not None and _is_followed(data, frame):
            yield frame
        elif next(false_starts) > MAX_FALSE_STARTS:
            raise NotAudio("is a damaged MP3: between its frames there is too much that is none")


def _is_followed(data: bytes, frame: Frame) -> bool:
    """Return whether enough frames of the same rate come right after a frame, or the file ends."""
    at = frame.at
    for count in range(FRAMES_IN_A_ROW):
        follower = read_frame(data, at)
        if follower is None or follower.rate != frame.rate:
            # the last frames of a file have fewer after them, and perhaps a tag
            is_end = at == len(data) or data.startswith((b"TAG", b"APETAGEX"), at)
            return count > 1 or (count == 1 and is_end)
        at += follower.size
    return True


def _tag_of(data: bytes, frame: Frame) -> _Tag | None:
    """Return the Xing, Info or VBRI tag that a frame holds instead of audio; None for audio."""
    if data[frame.at + 36 : frame.at + 40] == b"VBRI":
        return _Tag(int.from_bytes(data[frame.at + 50 : frame.at + 54], "big"), None)
    at = frame.at + HEADER_BYTES + frame.side_bytes
    if data[at : at + 4] not in (b"Xing", b"Info"):
        return None
    flags = int.from_bytes(data[at + 4 : at + 8], "big")
    frames = int.from_bytes(data[at + 8 : at + 12], "big") if flags & XING_HAS_FRAMES else 0
    fields = [size for bit, size in enumerate(XING_FIELD_BYTES) if flags >> bit & 1]
    lame_at = at + 8 + sum(fields)
    lame_delay = None
    is_lame = data[lame_at : lame_at + 4] in (b"LAME", b"Lavf", b"Lavc")
    if is_lame and lame_at + LAME_BYTES <= frame.at + frame.size:
        delay_at = lame_at + LAME_DELAY_AT
        lame_delay = data[delay_at : delay_at + LAME_DELAY_BYTES]
    return _Tag(frames or None, lame_delay)


def _info_frame(first: Frame, count: int, tags: list[_Tag]) -> bytes:
    """Return a frame with an Info tag: how many frames follow, and which samples are no music."""
    delays = [tag.lame_delay for tag in tags if tag.lame_delay is not None]
    side = bytes(first.side_bytes)
    silent_frame = b""
    if delays and len(delays) == len(tags):
        # of several files, the first one's delay is at the start, the last one's padding at the end
        (start, middle, _), (_, last_middle, end) = delays[0], delays[-1]
        delay_and_padding = bytes([start, middle & 0xF0 | last_middle & 0x0F, end])
    else:
        # Nothing is known, so nothing may be removed. But libsndfile's decoder removes its own
        # delay wherever it is told a count: it gets a silent frame more to remove it from.
        silent_frame, count = _frame_like(first, side), count + 1
        delay_and_padding = (first.samples - DECODER_DELAY << 12 | DECODER_DELAY).to_bytes(3, "big")
    tag = b"Info" + XING_HAS_FRAMES.to_bytes(4, "big") + count.to_bytes(4, "big")
    tag += b"LAME3.100".ljust(LAME_DELAY_AT, b"\0") + delay_and_padding
    tag += bytes(LAME_BYTES - LAME_DELAY_AT - LAME_DELAY_BYTES)
    return _frame_like(first, side + tag) + silent_frame


def _frame_like(first: Frame, content: bytes) -> bytes:
    """Return a frame like another, without a checksum, at the lowest bit rate with enough room."""
    version = 0b11 if first.is_mpeg1 else (0b10 if first.rate > 12000 else 0b00)
    rate_index = _RATES[version].index(first.rate)
    no_checksum = 1
    second_byte = 0xE0 | version << 3 | LAYER_III << 1 | no_checksum
    last_byte = MONO << 6 if first.is_mono else 0
    for bitrate_index in range(1, 15):
        header = bytes([0xFF, second_byte, bitrate_index << 4 | rate_index << 2, last_byte])
        frame = read_frame(header, 0)
        assert frame is not None
        if frame.size >= HEADER_BYTES + len(content):
            return (header + content).ljust(frame.size, b"\0")
    raise NotAudio("is an MP3 of a kind whose length cannot be written")
