"""MP3 files whose length is true: frames are counted, and a header is written that says how many.

An MP3 has no field for its length. Readers believe a Xing or Info tag where there is one, which a
pipe or a browser's encoder leaves out or gets wrong, and otherwise guess from the first frame's
bit rate. So every frame is found, whatever is between them is left out, and an Info tag with the
exact count goes before them: then libsndfile decodes all of it, and no more.

Knows: frames of MPEG 1, 2 and 2.5, layer III (ISO 11172-3, 13818-3), and the Xing/LAME tag.
Does not know: how a frame is decoded.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from loopwright.audio.promises import check_promise
from loopwright.errors import NotAudio

# kbit/s by index, for MPEG 1 and for MPEG 2 and 2.5; index 0 is "free format", 15 is not allowed.
_BITRATES = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {0b11: (44100, 48000, 32000), 0b10: (22050, 24000, 16000), 0b00: (11025, 12000, 8000)}
LAYER_III = 0b01
MONO = 0b11
HEADER_BYTES = 4
ZEROS = 1 << 16
"""Bytes at a time in which zeros are skipped."""
SEARCHED_BYTES = 1 << 18
"""How far into a file its first frame is looked for: a tag with a picture was skipped before."""
MAX_FALSE_STARTS = 100_000
"""Headers that no frames follow, in all of a file: beyond, it was made to keep a reader busy."""
FRAMES_IN_A_ROW = 3
"""So many headers, each where the one before says, are MP3 and no coincidence."""

# Sync, a version, layer III; a bit rate and a sample rate that are allowed. Most bytes fail here at once.
_HEADER = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef]")

XING_FRAMES = 0x01
DECODER_DELAY = 529
"""Samples that every decoder of layer III is late by; readers take them off with an encoder's delay."""
LAME_DELAY_AT = 21
"""Where a LAME tag has the encoder's delay and padding, 12 bits each, from its beginning."""


@dataclass(frozen=True)
class Frame:
    """A frame's header: where it lies, its length in bytes, and what must not change midway."""

    at: int
    size: int
    rate: int
    samples: int
    is_mono: bool
    is_mpeg1: bool

    @property
    def side_bytes(self) -> int:
        """Bytes of side information after the header; the tag comes behind them."""
        if self.is_mpeg1:
            return 17 if self.is_mono else 32
        return 9 if self.is_mono else 17


@dataclass(frozen=True)
class _Tag:
    """A Xing or Info tag. frames: the promise, if there is one; lame: delay and padding, 3 bytes."""

    frames: int | None
    lame: bytes | None


def read_frame(data: bytes, at: int) -> Frame | None:
    """Return the layer III frame whose header lies at a position; None where there is none."""
    if at + HEADER_BYTES > len(data) or data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:
        return None
    version, layer = data[at + 1] >> 3 & 3, data[at + 1] >> 1 & 3
    rate_index, bitrate_index = data[at + 2] >> 2 & 3, data[at + 2] >> 4
    if layer != LAYER_III or version == 0b01 or rate_index == 3 or not 0 < bitrate_index < 15:
        return None
    is_mpeg1 = version == 0b11
    rate, samples = _RATES[version][rate_index], 1152 if is_mpeg1 else 576
    bitrate = _BITRATES[1 if is_mpeg1 else 2][bitrate_index] * 1000
    size = samples // 8 * bitrate // rate + (data[at + 2] >> 1 & 1)
    return Frame(at, size, rate, samples, data[at + 3] >> 6 == MONO, is_mpeg1)


def skip_id3(data: bytes) -> int:
    """Return where a file begins behind the ID3v2 tags before it (ID3v2.4 structure, section 3.1)."""
    position = 0
    while data[position : position + 3] == b"ID3" and len(data) >= position + 10:
        size = 0
        for byte in data[position + 6 : position + 10]:
            size = size << 7 | byte & 0x7F
        has_footer = bool(data[position + 5] & 0x10)
        position += 10 + size + 10 * has_footer
    return (
        position if position < len(data) else min(10, len(data))
    )  # a size beyond the file is wrong


def find_first_frame(data: bytes) -> Frame | None:
    """Return the first frame that others follow, not too far into a file; None where there is none."""
    start = skip_id3(data)
    while (
        data[start : start + 1] == b"\0"
    ):  # zeros behind a tag, or before the audio of a broken download
        start += len(data[start : start + ZEROS]) - len(data[start : start + ZEROS].lstrip(b"\0"))
    return next(_followed_frames(data, start, start + SEARCHED_BYTES, itertools.count(1)), None)


