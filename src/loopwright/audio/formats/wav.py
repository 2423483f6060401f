"""WAV files with what a DAW reads of a loop: tempo, loop points and texts.

Knows: RIFF chunks (Microsoft, Multimedia Programming Interface 1991), all little-endian; the
``acid`` chunk as libsndfile reads it.
"""

from __future__ import annotations

import struct

from loopwright.audio.chunks import chunk
from loopwright.audio.formats.base import FileContent, OutputFormat
from loopwright.audio.formats.tags import MIDDLE_C, Tags

PCM, FLOAT = 1, 3
ROOT_NOTE_IS_KNOWN, IS_STRETCHED = 0x02, 0x04
"""Flags of the ``acid`` chunk."""


def encode_wav(content: FileContent) -> bytes:
    """Return a WAV file of whole numbers (16 and 24 bits) or floating-point numbers (32 bits)."""
    from loopwright.audio.formats.samples import quantize

    tags, sample_rate = content.tags, content.sample_rate
    samples = quantize(content.audio, content.bit_depth, content.dither_seed)
    frames = len(samples)
    is_float = content.bit_depth == 32
    chunks = [chunk(b"fmt ", _layout(samples.shape[1], sample_rate, content.bit_depth))]
    if is_float:
        chunks.append(chunk(b"fact", struct.pack("<I", frames)))
    ordered = samples.astype(samples.dtype.newbyteorder("<"), order="C")
    if content.bit_depth == 24:
        # in numpy 24 bits take an int32: a WAV file has its low three bytes alone
        ordered = ordered.view("u1").reshape(-1, 4)[:, :3]
    chunks.append(chunk(b"data", ordered.tobytes()))
    if tags.bpm is not None and tags.beats is not None:
        chunks.append(chunk(b"acid", _acid(tags, tags.bpm, tags.beats)))
        chunks.append(chunk(b"smpl", _sampler(tags, frames, sample_rate)))
    texts = ((b"INAM", tags.title), (b"ICMT", tags.comment), (b"ISFT", tags.software))
    info = b"".join(chunk(name, text.encode() + b"\0") for name, text in texts)
    chunks.append(chunk(b"LIST", b"INFO" + info))
    return chunk(b"RIFF", b"WAVE" + b"".join(chunks))


def _layout(channels: int, sample_rate: int, bit_depth: int) -> bytes:
    """Return the content of ``fmt ``: what the samples are."""
    frame_bytes = channels * bit_depth // 8
    is_float = bit_depth == 32
    layout = struct.pack(
        "<HHIIHH",
        FLOAT if is_float else PCM,
        channels,
        sample_rate,
        sample_rate * frame_bytes,
        frame_bytes,
        bit_depth,
    )
    # formats other than PCM end with the size of an extension, here none
    return layout + struct.pack("<H", 0) if is_float else layout


def _acid(tags: Tags, bpm: float, beats: int) -> bytes:
    """Return the content of ``acid``: a loop that a DAW stretches to its own tempo."""
    flags = IS_STRETCHED
    if tags.root_note is not None:
        flags |= ROOT_NOTE_IS_KNOWN
    beats_per_bar, beat_unit = 4, 4
    unknown = (0x8000, 0.0)  # two fields whose meaning is not documented
    note = _note(tags)
    return struct.pack("<IHHfIHHf", flags, note, *unknown, beats, beat_unit, beats_per_bar, bpm)


def _sampler(tags: Tags, frames: int, sample_rate: int) -> bytes:
    """Return the content of ``smpl``: one loop over all samples, forward and without end."""
    nanoseconds_per_sample = round(1e9 / sample_rate)
    loops = 1
    head = struct.pack("<9I", 0, 0, nanoseconds_per_sample, _note(tags), 0, 0, 0, loops, 0)
    return head + struct.pack("<6I", 0, 0, 0, frames - 1, 0, 0)


def _note(tags: Tags) -> int:
    return MIDDLE_C if tags.root_note is None else tags.root_note


WAV = OutputFormat(
    name="wav",
    extension=".wav",
    media_type="audio/wav",
    description="uncompressed",
    encode=encode_wav,
    bit_depths=(16, 24, 32),
)
