"""Genres: tempi, swing, drum patterns, usual kits and instruments.

Patterns are probabilities of a hit on each sixteenth of a bar, as strings: '.' is never, '1' to '9'
are tenths, 'x' is always.
"""

from __future__ import annotations

from dataclasses import dataclass

STEPS = 16
"""Sixteenths per bar."""


@dataclass(frozen=True)
class Genre:
    """A genre.

    Attributes:
        bpm: Range of tempi, inclusive.
        kick, snare, hat, open_hat, percussion: Patterns.
        kits, basses, chords: Names; likelier ones more than once.
        claps: Probability of a clap in place of the snare.
        swing: Maximum delay of odd sixteenths, in sixteenths.
        rolls: Whether hi-hats play rolls.
        share: Weight of the genre among all loops.
    """

    name: str
    bpm: tuple[int, int]
    kick: str
    snare: str
    hat: str
    open_hat: str
    percussion: str
    kits: tuple[str, ...]
    basses: tuple[str, ...]
    chords: tuple[str, ...]
    claps: float = 0.3
    swing: float = 0.0
    rolls: bool = False
    share: float = 1.0


GENRES: tuple[Genre, ...] = (
    Genre(
        "techno",
        (124, 150),
        kick="x...x..1x...x.11",
        snare="....7.......7...",
        hat="5363536353635363",
        open_hat="..9...9...9...9.",
        percussion="1113111311213121",
        kits=("909", "909", "industrial", "electronic"),
        basses=("acid", "synth", "sub", "fm"),
        chords=("stab", "arpeggio", "pad", "lead"),
        claps=0.75,
        share=1.4,
    ),
    Genre(
        "house",
        (115, 130),
        kick="x...x...x...x...",
        snare="....x.......x...",
        hat="5242524252425242",
        open_hat="..x...x...x...x.",
        percussion="1113113112211131",
        kits=("909", "909", "electronic", "acoustic"),
        basses=("synth", "synth", "fm", "acid", "sub"),
        chords=("piano", "stab", "keys", "organ", "pad", "rhodes"),
        claps=0.8,
        swing=0.15,
        share=1.3,
    ),
    Genre(
        "hip-hop",
        (70, 100),
        kick="x.13..234161..11",
        snare="....x.......x..1",
        hat="x1x1x1x1x1x1x1x1",
        open_hat="......1.......3.",
        percussion="................",
        kits=("acoustic", "dusty", "808"),
        basses=("sub", "synth", "pick"),
        chords=("piano", "rhodes", "keys", "guitar", "strings"),
        swing=0.3,
        share=1.3,
    ),
    Genre(
        "trap",
        (120, 160),
        kick="x..2..42..6..22.",
        snare="........x.......",
        hat="x4x4x4x4x4x4x4x4",
        open_hat="......2.......2.",
        percussion="1111111111111111",
        kits=("808",),
        basses=("sub",),
        chords=("bell", "pluck", "piano", "pad", "flute"),
        claps=0.5,
        rolls=True,
        share=0.9,
    ),
    Genre(
        "dnb",
        (165, 180),
        kick="x.....1..1x...1.",
        snare="....x.......x...",
        hat="x2x2x2x2x2x2x2x2",
        open_hat="..1...1...1...1.",
        percussion="................",
        kits=("acoustic", "electronic", "dusty"),
        basses=("reese", "reese", "sub", "synth"),
        chords=("pad", "stab", "strings", "pluck"),
        share=1.0,
    ),
    Genre(
        "breakbeat",
        (95, 145),
        kick="x.7...221283..1.",
        snare="....x..5.4..x.23",
        hat="x1x1x1x1x1x1x1x1",
        open_hat="..........3...3.",
        percussion="................",
        kits=("acoustic", "dusty", "electronic"),
        basses=("synth", "reese", "acid", "pick"),
        chords=("stab", "keys", "pluck", "organ"),
        swing=0.15,
        share=0.9,
    ),
    Genre(
        "ambient",
        (60, 100),
        kick="8.......3.2.....",
        snare="........4.......",
        hat="3131313131313131",
        open_hat="..1...1...1...1.",
        percussion="1111111111111111",
        kits=("808", "electronic"),
        basses=("sub", "sub", "synth"),
        chords=("pad", "pad", "strings", "bell", "piano", "flute"),
        share=0.6,
    ),
    Genre(
        "dubstep",
        (138, 142),
        kick="x......2..3...2.",
        snare="........x.......",
        hat="4244424442444244",
        open_hat="......2.......2.",
        percussion="1111111111111111",
        kits=("808", "electronic", "industrial"),
        basses=("reese", "sub", "fm"),
        chords=("stab", "pad", "pluck"),
        claps=0.4,
        share=0.5,
    ),
    Genre(
        "reggaeton",
        (86, 100),
        kick="x...x...x...x...",
        snare="...x..x....x..x.",
        hat="x.x.x.x.x.x.x.x.",
        open_hat="......1.......1.",
        percussion="..1..12...1..12.",
        kits=("electronic", "808", "909"),
        basses=("sub", "synth"),
        chords=("pluck", "keys", "guitar", "flute", "organ"),
        share=0.5,
    ),
    Genre(
        "funk",
        (95, 118),
        kick="x.4...3.2.x3..2.",
        snare="....x..4.3..x..4",
        hat="xx8xx8xx8xx8xx8x",
        open_hat="......2.......4.",
        percussion="..1..1....1..1..",
        kits=("acoustic", "acoustic", "dusty"),
        basses=("pick", "synth", "fm"),
        chords=("guitar", "organ", "keys", "brass"),
        swing=0.12,
        share=0.6,
    ),
)

BY_NAME = {genre.name: genre for genre in GENRES}


def chances(pattern: str) -> tuple[float, ...]:
    """Return a pattern's probabilities, one per sixteenth."""
    return tuple(
        {".": 0.0, "x": 1.0}.get(mark, int(mark) / 10 if mark.isdigit() else 0.0)
        for mark in pattern
    )
