"""The fast spectrum compared with a plain one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loopwright.audio.spectrum import SCALE, log_magnitude


@given(st.integers(0, 1000), st.floats(0, 2))
def test_the_fast_spectrum_equals_the_plain_one(seed: int, level: float) -> None:
    frames = level * np.random.default_rng(seed).normal(size=(5, 512)).astype(np.float32)
    plain = np.log1p(
        SCALE * np.abs(np.fft.rfft(frames.astype(np.float64) * np.hanning(512), axis=1))
    )
    made = log_magnitude(frames.astype(np.float32))
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, plain, rtol=1e-4, atol=1e-4)
