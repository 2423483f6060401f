"""Listen with numbers: onsets and the grid, keys, drums and tones, likeness, noise.

Audio is [channels, samples]. Tests, benchmarks and the training's evaluation share these measures.
"""

from __future__ import annotations

import librosa
import numpy as np
import scipy.signal
from numpy.typing import NDArray

HOP = 128
SILENCE = 32 * HOP
SHARE_OF_LOUDEST = 0.25
SHORTEST_GAP = 0.05

MINOR, MAJOR = (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 5, 7, 9, 11)
PARTS_FFT = 2048


def onsets(audio: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Return the times of the strong onsets, in seconds.

    An onset is a peak of at least a quarter of the loudest's flux. Silence is put before the audio,
    so that an onset on its first sample is one too.
    """
    return onsets_in(onset_strength(audio, sample_rate), sample_rate)


def onset_strength(audio: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """Return the flux at every HOP samples of audio with SILENCE put before it."""
    after_silence = np.pad(audio.mean(0), (SILENCE, 0))
    strength: NDArray[np.float64] = librosa.onset.onset_strength(
        y=after_silence, sr=sample_rate, hop_length=HOP, n_fft=1024
    )
    return strength


def onsets_in(strength: NDArray[np.float64], sample_rate: int) -> NDArray[np.float64]:
    """Return the times of the onsets in what ``onset_strength`` returns, in seconds."""
    floor = max(
        SHARE_OF_LOUDEST * np.percentile(strength, 99.5), strength.mean() + strength.std() / 2
    )
    peaks, _ = scipy.signal.find_peaks(
        strength, height=floor, distance=int(SHORTEST_GAP * sample_rate / HOP)
    )
    seconds: NDArray[np.float64] = np.maximum((peaks * HOP - SILENCE) / sample_rate, 0.0)
    return seconds


def share_on_grid(times: NDArray[np.float64], bpm: float, tolerance: float) -> float:
    """Return the share of times within ``tolerance`` seconds of a sixteenth."""
    sixteenth = 15 / bpm
    off = np.abs(times - np.round(times / sixteenth) * sixteenth)
    return float(np.mean(off <= tolerance))


def likeness(one: NDArray[np.float32], other: NDArray[np.float32], sample_rate: int) -> float:
    """Return how alike two sounds are: 1 for the same sound.

    This is the correlation of two log mel spectrograms over time and bands, with each band's mean
    subtracted.
    """
    spectra = []
    for audio in (one, other):
        mel = librosa.feature.melspectrogram(
            y=audio.mean(0), sr=sample_rate, n_fft=1024, hop_length=512, n_mels=40
        )
        level = np.log(mel + 1e-3)
        spectra.append((level - level.mean(1, keepdims=True)).ravel())
    return float(np.corrcoef(spectra)[0, 1])


def share_kept(source: NDArray[np.float64], made: NDArray[np.float64], tolerance: float) -> float:
    """Return the share of a source's onsets that are found again within ``tolerance`` seconds."""
    return float(np.mean([np.min(np.abs(made - time)) <= tolerance for time in source]))


def flatness(audio: NDArray[np.float32]) -> float:
    """Return the spectral flatness: 0 for a tone, 0.56 for white noise.

    This is the geometric over the arithmetic mean of the power spectrum of the whole at once: the
    mean of many spectra would be 1 for white noise, and high for any drum made of noise.
    """
    mono = audio.mean(0)
    power = np.square(np.abs(np.fft.rfft(mono * np.hanning(len(mono)))))[1:] + 1e-20
    return float(np.exp(np.log(power).mean()) / power.mean())


def level_dbfs(audio: NDArray[np.float32]) -> float:
    """Return the RMS level in dB relative to full scale."""
    return float(10 * np.log10(np.square(audio, dtype=np.float64).mean() + 1e-12))


def in_key(audio: NDArray[np.float32], sample_rate: int, root: int, *, minor: bool) -> float:
    """Return the share of a constant-Q chromagram's energy in the notes of a key.

    Args:
        audio: [channels, samples].
        sample_rate: In hertz.
        root: The key's tonic in semitones above C.
        minor: Whether the scale is natural minor instead of major.
    """
    chroma = librosa.feature.chroma_cqt(
        y=audio.mean(0), sr=sample_rate, hop_length=2048, fmin=32.7, n_octaves=6, norm=None
    )
    energy = chroma.mean(1) ** 2
    scale = [(root + note) % 12 for note in (MINOR if minor else MAJOR)]
    return float(energy[scale].sum() / (energy.sum() + 1e-12))


def band_energy(
    audio: NDArray[np.float32], sample_rate: int, lowest_hz: float, highest_hz: float
) -> float:
    """Return the root mean square of the mid channel between two frequencies."""
    spectrum = np.abs(np.fft.rfft(audio.mean(0).astype(np.float64))) ** 2
    hz = np.fft.rfftfreq(audio.shape[1], 1 / sample_rate)
    within = spectrum[(hz >= lowest_hz) & (hz < highest_hz)].sum()
    return float(np.sqrt(2 * within) / audio.shape[1])


def tonal_energy(audio: NDArray[np.float32], sample_rate: int) -> float:
    """Return the level of the harmonic part from 130 to 4000 Hz, between kicks and hi-hats.

    The parts are separated by median filtering (Fitzgerald 2010).
    """
    harmonic, _, hz = _harmonic_and_percussive(audio, sample_rate)
    return _level(harmonic[(hz > 130) & (hz < 4000)])


def percussive_energy(audio: NDArray[np.float32], sample_rate: int) -> float:
    """Return the level of the percussive part above 200 Hz."""
    _, percussive, hz = _harmonic_and_percussive(audio, sample_rate)
    return _level(percussive[hz > 200])


def _harmonic_and_percussive(
    audio: NDArray[np.float32], sample_rate: int
) -> tuple[NDArray[np.complex64], NDArray[np.complex64], NDArray[np.float64]]:
    """Return both parts' spectra, [bins, frames], and the bins' frequencies."""
    spectrum = librosa.stft(audio.mean(0), n_fft=PARTS_FFT, hop_length=512)
    harmonic, percussive = librosa.decompose.hpss(spectrum, margin=2.0)
    return harmonic, percussive, librosa.fft_frequencies(sr=sample_rate, n_fft=PARTS_FFT)


def _level(spectrum: NDArray[np.complex64]) -> float:
    """Return the root mean square of a spectrum's signal."""
    return float(np.sqrt((np.abs(spectrum).astype(np.float64) ** 2).sum(0).mean()) / PARTS_FFT)
