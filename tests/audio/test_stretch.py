"""Stretched loops: onsets on the grid, exact lengths, and the right pitch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopwright.audio.stretch import stretch, stretch_loop
from tests.sounds import RATE, drums, tone


def attack_errors(audio: np.ndarray, bpm: float) -> np.ndarray:
    """Return how far each eighth, where it reaches half its level, is from the grid, in seconds."""
    level = np.sqrt(np.convolve(audio.mean(0) ** 2, np.ones(64) / 64)[: audio.shape[1]])
    errors = []
    for eighth in range(1, round(audio.shape[1] / RATE * bpm / 30)):
        at = round(eighth * 30 / bpm * RATE)
        around = level[at - 2000 : at + 2000]
        errors.append((int(np.argmax(around > around.max() / 2)) - 2000) / RATE)
    return np.array(errors)


@pytest.mark.parametrize(
    ("original", "target"), [(100, 140), (140, 100), (120, 125), (128, 174), (90, 60)]
)
def test_onsets_are_within_5_ms_of_the_target_grid(original: int, target: int) -> None:
    samples = round(16 * 60 / target * RATE)
    for make in (stretch, stretch_loop):
        out = make(drums(original), RATE, samples)
        assert out.shape == (2, samples)
        assert np.abs(attack_errors(out, target)).max() < 0.005


def test_pitch_stays_and_moves() -> None:
    audio = tone(440, 2)
    for semitones, hz in ((0, 440), (12, 880), (-5, 440 * 2 ** (-5 / 12))):
        out = stretch(audio, RATE, 66150, semitones)
        spectrum = np.abs(np.fft.rfft(out[0] * np.hanning(out.shape[1])))
        assert spectrum.argmax() * RATE / out.shape[1] == pytest.approx(hz, rel=0.005)


def test_a_loops_seam_stays_whole() -> None:
    """A sine of a whole number of periods stays one."""
    out = stretch_loop(tone(440, 2), RATE, 70000)
    jump = np.abs(out[:, 0] - out[:, -1]).max()
    assert jump < 2 * np.abs(np.diff(out[0])).max()


def test_a_loop_of_the_right_length_is_returned_as_it_is() -> None:
    audio = drums(120, 4)
    assert stretch_loop(audio, RATE, audio.shape[1]) is audio


def test_the_same_audio_gives_the_same_result() -> None:
    assert np.array_equal(stretch(drums(120, 4), RATE, 70001), stretch(drums(120, 4), RATE, 70001))


@settings(max_examples=15)
@given(samples=st.integers(20_000, 200_000), channels=st.sampled_from([1, 2]))
def test_the_length_is_exact(samples: int, channels: int) -> None:
    assert stretch(tone(220, 1, channels=channels), RATE, samples).shape == (channels, samples)
