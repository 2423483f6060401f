"""The short-time spectra that onsets and seams are measured on.

Every loop passes here several times, so this is written for speed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SCALE = 100
"""Magnitudes far below 1 / SCALE count as nothing, so that noise has no onsets."""

CHUNK_FRAMES = 64
"""Frames at a time: what fits a core's cache is a third faster than all at once."""


def log_magnitude(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return log(1 + SCALE · |spectrum|) of frames under a Hann window.

    Args:
        frames: [count, size].

    Returns:
        [count, size // 2 + 1].
    """
    count, size = frames.shape
    window = np.hanning(size).astype(np.float32)
    level = np.empty((count, size // 2 + 1), np.float32)
    for start in range(0, count, CHUNK_FRAMES):
        chunk = slice(start, start + CHUNK_FRAMES)
        spectrum = np.fft.rfft(frames[chunk] * window, axis=1)
        np.log1p(SCALE * np.abs(spectrum), out=level[chunk], casting="same_kind")
    return level
