"""The key and tempo in a riff's file name: `gsharp_128bpm_1.wav` is in G sharp at 128 bpm.

Knows: where in a name a key and a tempo may stand. How they are spelled is known to ``music``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePath

from loopwright.errors import shown
from loopwright.music.key import Key, parse_key
from loopwright.music.tempo import MAX_BPM, MIN_BPM, find_tempo, without_tempi

EXTENSIONS = frozenset([
    ".wav", ".aif", ".aiff", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".3gp",
    ".mov", ".webm", ".mkv", ".caf", ".w64", ".au", ".voc", ".aac", ".ac3", ".wma", ".wv", ".ape",
    ".tta", ".amr", ".dsf", ".mp2", ".ts", ".flv", ".avi", ".mpg", ".8svx",
])  # fmt: skip
"""Extensions of files that may be audio; whether they are is told by their bytes."""

MAX_KEY_PARTS = 3
"""The most parts of a name that one key has: F sharp minor."""

_PART = re.compile(r"[^\s_.,()\[\]+-]+")
_UNMISTAKABLE = re.compile(r"(?i:.*(?:sharp|flat|[#♯♭]|maj|min).*)|[A-G]b?m|[A-G]b")
_MINOR = re.compile(r"[a-g]b?m", re.IGNORECASE)
_NO_KEYS = frozenset(["fm", "ebm"])
"""Spelled like keys, but the name of a sound and of a style."""
_LIKE_A_KEY = re.compile(r"[h-z](?:sharp|flat|[#b])?", re.IGNORECASE)
"""What was meant as a key and is none: a letter that no note has."""
_UNSAFE = re.compile(r"[^\w.#-]+")


@dataclass(frozen=True)
class KeyAndTempo:
    """The key and tempo of a riff, as far as they are known.

    Args:
        key: None where it is not known.
        bpm: The tempo in beats per minute; None where it is not known.
    """

    key: Key | None
    bpm: Fraction | None


def parse_name(filename: str) -> KeyAndTempo:
    """Return the key and the tempo that a file name says.

    A key is one to three parts of the name (`F#m`, `F sharp minor`). It counts anywhere if it can
    be no word: with its mode, sharp or flat, or like `Am` and `Bb` in exactly these letters. If it
    may be a word, such as a lone letter, it counts as the name's first or last part, or beside the
    tempo; `am`, `em` and the like only beside the tempo.

    Raises:
        ValueError: The name's key or tempo cannot be one; the message has the reason.
    """
    path = PurePath(filename)
    if path.suffix.lower() not in EXTENSIONS:
        raise ValueError("its name does not end like an audio file's, such as .wav or .mp3")
    tempo, key = find_tempo(path.stem), _find_key(path.stem)
    if tempo is None:
        return KeyAndTempo(key, None)
    before_tempo = path.stem[: tempo.start].strip(" _-")
    if key is None and _LIKE_A_KEY.fullmatch(before_tempo):
        raise ValueError(f"{shown(before_tempo)} is no key such as A, F#m, Bb major or gsharp")
    if tempo.playable is None:
        raise ValueError(f"{tempo.shown} bpm is no tempo from {MIN_BPM} to {MAX_BPM}")
    return KeyAndTempo(key, tempo.playable)


def _find_key(stem: str) -> Key | None:
    """Return the key that a name says: the surest, of these the one beside the tempo or first."""
    tempo = find_tempo(stem)
    # numbers count takes and are no part of a key
    parts = [part for part in _PART.finditer(without_tempi(stem)) if not part[0].isdecimal()]
    candidates: list[tuple[bool, bool, int, Key]] = []
    for number, part in enumerate(parts):
        spelled = _longest_key(stem, parts[number : number + MAX_KEY_PARTS])
        if spelled is None:
            continue
        key, stop = spelled
        start = part.start()
        text = stem[start:stop]
        is_beside = False
        if tempo is not None:
            # beside it: nothing but separators is between the two
            is_before = stop <= tempo.start
            between = stem[stop : tempo.start] if is_before else stem[tempo.stop : start]
            is_beside = _PART.search(between) is None
        is_outermost = number == 0 or stop == parts[-1].end()
        is_joined = re.match(r"-[^\W\d_]", stem[stop:]) is not None  # E-Piano, G-Funk
        is_word = is_joined or text.lower() in _NO_KEYS
        is_sure = _UNMISTAKABLE.fullmatch(text) is not None
        is_in_place = is_beside or (is_outermost and not _MINOR.fullmatch(text))
        if is_sure or (is_in_place and not is_word):
            candidates.append((not is_sure, not is_beside, number, key))
    return min(candidates, key=lambda one: one[:3])[3] if candidates else None


def _longest_key(stem: str, parts: Sequence[re.Match[str]]) -> tuple[Key, int] | None:
    """Return the key that the most parts spell, from the first part on, and where it ends."""
    start = parts[0].start()
    if stem[start].lower() not in "abcdefg":  # "in A" is a key, but it begins at the "A"
        return None
    for part in reversed(parts):
        key = parse_key(stem[start : part.end()])
        if key is not None:
            return key, part.end()
    return None


def safe_name(filename: str) -> str:
    """Return a file name without its folder, spaces, and what shells or file systems interpret."""
    # browsers on Windows may send a whole path, with its own separators
    name = PurePath(filename.replace("\\", "/")).name
    return _UNSAFE.sub("_", name).lstrip(".") or "riff.wav"
