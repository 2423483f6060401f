"""WAV files with what a DAW wants to know of a loop: tempo (``acid``), loop points (``smpl``), words (``LIST INFO``).

Knows: RIFF chunks, all little-endian (Microsoft Multimedia Programming Interface 1991; the acid chunk as libsndfile reads
it). Does not know: requests. The bytes depend on the arguments alone.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

ByteOrder = Literal["little", "big"]

PCM, FLOAT = 1, 3
ROOT_NOTE_KNOWN, STRETCHES = 0x02, 0x04
MIDDLE_C = 60


@dataclass(frozen=True)
class Tags:
    """What is said of a piece of audio in its file. bpm, beats: of a loop. root_note: MIDI; key: as musicians write it."""

    title: str
    comment: str
    software: str
    bpm: float | None = None
    beats: int | None = None
    key: str | None = None
    root_note: int | None = None


def wav_bytes(samples: NDArray[np.generic], sample_rate: int, tags: Tags) -> bytes:
    """A WAV file of samples [samples, channels]: int16, int32 (24 bits are kept) or float32."""
    frames, channels = samples.shape
    width = {"int16": 2, "int32": 3, "float32": 4}[samples.dtype.name]
    kind = FLOAT if samples.dtype == np.float32 else PCM
    head = struct.pack(
        "<HHIIHH",
        kind,
        channels,
        sample_rate,
        sample_rate * channels * width,
        channels * width,
        width * 8,
    )
    chunks = [(b"fmt ", head if kind == PCM else head + b"\0\0")]
    if kind == FLOAT:
        chunks.append((b"fact", struct.pack("<I", frames)))
    chunks.append((b"data", _packed(samples)))
    if tags.bpm is not None and tags.beats is not None:
        chunks += [
            (b"acid", _acid(tags, tags.bpm, tags.beats)),
            (b"smpl", _smpl(frames, sample_rate, tags)),
        ]
    chunks.append((b"LIST", _info(tags)))
    body = b"WAVE" + b"".join(chunk(name, content) for name, content in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _packed(samples: NDArray[np.generic]) -> bytes:
    if samples.dtype != np.int32:
        return samples.astype(samples.dtype.newbyteorder("<")).tobytes()
    as_bytes = np.ascontiguousarray(samples, "<i4").view(np.uint8).reshape(-1, 4)
    return as_bytes[:, :3].tobytes()


def _acid(tags: Tags, bpm: float, beats: int) -> bytes:
    flags = STRETCHES | (ROOT_NOTE_KNOWN if tags.root_note is not None else 0)
    note = MIDDLE_C if tags.root_note is None else tags.root_note
    return struct.pack("<IHHfIHHf", flags, note, 0x8000, 0.0, beats, 4, 4, bpm)


def _smpl(frames: int, sample_rate: int, tags: Tags) -> bytes:
    note = MIDDLE_C if tags.root_note is None else tags.root_note
    period = round(1e9 / sample_rate)
    forward_for_ever = (0, 0, 0, frames - 1, 0, 0)
    return struct.pack("<9I", 0, 0, period, note, 0, 0, 0, 1, 0) + struct.pack(
        "<6I", *forward_for_ever
    )


def _info(tags: Tags) -> bytes:
    named: Sequence[tuple[bytes, str]] = (
        (b"INAM", tags.title),
        (b"ICMT", tags.comment),
        (b"ISFT", tags.software),
    )
    return b"INFO" + b"".join(chunk(name, text.encode() + b"\0") for name, text in named)


def chunk(name: bytes, content: bytes, order: ByteOrder = "little") -> bytes:
    """Return a chunk of a RIFF file, or with ``big`` of an IFF file, padded to an even length."""
    return name + len(content).to_bytes(4, order) + content + b"\0" * (len(content) % 2)
