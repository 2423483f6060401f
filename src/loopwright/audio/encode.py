"""Audio to bytes of a file. Knows formats; does not know requests or tempo."""

from __future__ import annotations

import io

import numpy as np
import soundfile
from numpy.typing import NDArray


def encode_wav(audio: NDArray[np.float32], sample_rate: int) -> bytes:
    """A 16-bit PCM WAV file of audio [channels, samples] within ±1, of exactly that many samples."""
    out = io.BytesIO()
    soundfile.write(out, audio.T, sample_rate, format="WAV", subtype="PCM_16")
    return out.getvalue()
