"""How the embedded model reads prompts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loopwright.model.pocket.tokens import MAX_TOKENS, NOTHING, NULL, PAD, UNKNOWN, tokenize

VOCABULARY = {"techno": 5, "drums": 6, "hi-hat": 7, "a#": 8, "pad": 9}


def test_words_tempo_and_padding() -> None:
    tokens = tokenize("Techno DRUMS, 92.5 BPM", VOCABULARY)
    assert tokens.ids == (5, 6) + (PAD,) * (MAX_TOKENS - 2)
    assert tokens.bpm == 92.5
    assert tokens.unknown == ()


def test_plurals_and_sharps_are_folded() -> None:
    assert tokenize("pads hi-hats A sharp", VOCABULARY).ids[:3] == (9, 7, 8)


def test_unknown_words_are_named_once() -> None:
    tokens = tokenize("wobbly techno wobbly", VOCABULARY)
    assert tokens.ids[:3] == (UNKNOWN, 5, UNKNOWN)
    assert tokens.unknown == ("wobbly",)


def test_no_words_is_no_prompt() -> None:
    assert tokenize("", VOCABULARY).ids == NOTHING.ids
    assert tokenize("120bpm", VOCABULARY).ids[0] == NULL


@given(st.text(max_size=300))
def test_any_text_gives_as_many_tokens(prompt: str) -> None:
    tokens = tokenize(prompt, VOCABULARY)
    assert len(tokens.ids) == MAX_TOKENS
    assert all(token in {PAD, UNKNOWN, NULL, *VOCABULARY.values()} for token in tokens.ids)
