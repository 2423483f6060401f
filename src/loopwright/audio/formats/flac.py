"""FLAC files (RFC 9639) with tags."""

from __future__ import annotations

from loopwright.audio.formats.base import FileContent, OutputFormat
from loopwright.audio.formats.tags import Tags, vorbis_comment

PADDING, VORBIS_COMMENT = 1, 4
"""Types of metadata blocks."""
LAST_BLOCK = 0x80
"""Set in the first byte of the last metadata block; the other seven bits are the type."""
MARK_BYTES, HEADER_BYTES = 4, 4
"""The length of a file's first bytes, ``fLaC``, and of a metadata block's header."""


def encode_flac(content: FileContent) -> bytes:
    """Return a FLAC file of 24 bits where those are asked for, else of 16."""
    import numpy as np

    from loopwright.audio.formats.samples import encode_with_libsndfile, quantize

    if content.bit_depth == 24:
        samples = quantize(content.audio, 24, content.dither_seed)
        # libsndfile takes 24 bits as the high ones of 32
        samples, codec = np.left_shift(samples, 8), "PCM_24"
    else:
        samples, codec = quantize(content.audio, 16, content.dither_seed), "PCM_16"
    data = encode_with_libsndfile(samples, content.sample_rate, "FLAC", codec)
    return _tagged(data, content.tags)


def _tagged(data: bytes, tags: Tags) -> bytes:
    """Return a FLAC file with tags in place of its own, and without padding."""
    blocks, position, is_last = [], MARK_BYTES, False
    while not is_last:
        is_last, kind = bool(data[position] & LAST_BLOCK), data[position] & ~LAST_BLOCK
        size = int.from_bytes(data[position + 1 : position + HEADER_BYTES], "big")
        end = position + HEADER_BYTES + size
        if kind not in (VORBIS_COMMENT, PADDING):
            blocks.append(_block(kind, data[position + HEADER_BYTES : end]))
        position = end
    blocks.append(_block(VORBIS_COMMENT | LAST_BLOCK, vorbis_comment(tags)))
    return data[:MARK_BYTES] + b"".join(blocks) + data[position:]


def _block(first_byte: int, content: bytes) -> bytes:
    return bytes([first_byte]) + len(content).to_bytes(3, "big") + content


FLAC = OutputFormat(
    name="flac",
    extension=".flac",
    media_type="audio/flac",
    description="compressed without loss",
    encode=encode_flac,
    bit_depths=(16, 24),
)
