"""Keys and tempi in file names."""

from __future__ import annotations

import contextlib
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.library.names import EXTENSIONS, KeyAndTempo, parse_name, safe_name
from loopwright.music.key import KEYS, Key, parse_key
from loopwright.music.tempo import in_range


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
        ("Am_120bpm.wav", "A minor", 120),
        ("120BPM_Gsharp.wav", "gsharp", 120),
        ("90 BPM A.wav", "A", 90),
        ("Bass Loop F#m 128bpm.wav", "F# minor", 128),
        ("01_kick_Cmin_90.wav", "C minor", None),
        ("Big F sharp minor 100bpm.wav", "F# minor", 100),
        ("Loop (A-minor) BPM 128.wav", "A minor", 128),
        ("deep_Eb_house.wav", "Eb", None),
        ("C minor drift.wav", "C minor", None),
        ("E Piano Am 90bpm.wav", "A minor", 90),
        ("loop_am_120bpm.wav", "A minor", 120),
        ("c_93.4567bpm.wav", "c", Fraction("93.4567")),
        ("c_127.9999bpm_3.wav", "c", Fraction("127.9999")),
        ("x_loop_120bpm.wav", None, 120),
        ("Bass 120bpm.wav", None, 120),
        ("a dark beat.wav", "a", None),
        ("in a minute.wav", None, None),
        ("loop in a room.wav", None, None),
        ("add_Big_Deep_room.wav", None, None),
        ("E-Piano_90bpm.wav", None, 90),
        ("G-Funk 95bpm.wav", None, 95),
        ("fm_bass.wav", None, None),
        ("Bass FM 120bpm.wav", None, 120),
        ("EBM_128bpm.wav", None, 128),
        ("I am here.wav", None, None),
        ("kick -6db.wav", None, None),
    ],
)
def test_names(name: str, key: str | None, bpm: Fraction | None) -> None:
    assert parse_name(name) == KeyAndTempo(
        parse_key(key or ""), None if bpm is None else Fraction(bpm)
    )


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("h_120bpm.wav", '"h" is no key'),
        ("a_999bpm.wav", "999 bpm is no tempo from 30 to 300"),
        ("a_120bpm.txt", "does not end like an audio file"),
        ("notes", "does not end like an audio file"),
    ],
)
def test_names_that_cannot_be_understood(name: str, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        parse_name(name)


@given(
    st.sampled_from(KEYS),
    st.integers(30, 300),
    st.integers(1, 99),
    st.sampled_from(sorted(EXTENSIONS)),
)
def test_every_name_of_the_contracts_form(key: str, bpm: int, number: int, extension: str) -> None:
    for name in (
        f"{key}_{bpm}bpm_{number}{extension}",
        f"{key}_{bpm}bpm{extension}",
        f"{key}_{bpm}_bpm_{number}{extension}",
    ):
        named = parse_name(name)
        assert named == KeyAndTempo(Key(KEYS.index(key)), Fraction(bpm))


@given(st.text(max_size=40))
def test_any_name_is_read_or_refused(stem: str) -> None:
    with contextlib.suppress(ValueError):
        named = parse_name(f"{stem}x.wav")
        assert named.bpm is None or in_range(named.bpm)


@given(st.text(max_size=60))
def test_safe_names_stay_in_their_folder(name: str) -> None:
    safe = safe_name(name)
    assert safe
    assert not set(safe) & set("/\\ \0\n")
    assert not safe.startswith(".")
