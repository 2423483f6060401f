"""The notes of basses, chords and melodies: keys, progressions, rhythms.

All notes are in the key. A score is whole bars and is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.synth.drum_sounds import Rng
from training.synth.genres import STEPS
from training.synth.instruments import BASSES, CHORDS, MELODIC, SUSTAINED, Patch, brighten

MINOR, MAJOR = (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 5, 7, 9, 11)
PROGRESSIONS = (
    (0, 5, 3, 4), (0, 3, 4, 3), (0, 5, 2, 6), (0, 0, 5, 6), (0, 3, 0, 4),
    (0, 6, 5, 4), (0, 4, 5, 3), (0, 0, 0, 0), (0, 0, 3, 3), (5, 3, 0, 4),
)  # fmt: skip
HIGHEST_BASS, LOWEST_CHORD, HIGHEST_CHORD = 47, 48, 71


@dataclass(frozen=True)
class Note:
    """A note.

    Attributes:
        step: Start in sixteenths, without swing.
        steps: Length in sixteenths.
        pitch: MIDI number.
        loud: Amplitude, about 1.
    """

    step: float
    steps: float
    pitch: int
    loud: float


@dataclass(frozen=True)
class Part:
    """The notes of a patch.

    Attributes:
        gain: Gain of the part.
        space: Reverberation, 0 to 1.
        echo: Gain of a delay of three sixteenths.
    """

    name: str
    patch: Patch
    notes: tuple[Note, ...]
    gain: float
    space: float
    echo: float = 0.0


@dataclass(frozen=True)
class Harmony:
    """A key and a progression.

    Attributes:
        root: Pitch class.
        minor: The mode.
        degrees: A chord per bar.
    """

    root: int
    minor: bool
    degrees: tuple[int, ...]

    def pitch(self, lowest: int, degree: int) -> int:
        """Return the MIDI number of a degree of the scale above ``lowest``, which is a C.

        Degree 7 is an octave up.
        """
        scale = MINOR if self.minor else MAJOR
        return lowest + self.root + 12 * (degree // 7) + scale[degree % 7]


def draw_harmony(rng: Rng) -> Harmony:
    """Draw a key and a progression."""
    return Harmony(
        int(rng.integers(12)),
        bool(rng.random() < 0.65),
        PROGRESSIONS[rng.integers(len(PROGRESSIONS))],
    )


def bass_part(
    rng: Rng, name: str, harmony: Harmony, bars: int, traits: tuple[float, float, float]
) -> Part:
    """Draw a bass part. traits: bright, dense, space, each 0 to 1."""
    bright, dense, space = traits
    pattern = _bass_pattern(rng, name, dense)
    notes = []
    for bar in range(bars):
        degree = harmony.degrees[bar % len(harmony.degrees)]
        for step, steps, above in pattern:
            pitch = _folded(
                harmony.pitch(24, degree % 7 + above), 24 + 12 * (name == "acid"), HIGHEST_BASS
            )
            accent = 1.0 if rng.random() < 0.7 else 1.3
            notes.append(Note(bar * STEPS + step, steps, pitch, accent))
    return Part(
        name,
        brighten(BASSES[name](rng), bright),
        tuple(notes),
        1.0,
        max(0.0, space - 0.6) * 0.5,
    )


def _bass_pattern(rng: Rng, name: str, dense: float) -> list[tuple[int, float, int]]:
    """Draw a bar of (step, steps, degrees above the chord's root)."""
    if name == "sub":
        patterns = (
            [(0, 6, 0), (6, 4, 0), (10, 6, 0)],
            [(0, 8, 0), (8, 6, 0)],
            [(0, 3, 0), (3, 5, 0), (10, 3, 4)],
            [(0, 15, 0)],
        )
        return list(patterns[rng.integers(4)])
    if name == "reese":
        return (
            [(0, 8, 0), (8, 4, 0), (12, 4, int(rng.choice([0, -1, 1])))]
            if rng.random() < 0.7
            else [(0, 15, 0)]
        )
    if name == "acid":
        chosen = [
            (step, 1.0, int(rng.choice([0, 0, 0, 7, 2, 4])))
            for step in range(16)
            if rng.random() < 0.4 + 0.6 * dense
        ]
        return chosen or [(0, 1, 0)]
    return _riff(rng, dense)


def _riff(rng: Rng, dense: float) -> list[tuple[int, float, int]]:
    """Draw a bar of off-beats, of all but the beats, of eighths, or of random notes."""
    which = rng.integers(4)
    if which == 0:
        return [(step, 2, 0) for step in (2, 6, 10, 14)]
    if which == 1:
        return [(step, 1, int(rng.choice([0, 0, 7]))) for step in range(16) if step % 4]
    if which == 2:
        return [(step, 2, 0) for step in range(0, 16, 2)]
    chosen = [
        (step, float(rng.choice([1, 2])), int(rng.choice([0, 0, 4, 7, 2])))
        for step in range(0, 16, 2)
        if rng.random() < 0.4 + 0.55 * dense
    ]
    return chosen or [(0, 2, 0)]


_CHORD_RHYTHMS: tuple[tuple[tuple[int, int], ...], ...] = (
    ((0, 16),),
    ((0, 8), (8, 8)),
    ((0, 3), (3, 3), (6, 4), (10, 6)),
    ((2, 2), (6, 2), (10, 2), (14, 2)),
    ((0, 6), (6, 10)),
    ((0, 3), (6, 3), (12, 4)),
    ((0, 2), (3, 2), (6, 2), (10, 2), (12, 2)),
)
"""Bars of (step, steps), from sparse to dense."""


def chord_part(
    rng: Rng, name: str, harmony: Harmony, bars: int, traits: tuple[float, float, float]
) -> Part:
    """Draw chords, or a melody for melodic instruments. traits: bright, dense, space, 0 to 1."""
    bright, dense, space = traits
    notes = (
        _melody(rng, name, harmony, bars, dense)
        if name in MELODIC
        else _chords(rng, name, harmony, bars, dense)
    )
    dry = name in SUSTAINED or rng.random() < 0.6
    patch = brighten(CHORDS[name](rng), bright)
    return Part(
        name, patch, notes, 1.0, max(0.0, space - 0.15), 0.0 if dry else rng.uniform(0.2, 0.4)
    )


def _chords(rng: Rng, name: str, harmony: Harmony, bars: int, dense: float) -> tuple[Note, ...]:
    rhythms = len(_CHORD_RHYTHMS)
    sort = (
        0
        if name in SUSTAINED
        else int(np.clip(rng.normal(dense * (rhythms - 1), 1.5), 0, rhythms - 1))
    )
    seventh = rng.random() < 0.4
    notes = []
    for bar in range(bars):
        degree = harmony.degrees[bar % len(harmony.degrees)]
        above = (0, 2, 4, 6) if seventh else (0, 2, 4)
        pitches = {
            _folded(harmony.pitch(48, degree + one), LOWEST_CHORD + 2, HIGHEST_CHORD - 2)
            for one in above
        }
        for step, steps in _CHORD_RHYTHMS[sort]:
            notes += [
                Note(bar * STEPS + step, steps, pitch, rng.uniform(0.85, 1))
                for pitch in sorted(pitches)
            ]
    return tuple(notes)


def _melody(rng: Rng, name: str, harmony: Harmony, bars: int, dense: float) -> tuple[Note, ...]:
    steps_each = {"arpeggio": 1, "bell": 2, "lead": 2, "flute": 3}[name]
    heard = rng.random(16) < (0.55 + 0.45 * dense if name == "arpeggio" else 0.25 + 0.4 * dense)
    heard[0] = True
    tones, lowest = rng.integers(0, 6, 16), 48 if name == "arpeggio" else 60
    notes = []
    for bar in range(bars):
        degree = harmony.degrees[bar % len(harmony.degrees)]
        for step in np.flatnonzero(heard):
            above = (0, 2, 4)[tones[step] % 3] + 7 * (tones[step] // 3)
            pitch = _folded(harmony.pitch(lowest, degree + int(above)), lowest, lowest + 23)
            notes.append(Note(bar * STEPS + int(step), steps_each, pitch, rng.uniform(0.8, 1)))
    return tuple(notes)


def _folded(pitch: int, lowest: int, highest: int) -> int:
    """Move a pitch by octaves into a range of at least one octave."""
    while pitch > highest:
        pitch -= 12
    while pitch < lowest:
        pitch += 12
    return pitch
