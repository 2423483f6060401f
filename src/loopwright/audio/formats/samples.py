"""From floating-point audio to what encoders take, and libsndfile's encoders."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from loopwright.audio.types import Audio, BitDepth

BLOCK_SAMPLES = 48_000


def quantize(audio: Audio, bit_depth: BitDepth, dither_seed: int) -> NDArray[Any]:
    """Turn audio into samples of a bit depth.

    Samples of 16 bits are dithered with triangular noise (TPDF; Lipshitz, Wannamaker and
    Vanderkooy 1992), so that what is quieter than a step stays audible. Silence is not: it has
    nothing to save, and noise in it would be heard.

    Args:
        audio: [channels, samples], within ±1.
        bit_depth: Bits per sample.
        dither_seed: Seed of the noise.

    Returns:
        [samples, channels]: int16, int32 in the range of 24 bits, or float32 as it was.
    """
    if bit_depth == 32:
        return np.ascontiguousarray(audio.T)
    full_scale = 2 ** (bit_depth - 1) - 1
    scaled = audio.T.astype(np.float64) * full_scale
    if bit_depth == 16 and audio.any():
        noise = np.random.default_rng(dither_seed)
        scaled += noise.random(scaled.shape) - noise.random(scaled.shape)
    whole: NDArray[np.float64] = np.clip(np.rint(scaled), -full_scale - 1, full_scale)
    return whole.astype(np.int16 if bit_depth == 16 else np.int32)


def encode_with_libsndfile(
    samples: NDArray[np.generic], sample_rate: int, container: str, codec: str
) -> bytes:
    """Encode samples [samples, channels] as a file; container and codec by libsndfile's names."""
    out = io.BytesIO()
    channels = samples.shape[1]
    with soundfile.SoundFile(out, "w", sample_rate, channels, codec, format=container) as file:
        # libsndfile crashes on a long Ogg file that is written in one call
        for start in range(0, len(samples), BLOCK_SAMPLES):
            file.write(samples[start : start + BLOCK_SAMPLES])
    return out.getvalue()
