"""How the embedded model reads prompts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.model.pocket.tokens import FIRST_WORD, MAX_TOKENS, NOTHING, NULL, PAD, key_token, tokenize

TECHNO, DRUMS, HAT, PAD_SOUND, HIP_HOP, DNB = range(FIRST_WORD, FIRST_WORD + 6)
VOCABULARY = {
    "techno": TECHNO, "drums": DRUMS, "drum": DRUMS, "beat": DRUMS, "hi-hat": HAT, "pad": PAD_SOUND, "hip-hop": HIP_HOP,
    "dnb": DNB,
}  # fmt: skip


def said(prompt: str) -> tuple[int, ...]:
    return tuple(token for token in tokenize(prompt, VOCABULARY).ids if token != PAD)


def test_words_tempo_and_padding() -> None:
    tokens = tokenize("Techno DRUMS, 92.5 BPM", VOCABULARY)
    assert tokens.ids == (TECHNO, DRUMS) + (PAD,) * (MAX_TOKENS - 2)
    assert tokens.bpm == 92.5
    assert tokens.unknown == ()


def test_plurals_phrases_and_words_of_one_meaning_are_folded() -> None:
    assert said("pads hi-hats") == said("pad hi hat") == (PAD_SOUND, HAT)
    assert said("hip hop drum beat") == said("hiphop drums") == (HIP_HOP, DRUMS)
    assert said("drum & bass beat") == said("drum and bass drums") == (DNB, DRUMS)


@pytest.mark.parametrize(
    ("prompt", "root", "minor"),
    [
        ("pad in a minor", 9, True),
        ("pad in F# major", 6, False),
        ("pad g sharp minor 120bpm", 8, True),
        ("aflat major pad", 8, False),
        ("pad in c", 0, False),
        ("pad in Bb with drums", 10, False),
        ("pad in Am", 9, True),
        ("pad in f#m 120bpm", 6, True),
        ("minor pad", None, True),
    ],
)
def test_keys(prompt: str, root: int | None, minor: bool | None) -> None:
    tokens = tokenize(prompt, VOCABULARY)
    assert key_token(root, minor) in tokens.ids
    assert tokens.unknown == ()


def test_an_article_is_no_key() -> None:
    assert said("techno in a dark room") == (TECHNO,)


def test_all_keys_have_tokens_of_their_own() -> None:
    keys = {key_token(root, minor) for root in (*range(12), None) for minor in (True, False, None) if root is not None}
    keys |= {key_token(None, True), key_token(None, False)}
    assert len(keys) == 38
    assert max(keys) == FIRST_WORD - 1
    assert min(keys) > NULL


def test_unknown_words_are_named_once_and_left_out() -> None:
    tokens = tokenize("a wobbly techno loop, wobbly, 4 bars, gamelan-techno", VOCABULARY)
    assert tokens.ids[:2] == (TECHNO, PAD)
    assert tokens.unknown == ("wobbly", "gamelan")


def test_no_words_is_no_prompt() -> None:
    assert tokenize("", VOCABULARY).ids == NOTHING.ids
    assert tokenize("120bpm", VOCABULARY).ids == NOTHING.ids
    assert tokenize("wobbly", VOCABULARY).ids == NOTHING.ids


@given(st.text(max_size=300))
def test_any_text_gives_as_many_tokens(prompt: str) -> None:
    tokens = tokenize(prompt, VOCABULARY)
    assert len(tokens.ids) == MAX_TOKENS
    assert all(token == PAD or NULL <= token < FIRST_WORD or token in VOCABULARY.values() for token in tokens.ids)
