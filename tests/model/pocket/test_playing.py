"""What plays, by what is named, taken away or left open."""

from __future__ import annotations

import pytest

from loopwright.model.pocket.playing import DRUMS, Playing
from loopwright.model.pocket.tokens import MAX_TOKENS, NOTHING, PAD, Tokens, tokenize

WORDS = (
    "techno", "dark", "drums", *DRUMS, "bass", "chords", "pitched", *(f"without-{drum}" for drum in DRUMS),
)  # fmt: skip
VOCABULARY = {word: 50 + number for number, word in enumerate(WORDS)}
PLAYING = Playing(VOCABULARY, frozenset(VOCABULARY[word] for word in ("bass", "chords", "pitched")))


def said(text: str) -> Tokens:
    return tokenize(text, VOCABULARY) if text else NOTHING


def help_of(tokens: Tokens) -> set[str]:
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
def test_what_plays(prompt: str, negative: str, plays: set[str]) -> None:
    completed = PLAYING.completed(said(prompt), said(negative))
    assert help_of(completed) == plays
    assert len(completed.ids) == MAX_TOKENS
    assert completed.ids[-1] == PAD


def test_bass_goes_with_all_that_is_pitched() -> None:
    assert PLAYING.without_bass(said("pitched"))
    assert PLAYING.without_bass(said("bass"))
    assert not PLAYING.without_pitched(said("bass"))
    assert not PLAYING.without_bass(said("drums"))


def test_guidance_leads_away_from_what_is_not_silent_anyway() -> None:
    assert PLAYING.led_from(said("drums, kick, hat")).ids == said("").ids
    assert help_of(PLAYING.led_from(said("drums, dark"))) == {"dark"}
    assert help_of(PLAYING.led_from(said("kick, dark"))) == {"kick", "dark"}
