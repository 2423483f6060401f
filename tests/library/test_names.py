"""What file names say."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.library.names import EXTENSIONS, Named, parse_name, safe_name
from loopwright.music.key import KEYS


@pytest.mark.parametrize(
    ("name", "key", "bpm"),
    [
        ("gsharp_128bpm_1.wav", "gsharp", 128),
        ("gsharp_83_bpm_1.wav", "gsharp", 83),
        ("a_120bpm.wav", "a", 120),
        ("A#_120bpm.flac", "asharp", 120),
        ("Bb_92.5bpm_2.mp3", "asharp", Fraction("92.5")),
        ("eflat_100BPM.aiff", "dsharp", 100),
        ("F Sharp 140 bpm.aif", "fsharp", 140),
        ("groove_140bpm.wav", None, 140),
        ("a_nice_bass.wav", "a", None),
        ("bass line.wav", None, None),
        ("abstract.wav", None, None),
    ],
)
def test_names(name: str, key: str | None, bpm: Fraction | None) -> None:
    assert parse_name(name) == Named(key, None if bpm is None else Fraction(bpm))


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("h_120bpm.wav", "'h' is no key"),
        ("a_999bpm.wav", "999 bpm is no tempo from 30 to 300"),
        ("a_120bpm.txt", "must end in .wav"),
        ("notes", "must end in .wav"),
    ],
)
def test_names_that_cannot_be_understood(name: str, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        parse_name(name)


@given(st.sampled_from(KEYS), st.integers(30, 300), st.integers(1, 99), st.sampled_from(EXTENSIONS))
def test_every_name_of_the_contracts_form(key: str, bpm: int, number: int, extension: str) -> None:
    for name in (
        f"{key}_{bpm}bpm_{number}{extension}",
        f"{key}_{bpm}bpm{extension}",
        f"{key}_{bpm}_bpm_{number}{extension}",
    ):
        named = parse_name(name)
        assert named == Named(key, Fraction(bpm))


@given(st.text(max_size=60))
def test_safe_names_stay_in_their_folder(name: str) -> None:
    safe = safe_name(name)
    assert safe
    assert not set(safe) & set("/\\ \0\n")
    assert not safe.startswith(".")
