"""Listening with numbers: onsets, and how they sit on the grid."""

from __future__ import annotations

import librosa
import numpy as np
import scipy.signal
from numpy.typing import NDArray

HOP = 128
SILENCE = 32 * HOP
SHARE_OF_LOUDEST = 0.25
SHORTEST_GAP = 0.05


def onsets(audio: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Seconds of the strong onsets of audio [channels, samples]: peaks of at least a quarter of the loudest's flux.

    Silence is put before the audio, so that an onset on its first sample is one too.
    """
    return onsets_in(onset_strength(audio, sample_rate), sample_rate)


def onset_strength(audio: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Flux every HOP samples of audio [channels, samples] with SILENCE before it."""
    after_silence = np.pad(audio.mean(0), (SILENCE, 0))
    strength: NDArray[np.float64] = librosa.onset.onset_strength(
        y=after_silence, sr=sample_rate, hop_length=HOP, n_fft=1024
    )
    return strength


def onsets_in(strength: NDArray[np.float64], sample_rate: int) -> NDArray[np.float64]:
    """``onsets``, of what ``onset_strength`` gives."""
    floor = max(
        SHARE_OF_LOUDEST * np.percentile(strength, 99.5), strength.mean() + strength.std() / 2
    )
    peaks, _ = scipy.signal.find_peaks(
        strength, height=floor, distance=int(SHORTEST_GAP * sample_rate / HOP)
    )
    seconds: NDArray[np.float64] = np.maximum((peaks * HOP - SILENCE) / sample_rate, 0.0)
    return seconds


def share_on_grid(times: NDArray[np.float64], bpm: float, tolerance: float) -> float:
    """The share of times within ``tolerance`` seconds of a sixteenth."""
    sixteenth = 15 / bpm
    off = np.abs(times - np.round(times / sixteenth) * sixteenth)
    return float(np.mean(off <= tolerance))


def likeness(one: NDArray[np.float32], other: NDArray[np.float32], sample_rate: int) -> float:
    """Correlation of two log mel spectrograms over time and bands, each band's mean taken off: 1 is the same sound."""
    spectra = []
    for audio in (one, other):
        mel = librosa.feature.melspectrogram(
            y=audio.mean(0), sr=sample_rate, n_fft=1024, hop_length=512, n_mels=40
        )
        level = np.log(mel + 1e-3)
        spectra.append((level - level.mean(1, keepdims=True)).ravel())
    return float(np.corrcoef(spectra)[0, 1])


def share_kept(source: NDArray[np.float64], made: NDArray[np.float64], tolerance: float) -> float:
    """The share of a source's onsets that are found again within ``tolerance`` seconds."""
    return float(np.mean([np.min(np.abs(made - time)) <= tolerance for time in source]))


def flatness(audio: NDArray[np.float32]) -> float:
    """Geometric over arithmetic mean of the power spectrum of audio [channels, samples]: a tone 0, white noise .56.

    Of the whole at once: the mean of many spectra would be 1 for white noise, and high for any drum of noise.
    """
    mono = audio.mean(0)
    power = np.square(np.abs(np.fft.rfft(mono * np.hanning(len(mono)))))[1:] + 1e-20
    return float(np.exp(np.log(power).mean()) / power.mean())


def level_dbfs(audio: NDArray[np.float32]) -> float:
    """RMS level of audio [channels, samples]."""
    return float(10 * np.log10(np.square(audio, dtype=np.float64).mean() + 1e-12))
