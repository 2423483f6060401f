"""The tempo as a prompt says it to the model: models know a tempo only from their prompt."""

from __future__ import annotations

from fractions import Fraction

from loopwright.music.tempo import bpm_number, find_tempo, named_tempi, without_tempi

NEUTRAL_PROMPT = "music"
"""The prompt where nothing else is left: it names no sound, and can be sent back."""


def drop_unplayable_tempi(prompt: str) -> str:
    """Return the prompt without tempi that nothing can play, such as the 0 that hosts send."""
    text = prompt
    # again, since the words around one that was dropped may spell another
    while any(tempo.playable is None for tempo in named_tempi(text)):
        text = " ".join(without_tempi(text, keep_playable=True).split())
    return text or NEUTRAL_PROMPT


def unplayable_tempi(prompt: str) -> list[str]:
    """List the numbers that ``drop_unplayable_tempi`` drops first, each once, as written."""
    dropped = [tempo.shown for tempo in named_tempi(prompt) if tempo.playable is None]
    return list(dict.fromkeys(dropped))


def name_tempo(prompt: str, bpm: Fraction) -> str:
    """Return the prompt with the tempo named in it."""
    named = find_tempo(prompt)
    if named is not None and named.playable == bpm:
        return prompt
    return f"{prompt} {bpm_number(bpm)}bpm"
