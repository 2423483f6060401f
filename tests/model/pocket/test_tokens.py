"""How the embedded model reads prompts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.model.pocket.tokens import (
    FIRST_WORD,
    MAX_TOKENS,
    NO_PROMPT,
    NULL,
    PAD,
    key_token,
    tokenize,
)

TECHNO, DRUMS, HAT, PAD_SOUND, HIP_HOP, DNB = range(FIRST_WORD, FIRST_WORD + 6)
VOCABULARY = {
    "techno": TECHNO,
    "drums": DRUMS,
    "drum": DRUMS,
    "beat": DRUMS,
    "hi-hat": HAT,
    "pad": PAD_SOUND,
    "hip-hop": HIP_HOP,
    "dnb": DNB,
}


def token_ids(prompt: str) -> tuple[int, ...]:
    return tuple(token for token in tokenize(prompt, VOCABULARY).ids if token != PAD)


def test_words_tempo_and_padding() -> None:
    tokens = tokenize("Techno DRUMS, 92.5 BPM", VOCABULARY)
    assert tokens.ids == (TECHNO, DRUMS) + (PAD,) * (MAX_TOKENS - 2)
    assert tokens.ignored == ()


def test_plurals_phrases_and_synonyms_share_a_token() -> None:
    assert token_ids("pads hi-hats") == token_ids("pad hi hat") == (PAD_SOUND, HAT)
    assert token_ids("hip hop drum beat") == token_ids("hiphop drums") == (HIP_HOP, DRUMS)
    assert token_ids("drum & bass beat") == token_ids("drum and bass drums") == (DNB, DRUMS)


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
    assert tokens.ignored == ()


def test_an_article_is_no_key() -> None:
    assert token_ids("techno in a dark room") == (TECHNO,)


def test_all_keys_have_tokens_of_their_own() -> None:
    keys = {
        key_token(root, minor)
        for root in (*range(12), None)
        for minor in (True, False, None)
        if root is not None
    }
    keys |= {key_token(None, True), key_token(None, False)}
    assert len(keys) == 38
    assert max(keys) == FIRST_WORD - 1
    assert min(keys) > NULL


def test_unknown_words_are_reported_once_and_left_out() -> None:
    tokens = tokenize("a wobbly techno loop, wobbly, 4 bars, gamelan-techno", VOCABULARY)
    assert tokens.ids[:2] == (TECHNO, PAD)
    assert tokens.ignored == ("wobbly", "gamelan")


@pytest.mark.parametrize(
    ("prompt", "ignored"),
    [
        ("ударные techno ドラム", ("ударные", "ドラム")),
        ("хип-хоп drums", ("хип-хоп",)),
        ("eletrônica drums", ("eletrônica",)),
        ("ele\u0302trica drums", ("ele\u0302trica",)),
        ("हिप हॉप techno", ("हिप", "हॉप")),
        ("🔥 techno❤️ 👨‍👩‍👧", ("🔥", "❤️", "👨‍👩‍👧")),
        ("テクノtechno", ("テクノ",)),
        ("don't 80's drum's", ("don't", "80's")),
        ("one-shot Gamelan-techno", ("one-shot", "Gamelan")),
        ("techno, BPM: 120, ♩=90, 93.4000015258789bpm, tempo 0bpm", ()),
        ("the techno loop - 4 bars & 16 beats", ()),
    ],
)
def test_unknown_words_are_reported_whole_and_as_they_were_written(
    prompt: str, ignored: tuple[str, ...]
) -> None:
    assert tokenize(prompt, VOCABULARY).ignored == ignored


def test_accents_do_not_hide_a_word() -> None:
    assert token_ids("téchno DRÜMS") == token_ids("te\u0301chno ｄｒｕｍｓ") == (TECHNO, DRUMS)


def test_a_phrase_ends_where_its_words_end() -> None:
    assert token_ids("drum and bassline") == (DRUMS,)
    assert token_ids("drum  and bass") == token_ids("Drum’n’bass") == (DNB,)


def test_words_beyond_the_last_token_are_reported() -> None:
    many = {f"word{number}": FIRST_WORD + number for number in range(MAX_TOKENS + 2)}
    tokens = tokenize(" ".join([*many, "Word0 in C minor"]), many)
    assert tokens.ignored == ("word15", "word16", "word17")
    assert tokens.with_ids([PAD + 5]).ignored == ("word14", "word15", "word16", "word17")


def test_a_key_is_no_part_of_a_name() -> None:
    assert token_ids("d&b minor") == (key_token(None, True), DNB)


def test_no_words_is_no_prompt() -> None:
    assert tokenize("", VOCABULARY).ids == NO_PROMPT.ids
    assert tokenize("120bpm", VOCABULARY).ids == NO_PROMPT.ids
    assert tokenize("wobbly", VOCABULARY).ids == NO_PROMPT.ids


@given(st.one_of(st.text(max_size=300), st.text(alphabet="abtechnodrums &'-#é🔥ड्रम", max_size=60)))
def test_any_text_gives_max_tokens(prompt: str) -> None:
    tokens = tokenize(prompt, VOCABULARY)
    assert len(tokens.ids) == MAX_TOKENS
    assert all(word in prompt for word in tokens.ignored)
    assert all(
        token == PAD or NULL <= token < FIRST_WORD or token in VOCABULARY.values()
        for token in tokens.ids
    )
