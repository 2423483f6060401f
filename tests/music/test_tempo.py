"""Tempo from words, and lengths that are exact."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.music.tempo import (
    BARS,
    MAX_BPM,
    MIN_BPM,
    bpm_number,
    find_bpm,
    in_range,
    largest_fitting_bars,
    loop_samples,
)

RATE = 44100
WINDOW = 524288

tempos = st.decimals(MIN_BPM, MAX_BPM, places=3).map(Fraction)


@pytest.mark.parametrize(
    ("prompt", "bpm"),
    [
        ("aggressive techno drums 140bpm", 140),
        ("140 BPM techno", 140),
        ("dub at 92.5 bpm", Fraction(185, 2)),
        ("dub at 92,5 bpm", Fraction(185, 2)),
        ("half of 170bpm is 85 bpm", 85),
        ("174-bpm breaks", 174),
        ("(120bpm)", 120),
        ("techno.140bpm", 140),
        ("0bpm", 0),
        ("no tempo here", None),
        ("bpm", None),
        ("140bpmx", None),
        ("140", None),
        ("9" * 5000 + "bpm", None),
        ("", None),
    ],
)
def test_the_tempo_is_the_last_one_the_prompt_names(prompt: str, bpm: int | None) -> None:
    assert find_bpm(prompt) == bpm


@given(tempos, st.text(), st.text(alphabet="abc ,.!"))
def test_a_tempo_is_found_whatever_surrounds_it(bpm: Fraction, before: str, after: str) -> None:
    assert find_bpm(f"{before} {float(bpm)}bpm {after}") == Fraction(str(float(bpm)))


@given(st.text())
def test_any_text_gives_a_tempo_or_none(prompt: str) -> None:
    bpm = find_bpm(prompt)
    assert bpm is None or bpm >= 0


@given(tempos, st.sampled_from(BARS), st.sampled_from([8000, 22050, 44100, 48000, 96000]))
def test_a_loop_is_exact_to_half_a_sample(bpm: Fraction, bars: int, rate: int) -> None:
    exact = Fraction(bars * 4 * 60) / bpm * rate
    assert abs(loop_samples(bars, bpm, rate) - exact) <= Fraction(1, 2)


@given(tempos, st.integers(RATE, 20 * RATE))
def test_auto_bars_is_the_largest_that_fits(bpm: Fraction, window: int) -> None:
    bars = largest_fitting_bars(bpm, window, RATE)
    longer = [b for b in BARS if bars is None or b > bars]
    assert all(loop_samples(b, bpm, RATE) > window for b in longer)
    assert bars is None or loop_samples(bars, bpm, RATE) <= window


@pytest.mark.parametrize(("bpm", "bars", "seconds"), [(74, 2, 6.49), (128, 4, 7.5), (170, 8, 11.29)])
def test_the_contracts_examples(bpm: int, bars: int, seconds: float) -> None:
    assert largest_fitting_bars(Fraction(bpm), WINDOW, RATE) == bars
    assert loop_samples(bars, Fraction(bpm), RATE) / RATE == pytest.approx(seconds, abs=0.005)


def test_an_exact_number_of_samples() -> None:
    assert loop_samples(4, Fraction(140), RATE) == 302400


@pytest.mark.parametrize(("bpm", "allowed"), [(29.999, False), (30, True), (300, True), (300.001, False)])
def test_the_range_of_tempos(bpm: float, allowed: bool) -> None:
    assert in_range(Fraction(str(bpm))) is allowed


def test_a_whole_tempo_is_an_integer() -> None:
    assert isinstance(bpm_number(Fraction(140)), int)
    assert bpm_number(Fraction(185, 2)) == 92.5
