"""Peaks compared with those of scipy.signal."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st

from loopwright.audio.peaks import find_peaks

LEVELS = st.lists(st.integers(0, 6), max_size=60)
"""Few levels: many plateaus and equal heights."""


def library(curve: np.ndarray, height: float, distance: int, prominence: float) -> list[int]:
    found, _ = scipy.signal.find_peaks(
        curve, height=height, distance=distance, prominence=prominence
    )
    return [int(place) for place in found]


@given(LEVELS, st.integers(0, 5), st.integers(1, 8), st.integers(0, 4))
def test_plateaus_and_equal_peaks(
    levels: list[int], height: float, distance: int, prominence: float
) -> None:
    # each its own height: the order of equal ones is the library's sort's
    curve = np.array(levels, dtype=np.float64)
    ours = find_peaks(curve, height=height, distance=1, prominence=prominence)
    assert ours.tolist() == library(curve, height, 1, prominence)
    unequal = curve + np.arange(len(curve)) * 1e-6
    ours = find_peaks(unequal, height=height, distance=distance, prominence=prominence)
    assert ours.tolist() == library(unequal, height, distance, prominence)


@pytest.mark.parametrize("seed", range(20))
def test_curves_of_a_loops_length(seed: int) -> None:
    curve = np.random.default_rng(seed).gamma(0.3, 1.0, 4700)
    ours = find_peaks(curve, height=0.5, distance=28, prominence=0.25)
    assert len(ours) > 50
    assert ours.tolist() == library(curve, 0.5, 28, 0.25)


@pytest.mark.parametrize("length", range(4))
def test_what_is_too_short_for_a_peak(length: int) -> None:
    curve = np.arange(length, dtype=np.float64) % 2
    assert find_peaks(curve, height=0, distance=1, prominence=0).tolist() == (
        [1] if length == 3 else []
    )
