"""How far one result lies from another: latents by their error, audio by its noise and by its spectrum.

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
"""What lies further below the reference's loudest band is nothing: a difference of silences is none."""


def relative_error(made: Tensor, reference: Tensor) -> float:
    """The length of the difference, as a share of the reference's."""
    return float((made - reference).norm() / reference.norm())


def snr(made: Audio, reference: Audio) -> float:
    """The reference's energy over that of the difference, in dB."""
    return float(
        10 * np.log10(np.square(reference).sum() / max(np.square(made - reference).sum(), 1e-20))
    )


def mel_distance(made: Audio, reference: Audio, sample_rate: int) -> float:
    """The root mean square difference of two mel spectrograms, in dB, over bands and time."""
    one, other = (_mel(audio, sample_rate) for audio in (made, reference))
    floor = other.max() * 10 ** (-RANGE_DB / 10)
    difference = 10 * np.log10(np.maximum(one, floor) / np.maximum(other, floor))
    return float(np.sqrt(np.mean(np.square(difference))))


def _mel(audio: Audio, sample_rate: int) -> NDArray[np.float32]:
    """Power by band, [channels, bands, frames]."""
    spectrum: NDArray[np.float32] = librosa.feature.melspectrogram(
        y=audio, sr=sample_rate, n_fft=WINDOW, hop_length=HOP, n_mels=BANDS
    )
    return spectrum
