"""Spellings of keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.music.key import KEYS, parse_key, semitones_between


@pytest.mark.parametrize("text", ["gsharp", "G#", "aflat", "Ab", "g sharp", "G♯", "A♭", "GSHARP", "a_flat"])
def test_gsharp_in_all_its_spellings(text: str) -> None:
    assert parse_key(text) == "gsharp"


@pytest.mark.parametrize(
    ("text", "key"), [("Cb", "b"), ("B#", "c"), ("e#", "f"), ("Fb", "e"), ("b", "b"), ("bb", "asharp")]
)
def test_edges(text: str, key: str) -> None:
    assert parse_key(text) == key


@pytest.mark.parametrize("text", ["", "h", "gg", "sharp", "a minor", "ab#", "8"])
def test_what_is_no_key(text: str) -> None:
    assert parse_key(text) is None


@given(st.sampled_from(KEYS))
def test_canonical_names_are_read_as_themselves(key: str) -> None:
    assert parse_key(key) == key


@given(st.sampled_from(KEYS), st.sampled_from(KEYS))
def test_the_shortest_way_leads_there(key: str, target: str) -> None:
    way = semitones_between(key, target)
    assert -6 <= way <= 5
    assert KEYS[(KEYS.index(key) + way) % 12] == target


@given(st.text(max_size=20))
def test_any_text_is_a_key_or_none(text: str) -> None:
    assert parse_key(text) in {None, *KEYS}
