"""How loud audio is, and bringing it to a level. Audio is [channels, samples], within ±1."""

from __future__ import annotations

import numpy as np
import soxr

from loopwright.audio.types import Audio, Normalize

PEAK_DBFS = -0.1
"""The level of peaks, in dB below full scale: loud, with room for the rounding of players."""

SILENCE_DBFS = -60.0
"""Audio with a lower peak is silence: what a model's decoder hums by itself, not music."""

QUIET_NOISE_DBFS = -30.0
"""Noise with a lower peak is silence too: what is left where a model has nothing to play."""

NOISE_FLATNESS = 0.3
"""Audio of a higher spectral flatness is noise: tones have about 0, drums up to 0.25, white noise
0.56."""

MAX_GAIN_DB = 30.0
"""The most that audio is raised: beyond it, what is raised is mostly noise."""

OVERSAMPLING = 4
"""Peaks between samples show at four times the sample rate (ITU-R BS.1770-5, annex 2)."""

GATE_SECONDS = 0.4
"""The shortest audio that a loudness is measured on (BS.1770)."""


def peak(audio: Audio) -> float:
    """Return the largest absolute sample; 0 for no samples."""
    return float(np.max(np.abs(audio), initial=0.0))


def true_peak(audio: Audio) -> float:
    """Return the largest absolute value of the wave, between samples too."""
    oversampled = soxr.resample(audio.T, 1, OVERSAMPLING, quality="HQ")
    return max(peak(audio), peak(oversampled))


def loudness(loop: Audio, sample_rate: int) -> float:
    """Return the integrated loudness of a loop that repeats, in LUFS (BS.1770).

    Returns:
        Minus infinity for silence.
    """
    import pyloudnorm

    # measured over the seam too, and long enough for the meter's gate
    shortest = round(2 * GATE_SECONDS * sample_rate)
    repeats = max(2, -(-shortest // max(1, loop.shape[1])))
    repeated = np.tile(loop, repeats).T
    return float(pyloudnorm.Meter(sample_rate).integrated_loudness(repeated))


def is_silent(audio: Audio) -> bool:
    """Return whether there is nothing to hear: a low peak, or quiet noise alone."""
    loudest = peak(audio)
    if loudest < db_to_gain(SILENCE_DBFS):
        return True
    return loudest < db_to_gain(QUIET_NOISE_DBFS) and is_noise(audio)


def is_noise(audio: Audio) -> bool:
    """Return whether the spectral flatness of audio is above NOISE_FLATNESS.

    Flatness is the geometric over the arithmetic mean of the power spectrum (Johnston 1988), here
    of all audio at once: one window has no mean over time, which would flatten the noise of drums.
    """
    mono = audio.mean(0)
    size = 1 << (len(mono) - 1).bit_length()  # transforms of other sizes take several times as long
    spectrum = np.fft.rfft(mono * np.hanning(len(mono)), size)
    power = np.square(np.abs(spectrum[1:])) + 1e-20
    geometric_mean = np.exp(np.log(power).mean())
    flatness = float(geometric_mean / power.mean())
    return flatness > NOISE_FLATNESS


def db_to_gain(decibels: float) -> float:
    """Return the factor that a number of dB stands for."""
    return float(10 ** (decibels / 20))


def gain_to_db(gain: float) -> float:
    """Return a factor above 0 in dB."""
    return float(20 * np.log10(gain))


def normalize(
    audio: Audio, how: Normalize, sample_rate: int, target_lufs: float
) -> tuple[Audio, tuple[str, ...]]:
    """Bring audio to its level. Silence stays as it is; gains are at most MAX_GAIN_DB.

    Args:
        audio: [channels, samples].
        how: ``peak`` puts the largest sample at PEAK_DBFS; ``loudness`` goes to ``target_lufs``, or
            as near as the true peak allows; ``none`` keeps the level, unless it would clip.
        sample_rate: Hz.
        target_lufs: The level for ``loudness``, in LUFS.

    Returns:
        The audio, and warnings that say where it did not reach its level.
    """
    if is_silent(audio):
        return audio, ()
    ceiling = db_to_gain(PEAK_DBFS)
    match how:
        case "peak":
            return _normalize_peak(audio, ceiling)
        case "none":
            if peak(audio) <= 1:
                return audio, ()
            lowered = _amplify(audio, ceiling / peak(audio))
            return lowered, ("turned down, since it would have clipped",)
        case "loudness":
            return _normalize_loudness(audio, sample_rate, target_lufs, ceiling)


def _normalize_peak(audio: Audio, ceiling: float) -> tuple[Audio, tuple[str, ...]]:
    wanted, most = ceiling / peak(audio), db_to_gain(MAX_GAIN_DB)
    if wanted <= most:
        return _amplify(audio, wanted), ()
    reached = gain_to_db(peak(audio) * most)
    warning = (
        f"a peak of {reached:.1f} dBFS instead of {PEAK_DBFS:g}: "
        f"the audio is so quiet that the largest gain, {MAX_GAIN_DB:g} dB, is not enough"
    )
    return _amplify(audio, most), (warning,)


def _normalize_loudness(
    audio: Audio, sample_rate: int, target_lufs: float, ceiling: float
) -> tuple[Audio, tuple[str, ...]]:
    current = loudness(audio, sample_rate)
    if not np.isfinite(current):
        return audio, ("too quiet for its loudness to be measured; left as it is",)
    wanted, unclipped = db_to_gain(target_lufs - current), ceiling / true_peak(audio)
    most = min(unclipped, db_to_gain(MAX_GAIN_DB))
    if wanted <= most:
        return _amplify(audio, wanted), ()
    limit = "its true peak" if most == unclipped else f"the largest gain, {MAX_GAIN_DB:g} dB"
    reached = current + gain_to_db(most)
    warning = f"{reached:.1f} LUFS instead of {target_lufs:g}, limited by {limit}"
    return _amplify(audio, most), (warning,)


def _amplify(audio: Audio, gain: float) -> Audio:
    # a factor of 64 bits would make the audio of 64 bits too
    return audio * np.float32(gain)
