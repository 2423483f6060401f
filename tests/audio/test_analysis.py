"""Estimates of tempo and key, for loops whose tempo and key are known."""

from __future__ import annotations

import numpy as np
import pytest

from loopwright.audio.analysis import (
    FASTEST_BPM,
    SLOWEST_BPM,
    estimate,
    estimate_key,
    estimate_tempo,
    likely_octave,
)
from tests.sounds import RATE, drums, tone

HALF = 22050


@pytest.mark.parametrize("bpm", [80, 100, 124, 140])
def test_the_tempo_of_drums(bpm: int) -> None:
    found, confidence = estimate_tempo(drums(bpm, rate=HALF).mean(0), HALF)
    assert found == pytest.approx(bpm, rel=0.01)
    assert 0 < confidence <= 1


@pytest.mark.parametrize(("root", "hz"), [(0, 261.63), (9, 220.0), (8, 207.65)])
def test_the_key_of_a_chord(root: int, hz: float) -> None:
    chord = np.sum([tone(hz * 2 ** (step / 12), 4, HALF).mean(0) for step in (0, 4, 7, 12)], axis=0)
    found, confidence = estimate_key(chord.astype(np.float32), HALF)
    assert found == root
    assert 0 < confidence <= 1


@pytest.mark.parametrize(
    ("heard", "likely"), [(304, 152), (20, 80), (59, 118), (120, 120), (179, 179), (0, 110)]
)
def test_a_tempo_beyond_the_likely_ones_is_taken_an_octave_nearer(
    heard: float, likely: float
) -> None:
    assert likely_octave(heard) == likely


@pytest.mark.parametrize("seconds", [0.1, 0.2, 0.5, 0.7])
def test_short_sounds_have_a_likely_tempo(seconds: float) -> None:
    found, _ = estimate_tempo(drums(140, rate=HALF).mean(0)[: int(seconds * HALF)], HALF)
    assert SLOWEST_BPM <= found < FASTEST_BPM


def test_silence_and_clicks_are_no_trouble() -> None:
    for audio in (np.zeros((2, RATE), np.float32), tone(440, 0.2)):
        found = estimate(audio, RATE)
        assert np.isfinite([found.bpm, found.bpm_confidence, found.key, found.key_confidence]).all()


@pytest.mark.parametrize("seconds", [0.05, 0.3, 0.5, 1.0, 1.7])
def test_the_tempo_of_a_short_sound_is_a_usual_one(seconds: float) -> None:
    bpm, confidence = estimate_tempo(drums(120, 4)[0, : round(seconds * RATE)], RATE)
    assert 60 <= bpm < 180
    assert confidence <= 1
