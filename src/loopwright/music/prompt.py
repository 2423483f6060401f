"""What a prompt says of drums, and what each loop type makes of it.

Knows: words. Does not know: models, tempo arithmetic. English only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

LoopType = Literal["drums", "instruments", "auto"]

NO_TONES = "melody, harmony, pitched instruments, vocals, singing"
NO_DRUMS = "drums, percussion, kick, snare, hi-hat"
_NEGATIVE: dict[LoopType, str | None] = {"drums": NO_TONES, "instruments": NO_DRUMS, "auto": None}

_DRUM_WORDS = re.compile(r"\bdrums?\b", re.IGNORECASE)


@dataclass(frozen=True)
class Words:
    """The prompt and the negative prompt that a model is given."""

    prompt: str
    negative_prompt: str | None


def words_for(loop_type: LoopType, prompt: str, negative_prompt: str | None) -> Words:
    """Return prompt and negative prompt by loop type; a negative prompt of the request's own comes first.

    Words that are already there are not added again: what comes out may be sent back as a request.
    """
    own, added = negative_prompt or "", _NEGATIVE[loop_type]
    if added is None or own.endswith(added):
        return Words(_worded(loop_type, prompt), own or None)
    return Words(_worded(loop_type, prompt), f"{own}, {added}" if own else added)


def _worded(loop_type: LoopType, prompt: str) -> str:
    if loop_type == "drums" and "drum" not in prompt.lower():
        return f"{prompt} drum loop"
    if loop_type == "instruments":
        return without_drums(prompt)
    return prompt


def without_drums(prompt: str) -> str:
    """The prompt without the whole words drum and drums, its spaces and commas tidied where a word was taken."""
    if not _DRUM_WORDS.search(prompt):
        return prompt
    spaced = re.sub(r"\s+", " ", _DRUM_WORDS.sub(" ", prompt))
    return re.sub(r"(\s*,)+", ",", spaced).strip(" ,")
