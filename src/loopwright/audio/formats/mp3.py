"""MP3 files with ID3v2.4 tags (ID3v2.4 structure and native frames, 2000)."""

from __future__ import annotations

from loopwright.audio.formats.base import FileContent, OutputFormat

UTF_8 = b"\x03"
"""The encoding of the texts in a frame, by its first byte."""
HEADER_BYTES = 10
SIZE_SHIFTS = (21, 14, 7, 0)
"""Sizes are written as four bytes of seven bits, so that no decoder takes them for audio."""


def encode_mp3(content: FileContent) -> bytes:
    """Return an MP3 file, whose encoder adds some samples of silence at both ends."""
    from loopwright.audio.formats.samples import encode_with_libsndfile

    data = encode_with_libsndfile(content.audio.T, content.sample_rate, "MP3", "MPEG_LAYER_III")
    if data.startswith(b"ID3"):  # libsndfile's own tag
        size = sum(byte << shift for byte, shift in zip(data[6:10], SIZE_SHIFTS, strict=True))
        data = data[HEADER_BYTES + size :]
    tags = content.tags
    texts = [(b"TIT2", tags.title), (b"TSSE", tags.software)]
    if tags.bpm is not None:
        texts.append((b"TBPM", f"{tags.bpm:g}"))
    if tags.key is not None:
        texts.append((b"TKEY", tags.key))
    frames = [_frame(name, UTF_8 + text.encode()) for name, text in texts]
    # a comment has a language and a description before its text; the description is empty
    frames.append(_frame(b"COMM", UTF_8 + b"eng\0" + tags.comment.encode()))
    tag = b"".join(frames)
    return b"ID3\x04\0\0" + _size(len(tag)) + tag + data


def _frame(name: bytes, content: bytes) -> bytes:
    return name + _size(len(content)) + b"\0\0" + content


def _size(size: int) -> bytes:
    return bytes(size >> shift & 0x7F for shift in SIZE_SHIFTS)


MP3 = OutputFormat(
    name="mp3",
    extension=".mp3",
    media_type="audio/mpeg",
    description="lossy, with samples added at both ends",
    encode=encode_mp3,
    limitations=("mp3 adds samples at both ends, so a player may not loop it exactly",),
)
