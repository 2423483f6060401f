"""Medians, ratios of pairs, likeness of sounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from bench.figures import Figure, figure, paired, snr_db, times_faster
from numpy.typing import NDArray


def sound(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((2, 20_000)).astype(np.float32)


def test_a_figure_is_the_median_and_the_spread() -> None:
    assert figure([3.0, 1.0, 9.0]) == Figure(3.0, 1.0, 9.0, 3)
    assert figure([4.0, 1.0]) == Figure(2.5, 1.0, 4.0, 2)
    assert figure([]) is None


def test_ratios_are_taken_pair_by_pair() -> None:
    # the machine was half as fast in round 2: a ratio of medians would say 1.5 or so
    reference, ours = {1: 10.0, 2: 20.0, 3: 10.4}, {1: 5.0, 2: 10.0, 3: 5.2}
    assert times_faster(reference, ours) == Figure(2.0, 2.0, 2.0, 3)


def test_what_has_no_partner_does_not_count() -> None:
    assert paired({1: 6.0, 2: 8.0}, {2: 2.0, 3: 1.0}, lambda a, b: a - b) == Figure(
        6.0, 6.0, 6.0, 1
    )
    assert times_faster({1: 6.0}, {2: 3.0}) is None


def test_snr_is_that_of_the_difference_whatever_the_level() -> None:
    wanted = sound(1)
    noisy = wanted + 0.01 * sound(2)
    assert snr_db(wanted, noisy) == pytest.approx(40, abs=0.1)
    assert snr_db(wanted, np.float32(0.3) * noisy) == pytest.approx(snr_db(wanted, noisy), abs=1e-4)
    assert snr_db(wanted, sound(3)) == pytest.approx(0, abs=0.1)
    assert snr_db(wanted, wanted) > 120


def test_silence_is_like_nothing_and_other_lengths_are_an_error() -> None:
    assert snr_db(sound(1), np.zeros_like(sound(1))) == -math.inf
    with pytest.raises(ValueError, match=r"\(2, 20000\) and \(2, 10\)"):
        snr_db(sound(1), sound(1)[:, :10])
