"""Prompts and negative prompts by loop type."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.music.prompt import NO_DRUMS, NO_TONES, LoopType, words_for


@pytest.mark.parametrize(
    ("loop_type", "prompt", "used", "negative"),
    [
        ("drums", "techno 140bpm", "techno 140bpm drum loop", NO_TONES),
        ("drums", "techno drums 140bpm", "techno drums 140bpm", NO_TONES),
        ("drums", "drumless pads", "drumless pads", NO_TONES),
        ("instruments", "techno drums and bass 140bpm", "techno and bass 140bpm", NO_DRUMS),
        ("instruments", "Drum, bass", "bass", NO_DRUMS),
        ("instruments", "bass, drums, keys", "bass, keys", NO_DRUMS),
        ("instruments", "steeldrums", "steeldrums", NO_DRUMS),
        ("instruments", "warm  pads", "warm  pads", NO_DRUMS),
        ("auto", "techno drums", "techno drums", None),
    ],
)
def test_the_prompt_by_loop_type(
    loop_type: LoopType, prompt: str, used: str, negative: str | None
) -> None:
    words = words_for(loop_type, prompt, None)
    assert words.prompt == used
    assert words.negative_prompt == negative


@pytest.mark.parametrize("loop_type", ["drums", "instruments", "auto"])
def test_ones_own_negative_prompt_comes_first(loop_type: LoopType) -> None:
    negative = words_for(loop_type, "x", "noise").negative_prompt
    assert negative is not None
    assert re.match(r"noise(, |$)", negative)


@given(st.text())
def test_no_drum_word_is_left_for_instruments(prompt: str) -> None:
    assert not re.search(
        r"\bdrums?\b", words_for("instruments", prompt, None).prompt, re.IGNORECASE
    )


@given(st.text())
def test_drums_always_speak_of_drums(prompt: str) -> None:
    assert "drum" in words_for("drums", prompt, None).prompt.lower()
