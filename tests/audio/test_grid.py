"""Known offsets are found and removed; audio without clear onsets stays as it is."""

from __future__ import annotations

import numpy as np
import pytest

from loopwright.audio.grid import align, measure_grid, onsets
from tests.sounds import RATE, drums, tone


@pytest.mark.parametrize("bpm", [80, 124, 174])
@pytest.mark.parametrize("offset_ms", [-30.0, -12.0, 0.0, 7.0, 25.0])
def test_known_offsets_are_found_and_taken_out(bpm: float, offset_ms: float) -> None:
    late = np.roll(drums(bpm), round(offset_ms / 1000 * RATE), axis=1)
    grid = measure_grid(late, RATE, bpm)
    assert grid.offset_ms == pytest.approx(offset_ms, abs=1.5)
    assert grid.tempo == pytest.approx(bpm, rel=0.002)
    assert grid.confidence > 0.9
    moved, by = align(late, RATE, bpm, grid)
    assert measure_grid(moved, RATE, bpm).offset_ms == pytest.approx(0, abs=4)
    assert (by != 0) == (abs(offset_ms) > 4)
    assert moved.shape == late.shape


def test_swing_is_no_offset() -> None:
    beat = 60 / 90 * RATE
    swung = np.zeros((2, round(16 * beat)), np.float32)
    hit = drums(120, 1)[:, :2000]
    for eighth in range(32):
        for start in (eighth * beat / 2, eighth * beat / 2 + beat / 4 + 0.03 * RATE):
            at = round(start)
            swung[:, at : at + 2000] += hit[:, : swung.shape[1] - at] * (
                1.0 if start % beat < 1 else 0.5
            )
    grid = measure_grid(swung, RATE, 90)
    assert abs(grid.offset_ms) < 4
    assert align(swung, RATE, 90, grid)[1] == 0


@pytest.mark.parametrize(
    "audio",
    [
        np.zeros((2, 88_200), np.float32),
        tone(220, 4),
        np.random.default_rng(0).normal(0, 0.1, (2, 176_400)).astype(np.float32),
        np.zeros((2, 100), np.float32),
    ],
    ids=["silence", "tone", "noise", "next to nothing"],
)
def test_what_has_no_clear_onsets_is_left_alone(audio: np.ndarray) -> None:
    grid = measure_grid(audio, RATE, 120)
    assert grid.confidence < 0.6
    assert align(audio, RATE, 120, grid) == (audio, 0.0) or align(audio, RATE, 120, grid)[1] == 0


def test_an_onset_on_the_first_sample_counts() -> None:
    times, _ = onsets(drums(120, 4), RATE)
    assert len(times) == 8
    assert abs(times[0]) < 0.003
