"""Keys as musicians, sample packs and clients write them: a root, and perhaps major or minor.

Knows: spellings; `gsharp`, `G#`, `aflat` and `Ab` are one key. Does not know: scales, audio.
This is the only parser of keys: requests, file names of riffs and models all use it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from loopwright.music.letters import plain

KEYS = ("c", "csharp", "d", "dsharp", "e", "f", "fsharp", "g", "gsharp", "a", "asharp", "b")
"""The names of roots, by semitones above C."""

OCTAVE = 12

Mode = Literal["major", "minor"]

_NATURALS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_SHIFTS = {"sharp": 1, "#": 1, "♯": 1, "flat": -1, "b": -1, "♭": -1}

_ROOT = r"[a-g](?:[\s_-]?(?:sharp|flat|[#♯♭])|b)?"
_MODE = r"(?:major|minor|maj|min)"
_START, _END = r"(?<![^\W_])(?<!&)", r"(?![^\W_])"  # no key in "d&b minor"
_FIELD = re.compile(
    rf"(?:(?:in\s+)?(?:the\s+)?key(?:\s+of\s+|\s*[:=]\s*|\s+)|in\s+)?"
    rf"(?P<root>{_ROOT})(?:[\s_-]*(?P<mode>{_MODE})|(?P<letter>m))?",
    re.IGNORECASE,
)
_PREFIX = r"(?:in|key\s+of|key)(?:\s*[:=]\s*|\s+)"
_IN_PROMPTS = (
    re.compile(rf"{_START}(?P<key>{_ROOT}[\s_-]*{_MODE}){_END}", re.IGNORECASE),
    re.compile(rf"{_START}{_PREFIX}(?P<key>{_ROOT}m){_END}", re.IGNORECASE),
    re.compile(
        rf"{_START}{_PREFIX}(?P<key>{_ROOT})(?=\s*$|\s*[,.;]|\s+\d|\s+with\b)",
        re.IGNORECASE,
    ),
    re.compile(rf"{_START}(?P<key>[A-G]b?m|(?i:[a-g][#♯♭])m){_END}"),
)
"""How a prompt names a key; of several spellings the first in this list counts."""


@dataclass(frozen=True)
class Key:
    """A musical key.

    Args:
        root: Semitones above C, from 0 to 11.
        mode: None where only the root is named.
    """

    root: int
    mode: Mode | None = None

    @property
    def name(self) -> str:
        """The name of the root, as riffs are sorted by: `gsharp`."""
        return KEYS[self.root]

    @property
    def written(self) -> str:
        """The key as musicians write it: `G#`, `F# minor`."""
        root = self.name[0].upper() + ("#" if self.name.endswith("sharp") else "")
        return root if self.mode is None else f"{root} {self.mode}"


@dataclass(frozen=True)
class NamedKey:
    """A key that a text names.

    Args:
        key: The key.
        start: Where its words begin in the text.
        stop: Where they end.
    """

    key: Key
    start: int
    stop: int


def parse_key(text: str) -> Key | None:
    """Return the key that a whole text spells (`Ab`, `F#m`, `key of A minor`); else None."""
    spelled = _FIELD.fullmatch(plain(text).strip())
    if spelled is None:
        return None
    note, accidental = spelled["root"][0].lower(), spelled["root"][1:].lower()
    shift = _SHIFTS.get(re.sub(r"[\s_-]", "", accidental), 0)
    root = (_NATURALS[note] + shift) % OCTAVE
    if spelled["letter"]:  # AM may be A major, A minor or a shouted name
        return Key(root, "minor" if spelled["letter"] == "m" else None)
    if spelled["mode"]:
        return Key(root, "major" if "a" in spelled["mode"].lower() else "minor")
    return Key(root)


def find_key(prompt: str) -> NamedKey | None:
    """Return the key that a prompt names; None if it names none.

    A root counts with its mode (`A minor`, `Cmaj`); as `Am` or `f#m`; and after "in" or "key of" if
    the phrase ends there, or a number or "with" follows. Other letters are words: "a dark beat",
    "in a minute".
    """
    letters = plain(prompt)
    for pattern in _IN_PROMPTS:
        found = pattern.search(letters)
        if found is not None:
            key = parse_key(found["key"].lower())
            assert key is not None, found["key"]
            return NamedKey(key, found.start(), found.end())
    return None


def semitones_between(root: str, target: str) -> int:
    """Return the shortest way from a root to another, by their names.

    Returns:
        Semitones from -6 to 5: a tritone goes down.
    """
    up = KEYS.index(target) - KEYS.index(root)
    return (up + OCTAVE // 2) % OCTAVE - OCTAVE // 2
