"""Tempo, bars and samples, as exact fractions.

Knows: how a text names a tempo, how long a bar is. A bar has four beats; no other metre is covered.
Does not know: models, audio, requests.
This is the only parser of tempi: prompts, file names of riffs and models all use it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from loopwright.music.letters import plain

BEATS_PER_BAR = 4
SECONDS_PER_MINUTE = 60

MIN_BPM = 30
MAX_BPM = 300
BPM_ALLOWED = f"a number of beats per minute from {MIN_BPM} to {MAX_BPM}"

BARS = (8, 4, 2, 1)
"""The lengths of loops, longest first."""

SHOWN_CHARACTERS = 40
"""The most that an error shows of a number."""

_LETTER = r"[^\W\d_]"
_MINUS = "-\u2212"
# Numbers as people and hosts write them (92,5 and 1e+06), and what programs print for no number.
# An exponent is short: ten to the power of a billion would take all memory.
_DIGITS = r"\d++(?:[.,]\d++)*+(?:e[+-]?\d{1,3}(?!\d))?"
_NO_NUMBER = r"(?:nan|inf(?:inity)?|undefined|null|none)(?:\(\w+\))?"
_BPM = (
    r"(?:bpm|b\.\s?p\.\s?m\.?|beats?[\s-]*+(?:per|a|/)[\s-]*+min(?:ute)?)"
    rf"(?:(?!{_LETTER})|(?={_NO_NUMBER}(?!{_LETTER})))"
)
_UNIT = re.compile(
    rf"(?:(?P<before>(?:(?<![\w.,])[{_MINUS}])?"
    rf"(?:(?<!\d)(?<!\d[.,]){_DIGITS}|(?<!{_LETTER}){_NO_NUMBER}))[\s_-]*+|(?<!{_LETTER})){_BPM}"
    rf"|(?<!{_LETTER})(?P<name>tempo|\u2669)(?!{_LETTER})",
    re.IGNORECASE,
)
"""The unit with the number before it, or a word that only comes before a number."""
_AFTER = re.compile(
    rf"[\s_]*+(?P<sign>[:=]|(?:of|is)\b)?[\s_]*+"
    rf"(?P<number>[{_MINUS}]?(?:{_DIGITS}|{_NO_NUMBER}))"
    rf"(?:(?P<own>[\s_-]*+{_BPM})|(?!{_LETTER}|\d|['\u2019]s\b))"
    r"(?!\s*+(?:bar|beat|step|second)s?\b)",
    re.IGNORECASE,
)
"""The number after a unit, perhaps with a unit of its own; not `80s`, `90's` or `4 bars`."""
_OTHER_MEANINGS = frozenset(["303", "606", "707", "808", "909", "none"])
"""What may follow "bpm" and is no tempo, such as drum machines: "high bpm 808 kick"."""


@dataclass(frozen=True)
class NamedTempo:
    """A tempo that a text names.

    Args:
        written: The number as the text has it (`92,5`, `-2147483648`, `NaN`).
        bpm: Its exact value; None where it is no number.
        start: Where its words begin in the text.
        stop: Where they end.
    """

    written: str
    bpm: Fraction | None
    start: int
    stop: int

    @property
    def playable(self) -> Fraction | None:
        """The tempo, if loops can have it; None for what hosts send if they have no tempo."""
        return self.bpm if self.bpm is not None and in_range(self.bpm) else None

    @property
    def shown(self) -> str:
        """The number as an error shows it."""
        if len(self.written) <= SHOWN_CHARACTERS:
            return self.written
        return f"{self.written[:SHOWN_CHARACTERS]}…"


def named_tempi(text: str) -> tuple[NamedTempo, ...]:
    """Return all tempi that a text names, in order.

    These are `140bpm`, `92,5 BPM`, `140 beats per minute`, `140 b.p.m.`, `BPM: 140`, `bpm=140`,
    `tempo of 140`, `♩=140` and the like, in full-width letters too. Of a number before the unit and
    another after it the first counts, unless it has another label (`bars=4 bpm=140`).
    """
    letters = plain(text)
    found: list[NamedTempo] = []
    position = 0
    while (unit := _UNIT.search(letters, position)) is not None:
        before, after = unit["before"], _AFTER.match(letters, unit.end())
        if after is not None and _counts(unit, after):
            start = unit.start() if before is None else unit.end("before")
            found.append(_named(after["number"], start, after.end()))
            position = after.end()
        else:
            if before is not None:
                found.append(_named(before, unit.start(), unit.end()))
            position = unit.end()
    return tuple(found)


def find_tempo(text: str) -> NamedTempo | None:
    """Return the last tempo that a text names; None if it names none."""
    return next(reversed(named_tempi(text)), None)


def without_tempi(text: str, *, keep_playable: bool = False) -> str:
    """Return a text with its tempi replaced by spaces, so that it keeps its length.

    Args:
        text: The text.
        keep_playable: Whether tempi that loops can have are left.
    """
    for tempo in named_tempi(text):
        if tempo.playable is None or not keep_playable:
            blank = " " * (tempo.stop - tempo.start)
            text = text[: tempo.start] + blank + text[tempo.stop :]
    return text


def _counts(unit: re.Match[str], after: re.Match[str]) -> bool:
    """Return whether the number after a unit is a tempo, and not the one before it."""
    is_playable = _named(after["number"]).playable is not None
    if unit["before"] is not None:
        has_label = unit.string[: unit.start()].rstrip().endswith((":", "="))
        is_better = has_label or _named(unit["before"]).playable is None
        return is_playable and is_better and after["sign"] in (":", "=")
    if is_playable or after["sign"] is not None or after["own"] is not None:
        return True
    return unit["name"] is None and after["number"].lower() not in _OTHER_MEANINGS


def _named(written: str, start: int = 0, stop: int = 0) -> NamedTempo:
    """Return the tempo that a number stands for."""
    unsigned = written.lstrip(_MINUS)
    try:
        value = Fraction(unsigned.lower().replace(",", "."))
    except ValueError:  # NaN, 1.000.000, or more digits than Python converts
        return NamedTempo(written, None, start, stop)
    if in_range(value):  # a hyphen before it is a dash: "techno -140bpm"
        return NamedTempo(unsigned, value, start, stop)
    return NamedTempo(written, value if unsigned == written else -value, start, stop)


def in_range(bpm: Fraction) -> bool:
    """Return whether loops can have this tempo."""
    return MIN_BPM <= bpm <= MAX_BPM


def bar_seconds(bpm: Fraction) -> Fraction:
    """Return the length of a bar in seconds."""
    return BEATS_PER_BAR * SECONDS_PER_MINUTE / bpm


def loop_samples(bars: int, bpm: Fraction, sample_rate: int) -> int:
    """Return the length of a loop in samples: the exact length, rounded (half to even)."""
    return round(bars * bar_seconds(bpm) * sample_rate)


def largest_fitting_bars(bpm: Fraction, window_samples: int, sample_rate: int) -> int | None:
    """Return the most of BARS whose loop fits a model's window; None if not even one bar does."""
    fitting = (bars for bars in BARS if loop_samples(bars, bpm, sample_rate) <= window_samples)
    return next(fitting, None)


def bpm_number(bpm: Fraction) -> int | float:
    """Return a tempo as a number for people and JSON: an integer where it is whole."""
    return int(bpm) if bpm.denominator == 1 else float(bpm)
