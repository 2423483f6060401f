"""Measures of a loop's sound. Audio is [2, samples] at 44100 Hz."""

from __future__ import annotations

import librosa
import numpy as np
import scipy.signal
from numpy.typing import NDArray
from tools.listen import SILENCE, onset_strength, onsets_in

from loopwright.audio.types import Audio
from tools import listen
from training.synth.drum_sounds import SAMPLE_RATE

Numbers = NDArray[np.float64]

PEAK_FFT, PEAK_HOP = 8192, 2048
PEAK_CENTS = 40
LOWEST_PEAK_HZ, HIGHEST_PEAK_HZ = 45.0, 8000.0
FAINTEST, FAINTEST_SHARE = 1e-3, 0.03
"""Amplitudes below which a peak does not count: absolute, and as a share of the loudest."""

ONSET_HOP = listen.HOP
DETECTION_HOP = 256
TEMPI = np.arange(60, 181, 0.5)


def onsets(audio: Audio) -> tuple[Numbers, Numbers]:
    """Find strong onsets, with silence put before the audio.

    Returns:
        Their times in seconds, and the onset envelope at ONSET_HOP.
    """
    strength = onset_strength(audio, SAMPLE_RATE)
    return onsets_in(strength, SAMPLE_RATE), strength[SILENCE // ONSET_HOP :]


def all_onsets(audio: Audio) -> Numbers:
    """Find onsets in seconds, faint ones too: librosa's threshold follows the surroundings."""
    found: Numbers = librosa.onset.onset_detect(
        y=audio.mean(0), sr=SAMPLE_RATE, hop_length=DETECTION_HOP, units="time"
    )
    return found


def share_on_grid(times: Numbers, bpm: float, tolerance: float) -> float:
    """Measure the share of times within ``tolerance`` seconds of a sixteenth; nan without times."""
    return listen.share_on_grid(times, bpm, tolerance) if len(times) else np.nan


def share_kept(source: Numbers, made: Numbers, tolerance: float) -> float:
    """Measure the share of a source's onsets found again within ``tolerance`` seconds.

    Returns:
        nan where the source has no onsets.
    """
    return listen.share_kept(source, np.append(made, np.inf), tolerance) if len(source) else np.nan


def tempo(envelope: Numbers) -> float:
    """Estimate the tempo whose beats, halves and quarters match the onset envelope best."""
    centred, seconds = (
        envelope - envelope.mean(),
        np.arange(len(envelope)) * ONSET_HOP / SAMPLE_RATE,
    )
    turns = np.exp(-2j * np.pi * seconds[None] * (TEMPI[:, None] / 60))
    scores = sum(
        (np.abs((centred * turns**times).sum(1)) for times in (1, 2, 4)), np.zeros(len(TEMPI))
    )
    return float(TEMPI[int(np.argmax(scores))])


def same_tempo(found: float, asked: float) -> bool:
    """Return whether a tempo is within 2 % of the requested one, its half or its double."""
    return any(abs(found / asked - ratio) < 0.02 * ratio for ratio in (0.5, 1.0, 2.0))


def mel_distance(one: Audio, other: Audio) -> float:
    """Compute the root mean square difference of log mel spectra, averaged over time, in dB."""
    first, second = (mel_level(audio) for audio in (one, other))
    return float(np.sqrt(((first - second) ** 2).mean(0)).mean())


def mel_level(audio: Audio) -> Numbers:
    """Compute the log mel spectrum of mid, its uppermost 80 dB: [96, frames]."""
    power = librosa.feature.melspectrogram(
        y=audio.mean(0), sr=SAMPLE_RATE, n_fft=2048, hop_length=512, n_mels=96, fmax=18000
    )
    level: Numbers = librosa.power_to_db(power + 1e-6)
    return level


def tonal_peaks(audio: Audio) -> list[tuple[Numbers, Numbers]]:
    """Find the peaks of mid's spectrum that last two frames (93 ms).

    Returns:
        Per frame, their frequencies (Hz) and amplitudes.
    """
    window = scipy.signal.get_window("hann", PEAK_FFT)
    frames = librosa.util.frame(audio.mean(0), frame_length=PEAK_FFT, hop_length=PEAK_HOP).T
    spectra = np.abs(np.fft.rfft(frames * window)) * 2 / window.sum()
    found = [_peaks(spectrum) for spectrum in spectra]
    nothing = np.zeros(0), np.zeros(0)
    kept = []
    for number, (hz, amplitude) in enumerate(found):
        before = found[number - 1][0] if number else nothing[0]
        after = found[number + 1][0] if number + 1 < len(found) else nothing[0]
        lasts = _near(hz, before) | _near(hz, after)
        kept.append((hz[lasts], amplitude[lasts]))
    return kept


def _peaks(spectrum: Numbers) -> tuple[Numbers, Numbers]:
    bins, _ = scipy.signal.find_peaks(
        spectrum, height=max(FAINTEST, FAINTEST_SHARE * spectrum.max())
    )
    around = np.log(np.stack([spectrum[bins - 1], spectrum[bins], spectrum[bins + 1]]) + 1e-12)
    # the top of a parabola through three bins
    shift = 0.5 * (around[0] - around[2]) / (around[0] - 2 * around[1] + around[2] - 1e-12)
    hz = (bins + shift) * SAMPLE_RATE / PEAK_FFT
    inside = (hz > LOWEST_PEAK_HZ) & (hz < HIGHEST_PEAK_HZ)
    return hz[inside], spectrum[bins][inside]


def _near(hz: Numbers, others: Numbers) -> NDArray[np.bool_]:
    """Return which frequencies have another within PEAK_CENTS, or within half a bin."""
    if not len(others) or not len(hz):
        return np.zeros(len(hz), bool)
    tolerance = np.maximum(hz * (2 ** (PEAK_CENTS / 1200) - 1), 0.5 * SAMPLE_RATE / PEAK_FFT)
    near: NDArray[np.bool_] = np.abs(hz[:, None] - others[None]).min(1) <= tolerance
    return near


def peaks_found(source: Audio, made: Audio) -> tuple[float, float]:
    """Compute recall and precision of tonal peaks, each weighted by its amplitude."""
    found = wanted = right = given = 0.0
    for (hz, amplitude), (made_hz, made_amplitude) in zip(
        tonal_peaks(source), tonal_peaks(made), strict=True
    ):
        found += float(amplitude[_near(hz, made_hz)].sum())
        wanted += float(amplitude.sum())
        right += float(made_amplitude[_near(made_hz, hz)].sum())
        given += float(made_amplitude.sum())
    return found / max(wanted, 1e-9), right / max(given, 1e-9)
