"""Seams of audio for which the result is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.audio.seam import join, measure_seam, tail_samples
from tests.sounds import RATE, drums, tone


def test_a_tone_cut_anywhere_is_joined_without_a_click() -> None:
    samples = 60_123  # not whole periods
    audio = tone(221.3, 2)
    plain = measure_seam(audio[:, :samples], RATE)
    joined = measure_seam(join(audio[:, : samples + 3528], samples), RATE)
    assert plain.jump > 10
    assert joined.jump < 3
    assert joined.flux < plain.flux / 2


def test_the_tail_runs_on_over_the_seam() -> None:
    """A sound that rings at the end rings on at the start."""
    audio = np.zeros((2, 50_000), np.float32)
    audio[:, 39_000:45_000] = tone(300, 6000 / RATE)[:, :6000]
    loop = join(audio[:, :43_528], 40_000)
    assert abs(measure_seam(loop, RATE).level_step_db) < 3
    assert abs(measure_seam(audio[:, :40_000], RATE).level_step_db) > 30


def test_the_first_attack_stays_on_the_first_sample() -> None:
    loop = join(np.tile(drums(120, 4), 2)[:, : 88_200 + 3528], 88_200)
    assert np.abs(loop - drums(120, 4)).max() < 1e-5


def test_power_is_kept_for_noise_and_for_audio_that_repeats() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 93_528)).astype(np.float32)
    for audio in (noise, np.tile(noise[:, :90_000], 2)[:, :93_528]):
        head = join(audio, 90_000)[:, :220]
        assert np.sqrt(np.mean(head**2)) == pytest.approx(0.1, rel=0.15)


@given(samples=st.integers(3_000, 20_000), room=st.integers(0, 5_000))
def test_the_length_is_exact_and_the_rest_untouched(samples: int, room: int) -> None:
    audio = np.random.default_rng(samples).normal(0, 0.1, (2, samples + room)).astype(np.float32)
    tail = tail_samples(RATE, room)
    loop = join(audio[:, : samples + tail], samples)
    assert loop.shape == (2, samples)
    assert np.array_equal(loop[:, tail:], audio[:, tail:samples])


def test_silence_measures_nothing() -> None:
    seam = measure_seam(np.zeros((2, 44_100), np.float32), RATE)
    assert (seam.jump, seam.flux, seam.level_step_db) == (0, 0, 0)