def counted_mp3(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Return an MP3 of the same frames behind a tag that counts them, and what was repaired.

    Raises:
        NotAudio: where there are no frames, far fewer than a tag promises, or frames of other
            rates or channels midway, which one stream of audio cannot have.
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
    first = frames[0]
    if any((one.rate, one.is_mono) != (first.rate, first.is_mono) for one in frames):
        raise NotAudio("is several MP3s of different sample rates or channels; send one of them")
    notes = []
    if len(tags) > 1:
        notes.append(f"is {len(tags)} MP3s one after the other; all of them were used")
    elif tags and tags[0].frames is not None:
        promised = tags[0].frames * first.samples
        notes += check_promise(
            promised, len(frames) * first.samples, "samples", at_least=first.samples
        )
    body = b"".join(data[frame.at : frame.at + frame.size] for frame in frames)
    return _info_frame(first, len(frames), tags) + body, tuple(notes)


def iterate_frames(data: bytes) -> Iterator[Frame]:
    """Find all whole frames from the first on; tags, pictures and damage between them are skipped.

    Raises:
        NotAudio: for a file of more false starts than damage explains.
    """
    frame, false_starts = find_first_frame(data), itertools.count(1)
    while frame is not None:
        end = frame.at + frame.size
        if end > len(data):
            return
        yield frame
        frame = read_frame(data, end) or next(
            _followed_frames(data, end, len(data), false_starts), None
        )


def _followed_frames(
    data: bytes, start: int, end: int, false_starts: Iterator[int]
) -> Iterator[Frame]:
    """Find frames that others follow, in a stretch of a file.

    Args:
        data: the file.
        start: where the stretch begins.
        end: where it ends.
        false_starts: counts headers that no frames follow, from 1 on; one count for all of a file.

    Raises:
        NotAudio: behind MAX_FALSE_STARTS of them.
    """
    for found in _HEADER.finditer(data, start, end):
        frame = read_frame(data, found.start())
        if frame is not None and _is_followed(data, frame):
            yield frame
        elif next(false_starts) > MAX_FALSE_STARTS:
            raise NotAudio("is a damaged MP3: between its frames there is too much that is none")


def _is_followed(data: bytes, frame: Frame) -> bool:
    """Whether enough frames of the same kind come right behind a frame, or the file ends."""
    at = frame.at
    for count in range(FRAMES_IN_A_ROW):
        follower = read_frame(data, at)
        if follower is None or follower.rate != frame.rate:
            # at the end a tag may follow, or nothing: one whole frame and no more is accepted there
            return count > 1 or (count == 1 and _is_end(data, at))
        at += follower.size
    return True


def _is_end(data: bytes, at: int) -> bool:
    return at == len(data) or data[at : at + 3] == b"TAG" or data[at : at + 8] == b"APETAGEX"


def _tag_of(data: bytes, frame: Frame) -> _Tag | None:
    """Return the Xing, Info or VBRI tag that a frame holds instead of audio."""
    at, end = frame.at + HEADER_BYTES + frame.side_bytes, frame.at + frame.size
    if data[frame.at + 36 : frame.at + 40] == b"VBRI":
        return _Tag(int.from_bytes(data[frame.at + 50 : frame.at + 54], "big"), None)
    if data[at : at + 4] not in (b"Xing", b"Info"):
        return None
    flags = int.from_bytes(data[at + 4 : at + 8], "big")
    frames = int.from_bytes(data[at + 8 : at + 12], "big") if flags & XING_FRAMES else 0
    # behind the flags: frames (4), bytes (4), table of contents (100), quality (4), as far as flagged
    lame_at = at + 8 + sum(size for bit, size in enumerate((4, 4, 100, 4)) if flags >> bit & 1)
    has_lame = lame_at + 36 <= end and data[lame_at : lame_at + 4] in (b"LAME", b"Lavf", b"Lavc")
    delay_at = lame_at + LAME_DELAY_AT
    return _Tag(frames or None, data[delay_at : delay_at + 3] if has_lame else None)


def _info_frame(first: Frame, count: int, tags: list[_Tag]) -> bytes:
    """Return a frame with an Info tag: how many frames follow, and how many samples are no music."""
    delays = [tag.lame for tag in tags if tag.lame is not None]
    silent_frame = b""
    if delays and len(delays) == len(tags):
        # the first file's delay is at the beginning, the last one's padding at the end
        trimmed = bytes(
            [delays[0][0], (delays[0][1] & 0xF0) | (delays[-1][1] & 0x0F), delays[-1][2]]
        )
    else:
        # Nothing is known, so nothing may be taken off. But libsndfile's decoder takes its own delay
        # off wherever it is told a count: it gets a silent frame more to take it from.
        silent_frame, count = _frame_of(first, bytes(first.side_bytes)), count + 1
        trimmed = (first.samples - DECODER_DELAY << 12 | DECODER_DELAY).to_bytes(3, "big")
    tag = b"Info" + XING_FRAMES.to_bytes(4, "big") + count.to_bytes(4, "big")
    tag += b"LAME3.100".ljust(LAME_DELAY_AT, b"\0") + trimmed + bytes(12)
    return _frame_of(first, bytes(first.side_bytes) + tag) + silent_frame


def _frame_of(first: Frame, content: bytes) -> bytes:
    """Return a frame like the first one, without a checksum, at the least bit rate that has room."""
    for bitrate_index in range(1, 15):
        header = _header(first, bitrate_index)
        frame = read_frame(header, 0)
        assert frame is not None
        if frame.size >= HEADER_BYTES + len(content):
            return (header + content).ljust(frame.size, b"\0")
    raise NotAudio("is an MP3 of a kind whose length cannot be written")


def _header(first: Frame, bitrate_index: int) -> bytes:
    """Return the header of a frame like the first one, without a checksum, at another bit rate."""
    version = 0b11 if first.is_mpeg1 else (0b10 if first.rate > 12000 else 0b00)
    rate_index = _RATES[version].index(first.rate)
    versions = 0xE0 | version << 3 | LAYER_III << 1 | 1
    return bytes(
        [0xFF, versions, bitrate_index << 4 | rate_index << 2, MONO << 6 if first.is_mono else 0]
    )
