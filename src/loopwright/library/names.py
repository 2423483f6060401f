"""What a riff's file name says: `gsharp_128bpm_1.wav` is in g sharp at 128 bpm."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePath

from loopwright.music.key import parse_key
from loopwright.music.tempo import MAX_BPM, MIN_BPM, bpm_number, in_range

EXTENSIONS = (".wav", ".aif", ".aiff", ".flac", ".mp3")

_TEMPO = re.compile(r"(?:^|[_\s-])(\d{1,6}(?:\.\d{1,3})?)[_\s-]?bpm(?=[_\s.-]|$)", re.IGNORECASE)
_KEY = re.compile(r"[a-g](?:[_\s-]?(?:sharp|flat)|#|b)?(?=[_\s-]|$)", re.IGNORECASE)
_LIKE_A_KEY = re.compile(r"[a-z](?:sharp|flat|#|b)?", re.IGNORECASE)
_SAFE = re.compile(r"[^\w.#-]+")


@dataclass(frozen=True)
class Named:
    """What a name gives; None where it gives nothing."""

    key: str | None
    bpm: Fraction | None


def parse_name(filename: str) -> Named:
    """Key and tempo from a file name. Raises ValueError, with the reason, for one that contradicts itself."""
    path = PurePath(filename)
    if path.suffix.lower() not in EXTENSIONS:
        raise ValueError(f"it must end in {', '.join(EXTENSIONS)}")
    stem = path.stem
    tempo, key = _TEMPO.search(stem), _KEY.match(stem)
    if tempo is not None and key is None and tempo.start() > 0:
        head = re.split(r"[_\s-]", stem)[0]
        if _LIKE_A_KEY.fullmatch(head):
            raise ValueError(f"{head!r} is no key (a … g, with sharp or flat)")
    bpm = Fraction(tempo[1]) if tempo else None
    if bpm is not None and not in_range(bpm):
        raise ValueError(f"{bpm_number(bpm)} bpm is no tempo from {MIN_BPM} to {MAX_BPM}")
    return Named(parse_key(key[0]) if key else None, bpm)


def safe_name(filename: str) -> str:
    """A file name without path, spaces and signs that mean something to a shell or a file system."""
    return _SAFE.sub("_", PurePath(filename.replace("\\", "/")).name).lstrip(".") or "riff.wav"
