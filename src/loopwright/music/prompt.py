"""How a loop type changes the prompt and the negative prompt.

Knows: English words. Does not know: models, tempo.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

LoopType = Literal["drums", "instruments", "auto"]

NO_TONES = "melody, harmony, pitched instruments, vocals, singing"
NO_DRUMS = "drums, percussion, kick, snare, hi-hat"
_EXCLUDED: dict[LoopType, str | None] = {"drums": NO_TONES, "instruments": NO_DRUMS, "auto": None}

_DRUM_WORDS = re.compile(r"\bdrums?\b", re.IGNORECASE)


@dataclass(frozen=True)
class Words:
    """The prompt and the negative prompt that a model gets."""

    prompt: str
    negative_prompt: str | None


def words_for(loop_type: LoopType, prompt: str, negative_prompt: str | None) -> Words:
    """Return the prompt and the negative prompt for a loop type.

    Words that are there already are not added again: the result may be sent back as a request.

    Args:
        loop_type: What the loop may consist of.
        prompt: The prompt of the request.
        negative_prompt: That of the request; what the loop type excludes is added after it.
    """
    if loop_type == "drums" and "drum" not in prompt.lower():
        prompt = f"{prompt} drum loop"
    if loop_type == "instruments":
        prompt = without_drums(prompt)
    own, excluded = negative_prompt or "", _EXCLUDED[loop_type]
    if excluded is None or own.endswith(excluded):
        return Words(prompt, own or None)
    return Words(prompt, f"{own}, {excluded}" if own else excluded)


def without_drums(prompt: str) -> str:
    """Return a prompt without the words "drum" and "drums", and without the gaps they leave."""
    if not _DRUM_WORDS.search(prompt):
        return prompt
    spaced = re.sub(r"\s+", " ", _DRUM_WORDS.sub(" ", prompt))
    return re.sub(r"(\s*,)+", ",", spaced).strip(" ,")
