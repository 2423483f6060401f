"""Keys as musicians, packs and clients write them: a root note and, where said, major or minor.

Knows: spellings. Does not know: scales, audio. `gsharp`, `G#`, `aflat` and `Ab` are one key.
This is the one parser of keys: fields, names of riffs and models all read them here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from loopwright.music.letters import plain

KEYS = ("c", "csharp", "d", "dsharp", "e", "f", "fsharp", "g", "gsharp", "a", "asharp", "b")
"""The canonical names of roots, by pitch class: semitones above C."""

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
_SAID = r"(?:in|key\s+of|key)(?:\s*[:=]\s*|\s+)"
_IN_PROMPTS = (
    re.compile(rf"{_START}(?P<key>{_ROOT}[\s_-]*{_MODE}){_END}", re.IGNORECASE),
    re.compile(rf"{_START}{_SAID}(?P<key>{_ROOT}m){_END}", re.IGNORECASE),
    re.compile(
        rf"{_START}{_SAID}(?P<key>{_ROOT})(?=\s*$|\s*[,.;]|\s+\d|\s+with\b)",
        re.IGNORECASE,
    ),
    re.compile(rf"{_START}(?P<key>[A-G]b?m|(?i:[a-g][#♯♭])m){_END}"),
)
"""How a text names a key, the surest first."""


@dataclass(frozen=True)
class Key:
    """A key. root: semitones above C, 0 … 11. mode: None where only the root is named."""

    root: int
    mode: Mode | None = None

    @property
    def name(self) -> str:
        """The canonical name of the root, by which riffs are kept: `gsharp`."""
        return KEYS[self.root]

    @property
    def written(self) -> str:
        """The key as musicians write it: `G#`, `F# minor`."""
        root = written_root(self.name)
        return root if self.mode is None else f"{root} {self.mode}"


@dataclass(frozen=True)
class NamedKey:
    """A key as a text names it. start, stop: where its words stand in the text."""

    key: Key
    start: int
    stop: int


def parse_key(text: str) -> Key | None:
    """Return the key that a whole text spells (`Ab`, `F#m`, `key of A minor`), or None."""
    spelled = _FIELD.fullmatch(plain(text).strip())
    if spelled is None:
        return None
    root = _root(spelled["root"])
    if spelled["letter"]:  # AM may be A major, A minor or a shouted name
        return Key(root, "minor" if spelled["letter"] == "m" else None)
    if spelled["mode"]:
        return Key(root, "major" if "a" in spelled["mode"].lower() else "minor")
    return Key(root)


def find_key(prompt: str) -> NamedKey | None:
    """Return the key that a prompt names; None if it names none.

    A root counts with its mode (`A minor`, `Cmaj`), after "in" or "key of" where the phrase ends
    with it or goes on with a number or "with", and as `Am` or `f#m`. Other letters are words:
    "a dark beat", "in a minute".
    """
    letters = plain(prompt)
    found = next((match for one in _IN_PROMPTS if (match := one.search(letters)) is not None), None)
    if found is None:
        return None
    key = parse_key(found["key"].lower())
    assert key is not None, found["key"]
    return NamedKey(key, found.start(), found.end())


def written_root(name: str) -> str:
    """Return a root as musicians write it: `gsharp` is G#."""
    return name[0].upper() + ("#" if name.endswith("sharp") else "")


def semitones_between(key: str, target: str) -> int:
    """Return the shortest way between roots, in semitones from -6 to 5 (a tritone goes down)."""
    return (KEYS.index(target) - KEYS.index(key) + OCTAVE // 2) % OCTAVE - OCTAVE // 2


def _root(spelled: str) -> int:
    """Return the semitones above C of a root with or without a sharp or flat."""
    accidental = re.sub(r"[\s_-]", "", spelled[1:].lower())
    return (_NATURALS[spelled[0].lower()] + _SHIFTS.get(accidental, 0)) % OCTAVE
