"""How loud audio is, and making it so. numpy only; audio is [channels, samples], full scale ±1."""

from __future__ import annotations

import numpy as np
import soxr

from loopwright.audio.types import Audio, Normalize

PEAK_DBFS = -0.1
"""Where peaks are put, in dB below full scale: as loud as a file can be, with room for a player's rounding."""

SILENCE_DBFS = -60.0
"""A peak below this, in dB below full scale, is silence: what a model's decoder hums by itself, not music."""

QUIET_NOISE_DBFS = -30.0
"""Noise whose peak is below this is silence too: what is left where a model has nothing to play."""

NOISE_FLATNESS = 0.3
"""Above this spectral flatness audio is noise: tones have next to 0, drums up to .25, white noise .56."""

MAX_GAIN_DB = 30.0
"""The most that audio is raised, in dB: beyond it, what is raised is mostly noise."""

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


def is_silent(audio: Audio) -> bool:
    """Tell whether there is nothing to hear: a peak below SILENCE_DBFS, or quiet noise alone."""
    loudest = peak(audio)
    if loudest < gain_of(SILENCE_DBFS):
        return True
    return loudest < gain_of(QUIET_NOISE_DBFS) and is_noise(audio)


def is_noise(audio: Audio) -> bool:
    """Tell whether the spectral flatness of audio is above NOISE_FLATNESS.

    Flatness is the geometric over the arithmetic mean of the power spectrum (Johnston 1988), here of
    all audio at once: one window has no mean over time that would flatten the noise of drums.
    """
    mono = audio.mean(0)
    size = 1 << (len(mono) - 1).bit_length()  # other sizes take several times as long
    power = np.square(np.abs(np.fft.rfft(mono * np.hanning(len(mono)), size)[1:])) + 1e-20
    return float(np.exp(np.log(power).mean()) / power.mean()) > NOISE_FLATNESS


def gain_of(decibels: float) -> float:
    """Return the factor that so many dB are."""
    return float(10 ** (decibels / 20))


def decibels_of(gain: float) -> float:
    """Return a factor above 0 in dB."""
    return float(20 * np.log10(gain))


def normalized(
    audio: Audio, how: Normalize, sample_rate: int, target_lufs: float
) -> tuple[Audio, tuple[str, ...]]:
    """Bring audio to its level. Silence stays as it is; nothing is raised by more than MAX_GAIN_DB.

    Args:
        audio: [channels, samples].
        how: ``peak`` puts the largest sample at PEAK_DBFS; ``loudness`` goes to ``target_lufs``, or
            as near as the true peak allows; ``none`` leaves the level, but for what would clip.
        sample_rate: Hz.
        target_lufs: LUFS, for ``loudness``.

    Returns:
        The audio, and warnings that say where it did not reach its level.
    """
    if is_silent(audio):
        return audio, ()
    ceiling = gain_of(PEAK_DBFS)
    match how:
        case "peak":
            return _at_peak(audio, ceiling)
        case "none":
            if peak(audio) <= 1:
                return audio, ()
            return _scaled(audio, ceiling / peak(audio)), (
                "turned down, since it would have clipped",
            )
        case "loudness":
            return _at_loudness(audio, sample_rate, target_lufs, ceiling / true_peak(audio))


def _at_peak(audio: Audio, ceiling: float) -> tuple[Audio, tuple[str, ...]]:
    wanted, most = ceiling / peak(audio), gain_of(MAX_GAIN_DB)
    if wanted <= most:
        return _scaled(audio, wanted), ()
    reached = decibels_of(peak(audio) * most)
    warning = (
        f"a peak of {reached:.1f} dBFS instead of {PEAK_DBFS:g}: "
        f"the audio is so quiet that the most it is raised by, {MAX_GAIN_DB:g} dB, is not enough"
    )
    return _scaled(audio, most), (warning,)


def _at_loudness(
    audio: Audio, sample_rate: int, target_lufs: float, most_unclipped: float
) -> tuple[Audio, tuple[str, ...]]:
    """Go to ``target_lufs``, by ``most_unclipped`` (a factor) and MAX_GAIN_DB at most."""
    is_now = loudness(audio, sample_rate)
    if not np.isfinite(is_now):
        return audio, ("too quiet for its loudness to be measured; left as it is",)
    wanted, most = gain_of(target_lufs - is_now), min(most_unclipped, gain_of(MAX_GAIN_DB))
    if wanted <= most:
        return _scaled(audio, wanted), ()
    limit = (
        "its true peak"
        if most == most_unclipped
        else f"the most it is raised by, {MAX_GAIN_DB:g} dB"
    )
    reached = is_now + decibels_of(most)
    return _scaled(audio, most), (
        f"{reached:.1f} LUFS instead of {target_lufs:g}, limited by {limit}",
    )


def _scaled(audio: Audio, gain: float) -> Audio:
    return audio * np.float32(gain)
