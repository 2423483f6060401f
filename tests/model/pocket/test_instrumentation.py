"""Instrumentation: parts that are named, excluded or filled in by default."""

from __future__ import annotations

import pytest

from loopwright.model.pocket.instrumentation import DRUMS, Instrumentation
from loopwright.model.pocket.tokens import MAX_TOKENS, NO_PROMPT, PAD, Tokens, tokenize

WORDS = (
    "techno",
    "dark",
    "drums",
    *DRUMS,
    "bass",
    "chords",
    "pitched",
    *(f"without-{drum}" for drum in DRUMS),
)
VOCABULARY = {word: 50 + number for number, word in enumerate(WORDS)}
INSTRUMENTATION = Instrumentation(
    VOCABULARY, frozenset(VOCABULARY[word] for word in ("bass", "chords", "pitched"))
)


def read(text: str) -> Tokens:
    return tokenize(text, VOCABULARY) if text else NO_PROMPT


def words_of_tokens(tokens: Tokens) -> set[str]:
    return {word for word, token in VOCABULARY.items() if token in tokens.ids}


@pytest.mark.parametrize(
    ("prompt", "negative", "plays"),
    [
        ("dark techno", "", {"dark", "techno", "drums", "chords"}),
        ("zydeco", "", {"drums", "chords"}),
        ("", "", {"drums", "chords"}),
        ("dark techno", "drums, kick", {"dark", "techno", "chords", "bass"}),
        ("dark techno", "pitched", {"dark", "techno", "drums"}),
        ("techno", "drums, pitched", {"techno"}),
        ("techno snare", "", {"techno", "snare", "drums"}),
        ("snare bass", "", {"snare", "bass"}),
        ("snare kick", "", {"snare", "kick"}),
        ("kick hat", "drums", {"chords", "bass"}),
        ("techno drums", "drums", {"techno", "chords", "bass"}),
        ("techno bass", "pitched", {"techno", "drums"}),
        ("techno bass", "", {"techno", "bass"}),
        ("techno kick", "", {"techno", "kick"}),
        ("techno drums", "kick", {"techno", "drums", "without-kick"}),
        ("techno", "kick, hat", {"techno", "drums", "chords", "without-kick", "without-hat"}),
        ("techno bass", "dark", {"techno", "bass"}),
    ],
)
def test_defaults_and_exclusions(prompt: str, negative: str, plays: set[str]) -> None:
    completed = INSTRUMENTATION.complete(read(prompt), read(negative))
    assert words_of_tokens(completed) == plays
    assert len(completed.ids) == MAX_TOKENS
    assert completed.ids[-1] == PAD


def test_excluding_pitched_instruments_excludes_basses() -> None:
    assert INSTRUMENTATION.excludes_bass(read("pitched"))
    assert INSTRUMENTATION.excludes_bass(read("bass"))
    assert not INSTRUMENTATION.excludes_pitched(read("bass"))
    assert not INSTRUMENTATION.excludes_bass(read("drums"))


def test_the_negative_prompt_keeps_only_words_for_audible_parts() -> None:
    assert INSTRUMENTATION.reduce_negative(read("drums, kick, hat")).ids == read("").ids
    assert words_of_tokens(INSTRUMENTATION.reduce_negative(read("drums, dark"))) == {"dark"}
    assert words_of_tokens(INSTRUMENTATION.reduce_negative(read("kick, dark"))) == {"kick", "dark"}
