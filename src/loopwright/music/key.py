"""Keys by their root note. Knows spellings; does not know scales or audio. `gsharp`, `G#`, `aflat` and `Ab` are one key."""

from __future__ import annotations

import re

KEYS = ("c", "csharp", "d", "dsharp", "e", "f", "fsharp", "g", "gsharp", "a", "asharp", "b")
"""The canonical names, by pitch class: semitones above C."""

OCTAVE = 12

_NATURALS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_KEY = re.compile(r"([a-g])[\s_-]?(sharp|flat|#|♯|b|♭)?", re.IGNORECASE)
_SHIFTS = {"sharp": 1, "#": 1, "♯": 1, "flat": -1, "b": -1, "♭": -1}


def parse_key(text: str) -> str | None:
    """The canonical name of a key, however it is spelled; None if it is none."""
    found = _KEY.fullmatch(text.strip())
    if found is None:
        return None
    shift = _SHIFTS[found[2].lower()] if found[2] else 0
    return KEYS[(_NATURALS[found[1].lower()] + shift) % OCTAVE]


def written_key(key: str) -> str:
    """A canonical name as musicians write it: `gsharp` is G#."""
    return key[0].upper() + ("#" if key.endswith("sharp") else "")


def semitones_between(key: str, target: str) -> int:
    """The shortest way from a key to another, in semitones from -6 to 5 (a tritone goes down)."""
    return (KEYS.index(target) - KEYS.index(key) + OCTAVE // 2) % OCTAVE - OCTAVE // 2
