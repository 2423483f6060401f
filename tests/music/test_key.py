"""Spellings of keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.music.key import KEYS, Key, Mode, find_key, parse_key, semitones_between

SHARPS = {
    "#": "sharp",
    "♯": "sharp",
    "sharp": "sharp",
    " sharp": "sharp",
    "_sharp": "sharp",
    "-sharp": "sharp",
    "＃": "sharp",
}
MODES: dict[str, Mode] = {
    "m": "minor", "min": "minor", " min": "minor", "minor": "minor", " Minor": "minor",
    "-minor": "minor", "_MIN": "minor",
    "maj": "major", " major": "major", "-Maj": "major",
}  # fmt: skip


@pytest.mark.parametrize(
    "text", ["gsharp", "G#", "aflat", "Ab", "g sharp", "G♯", "A♭", "GSHARP", "a_flat"]
)
def test_gsharp_in_all_its_spellings(text: str) -> None:
    assert parse_key(text) == Key(8)


@pytest.mark.parametrize(
    ("text", "name"),
    [("Cb", "b"), ("B#", "c"), ("e#", "f"), ("Fb", "e"), ("b", "b"), ("bb", "asharp")],
)
def test_roots_around_the_octave(text: str, name: str) -> None:
    key = parse_key(text)
    assert key is not None
    assert key.name == name


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Am", Key(9, "minor")),
        ("F#m", Key(6, "minor")),
        ("Bbm", Key(10, "minor")),
        ("bbm", Key(10, "minor")),
        ("Cmin", Key(0, "minor")),
        ("Cmaj", Key(0, "major")),
        ("A-minor", Key(9, "minor")),
        ("gsharpminor", Key(8, "minor")),
        ("Gsharp min", Key(8, "minor")),
        ("key of A", Key(9)),
        ("key of D flat major", Key(1, "major")),
        ("in A minor", Key(9, "minor")),
        ("Key: F#m", Key(6, "minor")),
        ("AM", Key(9)),
        ("Ｆ＃ｍ", Key(6, "minor")),
    ],
)
def test_keys_as_packs_write_them(text: str, key: Key) -> None:
    assert parse_key(text) == key


@pytest.mark.parametrize(
    "text", ["", "h", "gg", "sharp", "ab#", "8", "in", "a minute", "Bass", "A minor C", "Am7"]
)
def test_what_is_no_key(text: str) -> None:
    assert parse_key(text) is None


@given(
    st.sampled_from("abcdefgABCDEFG"), st.sampled_from(["", *SHARPS]), st.sampled_from(["", *MODES])
)
def test_every_spelling_is_read(letter: str, sharp: str, mode: str) -> None:
    root = (KEYS.index(letter.lower()) + bool(sharp)) % 12
    assert parse_key(f" {letter}{sharp}{mode}") == Key(root, MODES.get(mode))


@given(st.sampled_from(range(12)), st.sampled_from([None, "major", "minor"]))
def test_keys_are_read_as_they_are_written(root: int, mode: Mode | None) -> None:
    key = Key(root, mode)
    assert parse_key(key.written) == key
    assert parse_key(key.name) == Key(root)
    found = find_key(f"dub chords in {key.written}")
    assert found is not None
    assert found.key == key


@pytest.mark.parametrize(
    ("prompt", "key", "words"),
    [
        ("pad in A", Key(9), "in A"),
        ("key of a, dub", Key(9), "key of a"),
        ("in A minute detail, C minor", Key(0, "minor"), "C minor"),
        ("A-minor pads", Key(9, "minor"), "A-minor"),
        ("techno f#m 120bpm", Key(6, "minor"), "f#m"),
        ("techno Ebm", Key(3, "minor"), "Ebm"),
        ("dub chords Am", Key(9, "minor"), "Am"),
        ("in a b minor", Key(11, "minor"), "b minor"),
    ],
)
def test_the_key_a_prompt_names(prompt: str, key: Key, words: str) -> None:
    found = find_key(prompt)
    assert found is not None
    assert (found.key, prompt[found.start : found.stop]) == (key, words)


@pytest.mark.parametrize(
    "prompt",
    [
        "", "a dark beat", "Bass", "add a room", "Big room", "Deep house", "in a minute",
        "in a dark room", "ebm techno",
        "EBM", "FM bass", "I am a DJ", "R&B minor", "drum and bass", "minor pad", "a",
    ],
)  # fmt: skip
def test_prompts_whose_letters_are_words(prompt: str) -> None:
    assert find_key(prompt) is None


@given(st.sampled_from(KEYS), st.sampled_from(KEYS))
def test_the_shortest_way_leads_there(key: str, target: str) -> None:
    way = semitones_between(key, target)
    assert -6 <= way <= 5
    assert KEYS[(KEYS.index(key) + way) % 12] == target


@given(st.one_of(st.text(max_size=20), st.text(alphabet="abcg#♭ sharpflminojky_-", max_size=20)))
def test_any_text_is_a_key_or_none(text: str) -> None:
    for key in (parse_key(text), found.key if (found := find_key(text)) else None):
        assert key is None or (key.root in range(12) and key.mode in (None, "major", "minor"))
