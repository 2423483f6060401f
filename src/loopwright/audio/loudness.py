"""How loud audio is, and making it so. numpy only; audio is [channels, samples], full scale ±1."""

from __future__ import annotations

from typing import Literal

import numpy as np
import soxr
from numpy.typing import NDArray

Audio = NDArray[np.float32]
Normalize = Literal["peak", "loudness", "none"]

PEAK_DBFS = -0.1
"""Where peaks are put, in dB below full scale: as loud as a file can be, with room for a player's rounding."""

SILENCE = 1e-6
"""A peak below this (−120 dBFS) is silence: raising it would only raise rounding noise."""

OVERSAMPLING = 4
"""ITU-R BS.1770-5, annex 2: four times the rate shows the peaks between samples."""

GATE_SECONDS = 0.4
"""The shortest stretch a loudness is measured on (BS.1770)."""


def peak(audio: Audio) -> float:
    """The largest absolute sample; 0 for no samples."""
    return float(np.max(np.abs(audio), initial=0.0))


def true_peak(audio: Audio) -> float:
    """The largest absolute value of the wave between samples too."""
    finer = soxr.resample(audio.T, 1, OVERSAMPLING, quality="HQ")
    return max(peak(audio), float(np.max(np.abs(finer), initial=0.0)))


def loudness(loop: Audio, sample_rate: int) -> float:
    """Integrated loudness of a loop, repeated, in LUFS (BS.1770); minus infinity for silence."""
    import pyloudnorm

    repeats = max(2, -(-round(2 * GATE_SECONDS * sample_rate) // max(1, loop.shape[1])))
    return float(pyloudnorm.Meter(sample_rate).integrated_loudness(np.tile(loop, repeats).T))


def normalized(audio: Audio, how: Normalize, sample_rate: int, target_lufs: float) -> tuple[Audio, tuple[str, ...]]:
    """The audio at its level, and warnings. Silence stays as it is.

    ``peak``: the largest sample at PEAK_DBFS; ``loudness``: at ``target_lufs``, or as near as the true peak allows;
    ``none``: as it is, but for what would clip.
    """
    if peak(audio) < SILENCE:
        return audio, ()
    ceiling = 10 ** (PEAK_DBFS / 20)
    match how:
        case "peak":
            return _scaled(audio, ceiling / peak(audio)), ()
        case "none":
            clips = peak(audio) > 1
            return (
                (_scaled(audio, ceiling / peak(audio)), ("turned down, since it would have clipped",))
                if clips
                else (audio, ())
            )
        case "loudness":
            return _at_loudness(audio, sample_rate, target_lufs, ceiling / true_peak(audio))


def _at_loudness(audio: Audio, sample_rate: int, target_lufs: float, most: float) -> tuple[Audio, tuple[str, ...]]:
    is_now = loudness(audio, sample_rate)
    if not np.isfinite(is_now):
        return audio, ("too quiet for its loudness to be measured; left as it is",)
    wanted = 10 ** ((target_lufs - is_now) / 20)
    if wanted <= most:
        return _scaled(audio, wanted), ()
    reached = is_now + 20 * np.log10(most)
    return _scaled(audio, most), (f"{reached:.1f} LUFS instead of {target_lufs:g}, limited by its true peak",)


def _scaled(audio: Audio, gain: float) -> Audio:
    return audio * np.float32(gain)
