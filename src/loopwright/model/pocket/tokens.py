"""Prompts as the embedded model reads them: a few known words and a tempo.

Knows: the spelling of words. Does not know: tensors. Words outside the vocabulary become one token, `unknown`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

MAX_TOKENS = 16
PAD, UNKNOWN, NULL = 0, 1, 2
"""Tokens that are no words: nothing, a word never seen, and no prompt at all."""

DEFAULT_BPM = 120.0

_TEMPO = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)\s*bpm")
_WORD = re.compile(r"[a-z0-9#\-]+")
_KEEP_FINAL_S = frozenset({"drums", "keys", "bass", "breaks", "rhodes", "strings"})


@dataclass(frozen=True)
class Tokens:
    """A prompt's tokens, MAX_TOKENS of them, padded; its tempo, if it names one; the words the model has never seen."""

    ids: tuple[int, ...]
    bpm: float | None
    unknown: tuple[str, ...]


NOTHING = Tokens((NULL,) + (PAD,) * (MAX_TOKENS - 1), None, ())
"""No prompt."""


def tokenize(prompt: str, vocabulary: Mapping[str, int]) -> Tokens:
    """The prompt's words as tokens; words beyond MAX_TOKENS are dropped."""
    text = prompt.lower()
    tempo = _TEMPO.search(text)
    words = [_singular(word) for word in _WORD.findall(_TEMPO.sub(" ", text).replace(" sharp", "#"))]
    ids = [vocabulary.get(word, UNKNOWN) for word in words][:MAX_TOKENS] or [NULL]
    return Tokens(
        ids=(*ids, *(PAD,) * (MAX_TOKENS - len(ids))),
        bpm=float(tempo.group(1)) if tempo else None,
        unknown=tuple(dict.fromkeys(word for word in words if word not in vocabulary)),
    )


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and len(word) > 3 and word not in _KEEP_FINAL_S else word
