"""The one type of audio in memory."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]
"""[channels, samples], full scale is ±1."""

Format = Literal["wav", "flac", "mp3", "ogg"]
"""The kinds of files that audio is encoded as; ``ogg`` is Opus."""
