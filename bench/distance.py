"""How far one result is from another: error of latents, noise and spectrum of audio.

Knows: tensors and audio, [channels, …]. Does not know: what made them.
"""

from __future__ import annotations

import librosa
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from loopwright.audio.types import Audio

BANDS, WINDOW, HOP = 64, 2048, 512
RANGE_DB = 80.0
"""Bands further below the reference's loudest do not count: silences do not differ."""


def relative_error(made: Tensor, reference: Tensor) -> float:
    """Return the norm of the difference, as a share of the reference's norm."""
    return float((made - reference).norm() / reference.norm())


def snr(made: Audio, reference: Audio) -> float:
    """Return the signal-to-noise ratio: the reference's energy over the difference's, in dB."""
    return float(
        10 * np.log10(np.square(reference).sum() / max(np.square(made - reference).sum(), 1e-20))
    )


def mel_distance(made: Audio, reference: Audio, sample_rate: int) -> float:
    """Return the root mean square difference of two mel spectrograms over bands and time, in dB."""
    one, other = (_mel(audio, sample_rate) for audio in (made, reference))
    floor = other.max() * 10 ** (-RANGE_DB / 10)
    difference = 10 * np.log10(np.maximum(one, floor) / np.maximum(other, floor))
    return float(np.sqrt(np.mean(np.square(difference))))


def _mel(audio: Audio, sample_rate: int) -> NDArray[np.float32]:
    """Return the power by band, [channels, bands, frames]."""
    spectrum: NDArray[np.float32] = librosa.feature.melspectrogram(
        y=audio, sr=sample_rate, n_fft=WINDOW, hop_length=HOP, n_mels=BANDS
    )
    return spectrum
