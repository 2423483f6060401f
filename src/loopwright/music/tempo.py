"""Tempo, bars and samples, as exact fractions.

Knows: how a tempo is written in a prompt, how long bars last. A bar has four beats.
Does not know: models, audio, requests. Does not cover other metres.
"""

from __future__ import annotations

import re
from fractions import Fraction

BEATS_PER_BAR = 4
SECONDS_PER_MINUTE = 60

MIN_BPM = 30
MAX_BPM = 300

BARS = (8, 4, 2, 1)
"""The loop lengths on offer, longest first."""

# A number, at most six digits each side of the point or comma, right before "bpm". A longer number is no tempo.
_BPM = re.compile(r"(?<!\d)(?<!\d[.,])(\d{1,6}(?:[.,]\d{1,6})?)[\s-]*bpm\b", re.IGNORECASE)


def find_bpm(prompt: str) -> Fraction | None:
    """The tempo a prompt names (``140bpm``, ``140 BPM``, ``92.5 bpm``), the last one if several; None if none."""
    found = _BPM.findall(prompt)
    return Fraction(found[-1].replace(",", ".")) if found else None


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
    return next((bars for bars in BARS if loop_samples(bars, bpm, sample_rate) <= window_samples), None)


def bpm_number(bpm: Fraction) -> int | float:
    """The tempo as a plain number for people and JSON: an integer when whole."""
    return int(bpm) if bpm.denominator == 1 else float(bpm)
