"""What a riff's file name says: `gsharp_128bpm_1.wav` is in g sharp at 128 bpm.

Knows: where in a name keys and tempi stand. How they are spelled is known to ``music``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePath

from loopwright.music.key import Key, parse_key
from loopwright.music.tempo import MAX_BPM, MIN_BPM, NamedTempo, find_tempo, without_tempi

EXTENSIONS = (".wav", ".aif", ".aiff", ".flac", ".mp3")

LONGEST_KEY = 3
"""Parts of a name that one key has at most: F sharp minor."""

_PART = re.compile(r"[^\s_.,()\[\]+-]+")
_UNMISTAKABLE = re.compile(r"(?i:.*(?:sharp|flat|[#♯♭]|maj|min).*)|[A-G]b?m|[A-G]b")
_MINOR = re.compile(r"[a-g]b?m", re.IGNORECASE)
_STYLES = frozenset(["fm", "ebm"])
"""What would be a key beside a tempo, and names a sound or a style."""
_LIKE_A_KEY = re.compile(r"[h-z](?:sharp|flat|[#b])?", re.IGNORECASE)
_SAFE = re.compile(r"[^\w.#-]+")


@dataclass(frozen=True)
class Named:
    """What a name gives; None where it gives nothing."""

    key: Key | None
    bpm: Fraction | None


def parse_name(filename: str) -> Named:
    """Return the key and the tempo that a file name gives.

    A key is one, two or three parts of the name (`F#m`, `F sharp minor`), wherever it stands if it
    cannot be a word: with its mode, sharp or flat, or like `Am` and `Bb` in just these cases. One
    that may be a word, such as a lone letter, counts as the name's first or last part or beside the
    tempo; `am`, `em` and the like only beside the tempo.

    Raises:
        ValueError: with the reason, for a name that contradicts itself.
    """
    path = PurePath(filename)
    if path.suffix.lower() not in EXTENSIONS:
        raise ValueError(f"it must end in {', '.join(EXTENSIONS)}")
    tempo, key = find_tempo(path.stem), _find_key(path.stem)
    if tempo is None:
        return Named(key, None)
    head = path.stem[: tempo.start].strip(" _-")
    if key is None and _LIKE_A_KEY.fullmatch(head):
        raise ValueError(f"{head!r} is no key (a … g, with sharp or flat)")
    if tempo.playable is None:
        raise ValueError(f"{tempo.shown} bpm is no tempo from {MIN_BPM} to {MAX_BPM}")
    return Named(key, tempo.playable)


def _find_key(stem: str) -> Key | None:
    """Return the key that a name gives: the surest, of these that beside the tempo, or the first."""
    tempo = find_tempo(stem)
    parts = [part for part in _PART.finditer(without_tempi(stem)) if not part[0].isdecimal()]
    found: list[tuple[bool, bool, int, Key]] = []
    for number, part in enumerate(parts):
        stops = [one.end() for one in parts[number : number + LONGEST_KEY]]
        spelled = [stem[part.start() : stop] for stop in stops]
        length = max((n for n, one in enumerate(spelled, 1) if parse_key(one)), default=0)
        if length == 0 or part[0][0].lower() not in "abcdefg":  # such as "in A"
            continue
        written, stop = spelled[length - 1], stops[length - 1]
        beside = tempo is not None and _nothing_between(stem, (part.start(), stop), tempo)
        at_an_end = number == 0 or number + length == len(parts)
        joined = re.match(r"-[^\W\d_]", stem[stop:]) is not None  # E-Piano, G-Funk
        is_word = joined or written.lower() in _STYLES
        sure = _UNMISTAKABLE.fullmatch(written) is not None
        key = parse_key(written)
        placed = beside or (at_an_end and not _MINOR.fullmatch(written))
        if key is not None and (sure or (placed and not is_word)):
            found.append((not sure, not beside, number, key))
    return min(found, key=lambda one: one[:3])[3] if found else None


def _nothing_between(stem: str, key: tuple[int, int], tempo: NamedTempo) -> bool:
    """Return whether only separators stand between a key (start, stop) and the tempo."""
    between = stem[key[1] : tempo.start] if key[1] <= tempo.start else stem[tempo.stop : key[0]]
    return _PART.search(between) is None


def safe_name(filename: str) -> str:
    """A file name without path, spaces and signs that mean something to a shell or a file system."""
    return _SAFE.sub("_", PurePath(filename.replace("\\", "/")).name).lstrip(".") or "riff.wav"
