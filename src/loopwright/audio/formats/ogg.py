"""Ogg files of Opus audio (RFC 7845) with tags."""

from __future__ import annotations

from loopwright.audio.formats.base import FileContent, OutputFormat
from loopwright.audio.formats.tags import Tags, vorbis_comment
from loopwright.audio.ogg_pages import page_bytes, pages, segments_of

OPUS_RATE = 48_000
"""Hz; the rate at which Ogg Opus files count their samples."""
SERIAL_NUMBER = 1
"""Number of the stream; libsndfile draws one, but the same audio must give the same bytes."""
TAGS_PAGE = 1
"""The page after the first has the tags (RFC 7845, section 3)."""


def encode_ogg(content: FileContent) -> bytes:
    """Return an Ogg Opus file at 48 kHz.

    Its length is the audio's, rounded up to a whole sample at that rate.
    """
    import numpy as np
    import soxr

    from loopwright.audio.formats.samples import encode_with_libsndfile

    # rounded up: a browser that resamples it back rounds down, and a loop must not come out short
    length = -(-content.audio.shape[1] * OPUS_RATE // content.sample_rate)
    samples = soxr.resample(content.audio.T, content.sample_rate, OPUS_RATE, quality="VHQ")
    samples = samples[:length]
    samples = np.pad(samples, ((0, length - len(samples)), (0, 0)))
    data = encode_with_libsndfile(samples, OPUS_RATE, "OGG", "OPUS")
    return _tagged(data, content.tags)


def _tagged(data: bytes, tags: Tags) -> bytes:
    """Return an Ogg Opus file with tags in place of its own, and a serial number that is fixed."""
    made = []
    for number, page in enumerate(pages(data)):
        segments, content = page.segments, page.content
        if number == TAGS_PAGE:
            content = b"OpusTags" + vorbis_comment(tags)
            segments = segments_of(content)
        made.append(page_bytes(page, SERIAL_NUMBER, number, segments, content))
    return b"".join(made)


OGG = OutputFormat(
    name="ogg",
    extension=".ogg",
    media_type="audio/ogg",
    description="Opus: lossy, of exact length, always at 48 kHz",
    encode=encode_ogg,
)
