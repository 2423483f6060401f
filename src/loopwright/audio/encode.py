"""Audio to bytes of a file. Knows formats, sample widths, dither; does not know requests or tempo beyond what tags say."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from loopwright.audio.tags import tag_flac, tag_mp3, tag_opus
from loopwright.audio.types import Audio, BitDepth, Format
from loopwright.audio.wav import Tags, wav_bytes

MEDIA_TYPES: dict[Format, str] = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
}
OPUS_RATE = 48_000
BLOCK_SAMPLES = 48_000


def encode(
    audio: Audio,
    sample_rate: int,
    tags: Tags,
    *,
    kind: Format = "wav",
    bit_depth: BitDepth = 16,
    seed: int = 0,
) -> bytes:
    """A file of audio [2, samples] within ±1: exactly that many samples, but for MP3, which adds some at both ends.

    Opus is always at 48 kHz; its length is the exact one, rounded up to a whole sample there. ``seed`` is of the dither.
    """
    match kind:
        case "wav":
            return wav_bytes(_quantised(audio, bit_depth, seed), sample_rate, tags)
        case "flac":
            subtype = "PCM_24" if bit_depth == 24 else "PCM_16"
            samples = _quantised(audio, 24 if bit_depth == 24 else 16, seed)
            left_aligned = np.left_shift(samples, 8) if samples.dtype == np.int32 else samples
            return tag_flac(_written(left_aligned, sample_rate, "FLAC", subtype), tags)
        case "mp3":
            return tag_mp3(_written(audio.T, sample_rate, "MP3", "MPEG_LAYER_III"), tags)
        case "ogg":
            return tag_opus(
                _written(_at_48_khz(audio, sample_rate), OPUS_RATE, "OGG", "OPUS"), tags
            )


def _quantised(audio: Audio, bit_depth: BitDepth, seed: int) -> NDArray[Any]:
    """[samples, 2] as int16, int32 (of 24 bits) or float32.

    16 bits are dithered (TPDF, Lipshitz et al. 1992); silence is not.
    """
    if bit_depth == 32:
        return np.ascontiguousarray(audio.T)
    full = 2 ** (bit_depth - 1) - 1
    scaled = audio.T.astype(np.float64) * full
    if bit_depth == 16 and audio.any():
        noise = np.random.default_rng(seed)
        scaled += noise.random(scaled.shape) - noise.random(scaled.shape)
    whole: NDArray[np.float64] = np.clip(np.rint(scaled), -full - 1, full)
    return whole.astype(np.int16 if bit_depth == 16 else np.int32)


def _at_48_khz(audio: Audio, sample_rate: int) -> Audio:
    # rounded up: a browser that resamples it back rounds down, and a loop must not come out short
    samples = -(-audio.shape[1] * OPUS_RATE // sample_rate)
    resampled: Audio = soxr.resample(audio.T, sample_rate, OPUS_RATE, quality="VHQ")[:samples]
    return np.pad(resampled, ((0, samples - len(resampled)), (0, 0)))


def _written(samples: NDArray[np.generic], sample_rate: int, kind: str, subtype: str) -> bytes:
    out = io.BytesIO()
    with soundfile.SoundFile(out, "w", sample_rate, samples.shape[1], subtype, format=kind) as file:
        for start in range(
            0, len(samples), BLOCK_SAMPLES
        ):  # libsndfile crashes on a long OGG written in one call
            file.write(samples[start : start + BLOCK_SAMPLES])
    return out.getvalue()
