"""Comparing the tones that the encoder finds with the score."""

from __future__ import annotations

import pytest
import torch
from training.score_heard import NEAR, compared, partials

NOTES, OSCILLATORS, STEPS = 12, 100, 8


def sounding(oscillator: int, amplitude: float = 0.1) -> torch.Tensor:
    sound = torch.zeros(STEPS, OSCILLATORS)
    sound[:, oscillator] = amplitude
    return sound


def note(number: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor([number] * STEPS), NOTES).float() * 0.1


def test_an_equal_score_is_found_completely() -> None:
    score = note(3), sounding(40)
    assert all(share == pytest.approx(1) for share in compared(score, score).values())


@pytest.mark.parametrize(("off", "found"), [(NEAR, 1.0), (NEAR + 1, 0.0)])
def test_a_partial_is_found_as_near_as_a_third_of_a_semitone(off: int, found: float) -> None:
    row = compared((note(3), sounding(40)), (note(3), sounding(40 + off)))
    assert row["partials' recall"] == row["partials' precision"] == pytest.approx(found)


def test_misses_lower_recall_and_extras_lower_precision() -> None:
    score, heard = (note(3) + note(7), sounding(40) + sounding(60)), (note(3), sounding(40))
    assert compared(score, heard)["notes' recall"] == pytest.approx(0.5)
    assert compared(score, heard)["partials' precision"] == pytest.approx(1)
    assert compared(heard, score)["partials' recall"] == pytest.approx(1)
    assert compared(heard, score)["notes' precision"] == pytest.approx(0.5)


def test_faint_oscillators_beside_the_loudest_are_no_partials() -> None:
    both = sounding(40, 0.5) + sounding(70, 0.5 * 0.02)
    assert (partials(both) > 0).sum() == STEPS
    assert (partials(sounding(40, 5e-4)) > 0).sum() == 0
