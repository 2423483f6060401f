"""Tempi in texts, and exact lengths of loops."""

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
    find_tempo,
    in_range,
    largest_fitting_bars,
    loop_samples,
    named_tempi,
    without_tempi,
)

RATE = 44100
WINDOW = 524288

tempos = st.decimals(MIN_BPM, MAX_BPM, places=3).map(Fraction)


SPELLINGS = (
    "{}bpm", "{} BPM", "{}-bpm", "{}_bpm", "@{}bpm", "{} beats per minute", "{} beats a minute",
    "{} beats/min",
    "{} b.p.m.", "BPM: {}", "BPM {}", "bpm={}", "bpm{}", "bpm: {} bpm", "beats per minute: {}",
    "tempo {}",
    "tempo: {}", "Tempo={}", "tempo of {}", "the tempo is {}", "tempo {} bpm", "♩={}", "♩ = {}",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "bpm"),
    [
        ("half of 170bpm is 85 bpm", 85),
        ("techno.140bpm", 140),
        ("techno140bpm", 140),
        ("(120bpm)", 120),
        ("120bpm_loop", 120),
        ("120 bpm 4 bars", 120),
        ("120 bpm: 4 bars", 120),
        ("bars=4 bpm=140", 140),
        ("bars: 64 bpm: 140", 140),
        ("64 bars, bpm 120", 120),
        ("120-130 bpm", 130),
        ("techno -140bpm", 140),
        ("mid-tempo 90 bpm", 90),
        ("92,5 bpm", Fraction(185, 2)),
        ("１４０ＢＰＭ", 140),
        ("ＢＰＭ：９２．５", Fraction(185, 2)),
        ("93.4000015258789bpm", Fraction("93.4000015258789")),
        ("1.2e2bpm", 120),
    ],
)
def test_the_tempo_is_the_last_one_the_text_names(text: str, bpm: int | Fraction) -> None:
    tempo = find_tempo(text)
    assert tempo is not None
    assert tempo.playable == bpm


@pytest.mark.parametrize(
    "text",
    [
        "", "no tempo here", "bpm", "140", "140bpmx", "xbpm 140", "mid-tempo 80s synths",
        "mid-tempo 90's drums",
        "uptempo", "tempo 808", "tempo 4/4", "high bpm 808 kick", "high bpm 4 bars",
        "high bpm none of that",
        "16 beats", "four beats per bar", "140th",
    ],
)  # fmt: skip
def test_what_names_no_tempo(text: str) -> None:
    assert named_tempi(text) == ()


@pytest.mark.parametrize("spelling", SPELLINGS)
@given(
    bpm=tempos,
    before=st.sampled_from(["", "drums, ", "4 bars of dub "]),
    after=st.sampled_from(["", " drums", ", hi"]),
)
def test_a_tempo_is_read_back_exactly_however_it_is_spelled(
    spelling: str, bpm: Fraction, before: str, after: str
) -> None:
    written = str(bpm_number(bpm))
    text = f"{before}{spelling.format(written)}{after}"
    (tempo,) = named_tempi(text)
    assert (tempo.playable, tempo.written) == (bpm, written)
    left = without_tempi(text)
    assert left.startswith(before)
    assert left.endswith(after)
    assert written not in left


@pytest.mark.parametrize("spelling", [one for one in SPELLINGS if one != "tempo {}"])
@pytest.mark.parametrize(
    "number",
    [
        "0",
        "20",
        "29.999",
        "301",
        "999",
        "3159345",
        "-2147483648",
        "-5",
        "NaN",
        "-nan(ind)",
        "inf",
        "null",
        "1e+06",
        "9" * 5000,
    ],
)
def test_what_hosts_send_for_no_tempo_is_a_tempo_that_cannot_be_played(
    spelling: str, number: str
) -> None:
    (tempo,) = named_tempi(f"drums {spelling.format(number)}")
    assert tempo.playable is None
    assert tempo.written == number


def test_a_number_too_long_to_read_is_cut_where_it_is_shown() -> None:
    tempo = find_tempo("9" * 5000 + "bpm")
    assert tempo is not None
    assert tempo.shown == "9" * 40 + "…"


def test_only_what_cannot_be_played_is_taken_out_on_request() -> None:
    assert without_tempi("0bpm dub 90bpm", keep_playable=True) == "     dub 90bpm"


@given(tempos, st.text(), st.text(alphabet="abc ,.!"))
def test_a_tempo_is_found_whatever_surrounds_it(bpm: Fraction, before: str, after: str) -> None:
    tempo = find_tempo(f"{before} {float(bpm)}bpm {after}")
    assert tempo is not None
    assert tempo.playable == Fraction(str(float(bpm)))


@given(st.one_of(st.text(), st.text(alphabet="0123456789bpm.,:=- tempo♩naif")))
def test_any_text_names_tempi_that_stand_in_it_one_after_the_other(text: str) -> None:
    end = 0
    for tempo in named_tempi(text):
        assert end <= tempo.start < tempo.stop <= len(text)
        assert tempo.playable is None or in_range(tempo.playable)
        end = tempo.stop
    assert len(without_tempi(text)) == len(text)


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


@pytest.mark.parametrize(
    ("bpm", "bars", "seconds"), [(74, 2, 6.49), (128, 4, 7.5), (170, 8, 11.29)]
)
def test_the_contracts_examples(bpm: int, bars: int, seconds: float) -> None:
    assert largest_fitting_bars(Fraction(bpm), WINDOW, RATE) == bars
    assert loop_samples(bars, Fraction(bpm), RATE) / RATE == pytest.approx(seconds, abs=0.005)


def test_an_exact_number_of_samples() -> None:
    assert loop_samples(4, Fraction(140), RATE) == 302400


@pytest.mark.parametrize(
    ("bpm", "allowed"), [(29.999, False), (30, True), (300, True), (300.001, False)]
)
def test_the_range_of_tempos(bpm: float, allowed: bool) -> None:
    assert in_range(Fraction(str(bpm))) is allowed


def test_a_whole_tempo_is_an_integer() -> None:
    assert isinstance(bpm_number(Fraction(140)), int)
    assert bpm_number(Fraction(185, 2)) == 92.5
