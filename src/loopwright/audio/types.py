"""The types of audio and of what is done to it at the end, each defined once for the package."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]
"""[channels, samples]; full scale is ±1."""

BitDepth = Literal[16, 24, 32]
"""Bits per sample of an output file; 16 and 24 are whole numbers, 32 is floating point."""

Normalize = Literal["peak", "loudness", "none"]
"""The level audio is brought to: a peak, a loudness, or the level it has."""
