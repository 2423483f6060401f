"""The one type of audio in memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]
"""[channels, samples], full scale is ±1."""
