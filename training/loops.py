"""Loops by number: kind, genre, drums, parts, levels; their controls and their sound."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loopwright.model.pocket.layers import FINE_HOP
from loopwright.model.pocket.tones import GROUPS, NOTES, REGISTERS
from training.synth.drum_sounds import SAMPLE_RATE, Rng
from training.synth.drums import DrumScore, draw_drums, render_drums
from training.synth.genres import GENRES, Genre
from training.synth.instruments import BASSES, CHORDS, MELODIC
from training.synth.scores import Harmony, Part, bass_part, chord_part, draw_harmony
from training.synth.tones import Controls, Floats, Grid, part_audio, part_controls

KINDS = ("drums", "bass", "chords", "tones", "mix")
SHARES = (0.32, 0.17, 0.22, 0.07, 0.22)
ALONE = {"bass": 0.14, "chords": 0.12}
"""Root mean squares of solo parts; drums have 0.14."""
TOGETHER = {"bass": 0.085, "chords": 0.065}
DUCKED_FOR = 0.11
"""Time constant of ducking, in seconds."""
ODD_TEMPO = 0.1
"""Share of loops at a tempo outside their genre's, so that prompts may name any tempo."""


@dataclass(frozen=True)
class Loop:
    """Everything that defines a loop.

    Attributes:
        gains: Root mean square of each part.
        bright, dense, space: Traits, each 0 to 1.
        ducked: Depth of ducking of tones on every beat, 0 to 1.
    """

    number: int
    kind: str
    genre: str
    grid: Grid
    harmony: Harmony
    drums: DrumScore | None
    parts: tuple[Part, ...]
    gains: tuple[float, ...]
    bright: float
    dense: float
    space: float
    ducked: float


def draw_loop(number: int, kind: str | None = None) -> Loop:
    """Draw the loop of a number."""
    rng = np.random.default_rng([6, number])
    drawn_kind = str(rng.choice(KINDS, p=np.array(SHARES)))
    kind = kind or drawn_kind
    genre = _genre(rng)
    drums = draw_drums(number, genre, _tempo(rng, genre))
    if kind == "mix":
        drums = replace(drums, only=())
    harmony, traits = draw_harmony(rng), (drums.bright, drums.dense, drums.space)
    names = _parts(rng, kind, genre)
    parts = tuple(
        (bass_part if name in BASSES else chord_part)(rng, name, harmony, drums.bars, traits)
        for name in names
    )
    levels = ALONE if kind in ("bass", "chords") else TOGETHER
    gains = tuple(
        levels["bass" if name in BASSES else "chords"] * rng.uniform(0.85, 1.15) for name in names
    )
    if kind == "tones":
        gains = tuple(gain * 1.5 for gain in gains)
    pumping = kind == "mix" and genre.name in ("house", "techno") and rng.random() < 0.5
    return Loop(
        number,
        kind,
        genre.name,
        Grid(drums.bpm, drums.swing, drums.bars),
        harmony,
        drums if kind in ("drums", "mix") else None,
        parts,
        gains,
        *traits,
        ducked=0.7 if pumping else 0.0,
    )


def _genre(rng: Rng) -> Genre:
    shares = np.array([genre.share for genre in GENRES])
    return GENRES[rng.choice(len(GENRES), p=shares / shares.sum())]


def _tempo(rng: Rng, genre: Genre) -> float:
    lowest, highest = genre.bpm if rng.random() > ODD_TEMPO else (62, 180)
    return float(rng.integers(lowest, highest + 1))


def _parts(rng: Rng, kind: str, genre: Genre) -> tuple[str, ...]:
    usual = rng.random() < 0.6
    bass = str(rng.choice(genre.basses if usual else list(BASSES)))
    chords = str(rng.choice(genre.chords if usual else list(CHORDS)))
    if kind in ("tones", "mix"):
        which = int(rng.integers(4)) if kind == "mix" else 3
        melody = str(rng.choice(sorted(MELODIC)))
        both = (bass, chords) if kind == "tones" or rng.random() < 0.7 else (chords, melody)
        return ((bass,), (chords,), both, both)[which]
    return {"bass": (bass,), "chords": (chords,)}.get(kind, ())


def loop_controls(loop: Loop, steps: int) -> Controls:
    """Compute the controls of a loop's tones, step by step."""
    total: Controls | None = None
    for part, gain in zip(loop.parts, loop.gains, strict=True):
        controls = part_controls(part, loop.grid, steps)
        controls = controls.louder(gain / _level(controls))
        total = controls if total is None else total + controls
    if total is None:
        return silence(steps)
    return (
        total.louder(_ducking(loop, (np.arange(steps) + 0.5) * FINE_HOP)) if loop.ducked else total
    )


def silence(steps: int) -> Controls:
    """Return controls without tones."""
    return Controls(
        np.zeros((steps, NOTES)), np.zeros((steps, REGISTERS, GROUPS)), np.zeros((steps, REGISTERS))
    )


def tonal_audio(loop: Loop, samples: int, phases: int = 0) -> NDArray[np.float32]:
    """Render the loop's tones, [2, samples].

    Args:
        loop: The loop; it is repeated.
        samples: Samples from its beginning.
        phases: Number of a set of phases; all sets sound the same notes.
    """
    total = np.zeros((2, samples), np.float32)
    for number, (part, gain) in enumerate(zip(loop.parts, loop.gains, strict=True)):
        level = _level(part_controls(part, loop.grid, samples // FINE_HOP))
        total += part_audio(
            part, loop.grid, samples, loop.number + number + 1000 * phases
        ) * np.float32(gain / level)
    return total * _ducking(loop, np.arange(samples)).astype(np.float32) if loop.ducked else total


def drum_audio(loop: Loop, samples: int) -> NDArray[np.float32]:
    """Render the loop's drums, [2, samples]; silence if it has none."""
    if loop.drums is None:
        return np.zeros((2, samples), np.float32)
    once = render_drums(loop.drums)
    return np.tile(once, -(-samples // once.shape[1]))[:, :samples]


def _level(controls: Controls) -> float:
    return float(np.sqrt(np.mean(controls.power.sum(1) + controls.side.sum(1))) + 1e-9)


def _ducking(loop: Loop, samples: NDArray[Any]) -> Floats:
    return ducking(samples / SAMPLE_RATE, 60 / loop.grid.bpm, loop.ducked)


def ducking(seconds: NDArray[Any], beat: float, depth: float) -> Floats:
    """Compute the gain of ducked tones: low on the beat, back within it.

    Args:
        seconds: Times.
        beat: Length of a beat in seconds.
        depth: 0 to 1.
    """
    gain: Floats = 1 - depth * np.exp(-(seconds % beat) / DUCKED_FOR)
    return gain
