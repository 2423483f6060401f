"""Tempo, bars and samples, as exact fractions.

Knows: how a tempo is written in a text, how long bars last. A bar has four beats.
Does not know: models, audio, requests. Does not cover other metres.
This is the one parser of tempi: prompts, names of riffs and models all read them here.
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
"""The loop lengths on offer, longest first."""

SHOWN_CHARACTERS = 40
"""The most of a number that is shown to people."""

_LETTER = r"[^\W\d_]"
_MINUS = "-\u2212"
# Numbers as people and hosts write them, 92,5 and 1e+06, and what programs print where they have
# none. An exponent is short: ten to the power of a billion would take all memory.
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
"""The unit with the number before it, or a word that only stands before a number."""
_AFTER = re.compile(
    rf"[\s_]*+(?P<sign>[:=]|(?:of|is)\b)?[\s_]*+"
    rf"(?P<number>[{_MINUS}]?(?:{_DIGITS}|{_NO_NUMBER}))"
    rf"(?:(?P<own>[\s_-]*+{_BPM})|(?!{_LETTER}|\d|['\u2019]s\b))"
    r"(?!\s*+(?:bar|beat|step|second)s?\b)",
    re.IGNORECASE,
)
"""The number after a unit, its own unit too; not `80s`, `90's` nor `4 bars`."""
_OTHER_MEANINGS = frozenset(["303", "606", "707", "808", "909", "none"])
"""What may follow the word bpm and is no tempo: "high bpm 808 kick"."""


@dataclass(frozen=True)
class NamedTempo:
    """A tempo as a text names it.

    written: the number as it stands there (`92,5`, `-2147483648`, `NaN`).
    bpm: its exact value; None where it is no number. start, stop: where its words stand.
    """

    written: str
    bpm: Fraction | None
    start: int
    stop: int

    @property
    def playable(self) -> Fraction | None:
        """The tempo, if loops are made at it; None for what hosts send where they have none."""
        return self.bpm if self.bpm is not None and in_range(self.bpm) else None

    @property
    def shown(self) -> str:
        """The number as an error shows it."""
        cut = len(self.written) > SHOWN_CHARACTERS
        return f"{self.written[:SHOWN_CHARACTERS]}…" if cut else self.written


def named_tempi(text: str) -> tuple[NamedTempo, ...]:
    """Return all tempi that a text names, in their order.

    Read are `140bpm`, `92,5 BPM`, `140 beats per minute`, `140 b.p.m.`, `BPM: 140`, `bpm=140`,
    `tempo of 140`, `♩=140` and the like, in full-width letters too. Of a number before the unit
    and one after it the first counts, unless it belongs to a label of its own (`bars=4 bpm=140`).
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
    """Return the tempo that a text names, the last one if several; None if it names none."""
    return next(reversed(named_tempi(text)), None)


def without_tempi(text: str, *, keep_playable: bool = False) -> str:
    """Return the text with spaces, as many as were characters, in place of the tempi it names.

    keep_playable: leave the tempi that loops are made at.
    """
    for tempo in named_tempi(text):
        if tempo.playable is None or not keep_playable:
            blank = " " * (tempo.stop - tempo.start)
            text = text[: tempo.start] + blank + text[tempo.stop :]
    return text


def _counts(unit: re.Match[str], after: re.Match[str]) -> bool:
    """Return whether the number after a unit is the tempo: not the one before it, and not none."""
    playable = _is_playable(after["number"])
    if unit["before"] is not None:
        of_a_label = unit.string[: unit.start()].rstrip().endswith((":", "="))
        better = of_a_label or not _is_playable(unit["before"])
        return playable and better and after["sign"] in (":", "=")
    if playable or after["sign"] is not None or after["own"] is not None:
        return True
    return unit["name"] is None and after["number"].lower() not in _OTHER_MEANINGS


def _is_playable(number: str) -> bool:
    return _named(number, 0, 0).playable is not None


def _named(written: str, start: int, stop: int) -> NamedTempo:
    """Return the tempo that a number means. A hyphen before one in range is a dash, no minus."""
    unsigned = written.lstrip(_MINUS)
    value = _value(unsigned)
    if value is None or in_range(value):
        return NamedTempo(written if value is None else unsigned, value, start, stop)
    return NamedTempo(written, value if unsigned == written else -value, start, stop)


def _value(number: str) -> Fraction | None:
    """Return a number's exact value; None for NaN, 1.000.000 and what is too long to be one."""
    try:
        return Fraction(number.lower().replace(",", "."))
    except ValueError:
        return None


def in_range(bpm: Fraction) -> bool:
    """Whether loops are made at this tempo."""
    return MIN_BPM <= bpm <= MAX_BPM


def bar_seconds(bpm: Fraction) -> Fraction:
    """Seconds of one bar."""
    return BEATS_PER_BAR * SECONDS_PER_MINUTE / bpm


def loop_samples(bars: int, bpm: Fraction, sample_rate: int) -> int:
    """Samples of a loop, the whole number nearest to the exact length (half to even)."""
    return round(bars * bar_seconds(bpm) * sample_rate)


def largest_fitting_bars(bpm: Fraction, window_samples: int, sample_rate: int) -> int | None:
    """The largest of 8, 4, 2, 1 bars whose loop fits into the window; None if not even one bar does."""
    return next(
        (bars for bars in BARS if loop_samples(bars, bpm, sample_rate) <= window_samples), None
    )


def bpm_number(bpm: Fraction) -> int | float:
    """The tempo as a plain number for people and JSON: an integer when whole."""
    return int(bpm) if bpm.denominator == 1 else float(bpm)
