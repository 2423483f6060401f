"""Whole numbers from floating-point audio, and the noise that is added to them."""

from __future__ import annotations

import numpy as np

from loopwright.audio.formats.samples import quantize
from tests.audio.formats.content import AUDIO


def test_dither_depends_on_the_seed() -> None:
    one, same, other = (quantize(AUDIO, 16, seed) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_silence_is_not_dithered() -> None:
    assert not quantize(np.zeros((2, 1000), np.float32), 16, 1).any()


def test_dither_makes_the_error_noise() -> None:
    """Without it a tone of half a step would be cut to nothing."""
    quiet = np.tile(np.sin(np.arange(44_100) * 0.1) * 0.5 / 32767, (2, 1)).astype(np.float32)
    samples = quantize(quiet, 16, 1)
    assert np.corrcoef(samples[:, 0], quiet[0])[0, 1] > 0.3


def test_samples_of_24_bits_are_not_dithered_and_stay_in_range() -> None:
    loudest = np.array([[1.0, -1.0], [0.0, 0.5]], np.float32)
    expected = [[8_388_607, 0], [-8_388_607, 4_194_304]]
    assert quantize(loudest, 24, 1).tolist() == expected
