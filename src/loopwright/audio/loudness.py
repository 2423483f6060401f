"""How loud audio is, and making it so. numpy only; audio is [channels, samples], full scale ±1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PEAK_DBFS = -0.1
"""Where peaks are put, in dB below full scale: as loud as a file can be, with room for a player's rounding."""

SILENCE = 1e-6
"""A peak below this (−120 dBFS) is silence: raising it would only raise rounding noise."""


def peak(audio: NDArray[np.float32]) -> float:
    """The largest absolute sample; 0 for no samples."""
    return float(np.max(np.abs(audio), initial=0.0))


def normalize_peak(audio: NDArray[np.float32], dbfs: float = PEAK_DBFS) -> NDArray[np.float32]:
    """The audio scaled so that its largest sample is at ``dbfs``; silence stays as it is."""
    loudest = peak(audio)
    if loudest < SILENCE:
        return audio
    return audio * np.float32(10 ** (dbfs / 20) / loudest)
