"""A part's notes as sound, and as controls that make the model's oscillators sound the same.

Both come from the same formulas: a note's harmonic h has the amplitude harmonics[h] × low-pass(h ×
f0, t) × damping(h, t) × envelope(t). So the controls need no analysis of sound, and never flicker.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from loopwright.model.pocket.layers import FINE_HOP
from loopwright.model.pocket.tones import (
    GROUPS,
    HARMONIC_GROUPS,
    NOTES,
    REGISTERS,
)
from training.synth.additive import add_controls, add_sound
from training.synth.drum_sounds import SAMPLE_RATE
from training.synth.instruments import HARMONICS, Patch
from training.synth.scores import Part

Floats = NDArray[np.float64]

GROUP_OF = np.searchsorted(np.array(HARMONIC_GROUPS), np.arange(1, HARMONICS + 1), side="right") - 1
GROUP_SIZES = np.diff(np.array(HARMONIC_GROUPS))
WET_SIDE = 0.7


@dataclass(frozen=True)
class Grid:
    """The times of steps: bpm, swing in sixteenths, bars."""

    bpm: float
    swing: float
    bars: int

    @property
    def seconds(self) -> float:
        """Seconds of all bars."""
        return self.bars * 240 / self.bpm

    def time(self, step: float) -> float:
        """Return a step's time in seconds from the start."""
        return (step + (self.swing if step % 2 == 1 else 0.0)) * 15 / self.bpm


@dataclass(frozen=True)
class Controls:
    """Powers of a part's notes and harmonics, step by step.

    Attributes:
        power: Power of every note, [steps, NOTES].
        group_power: Mean power of a group's harmonics, summed over a register's notes, [steps,
            REGISTERS, GROUPS].
        side: Power of the side signal, [steps, REGISTERS].
    """

    power: Floats
    group_power: Floats
    side: Floats

    def __add__(self, other: Controls) -> Controls:
        return Controls(
            self.power + other.power, self.group_power + other.group_power, self.side + other.side
        )

    def louder(self, gain: Floats | float) -> Controls:
        """Apply a gain to the amplitude: a number, or one per step."""
        square = np.square(np.asarray(gain, np.float64))
        by_step = square[:, None] if square.ndim else square
        deeper = by_step[..., None] if square.ndim else square
        return Controls(self.power * by_step, self.group_power * deeper, self.side * by_step)


def part_controls(part: Part, grid: Grid, steps: int) -> Controls:
    """Compute a part's controls in its second lap, in steps of FINE_HOP samples."""
    lap = math.ceil(grid.seconds * SAMPLE_RATE / FINE_HOP) + 1
    events = _events(part, grid, grid.seconds + steps * FINE_HOP / SAMPLE_RATE)
    power, groups = np.zeros((lap + steps, NOTES)), np.zeros((lap + steps, REGISTERS, GROUPS))
    side = np.zeros((lap + steps, REGISTERS))
    # so that the second lap starts on step ``lap``
    shift = lap * FINE_HOP / SAMPLE_RATE - grid.seconds
    starts, *rest = events
    add_controls(  # type: ignore[call-arg]
        starts + shift,
        *rest,
        _unit(part.patch),
        _shape(part.patch),
        part.patch.width,
        GROUP_OF,
        GROUP_SIZES,
        power,
        groups,
        side,
    )
    dry = Controls(power, groups, side).louder(part.gain)
    heard = _echoed(dry, part, grid)
    wet = _reverberated(heard, part.space)
    return Controls(wet.power[lap:], wet.group_power[lap:], wet.side[lap:])


def _echoed(dry: Controls, part: Part, grid: Grid) -> Controls:
    if not part.echo:
        return dry
    delay, heard = round(3 * 15 / grid.bpm * SAMPLE_RATE / FINE_HOP), dry
    for lap in (1, 2, 3):
        gain = part.echo * 0.5 ** (lap - 1)
        later = Controls(
            *(
                _later(one, lap * delay)
                for one in (dry.power, dry.group_power, dry.power[:, :REGISTERS] * 0)
            )
        )
        heard = heard + later.louder(gain)
    return heard


def _later(values: Floats, steps: int) -> Floats:
    return np.concatenate([np.zeros_like(values[:steps]), values[: len(values) - steps]])


def _reverberation(space: float) -> tuple[float, float]:
    """Return the seconds to -60 dB, and the gain of the whole reverberation."""
    return 0.4 + 2.0 * space, 0.5 * space


def _reverberated(dry: Controls, space: float) -> Controls:
    """Add a tail that falls exponentially after every note, in both mid and side."""
    seconds, wet = _reverberation(space)
    if wet == 0:
        return dry
    keep = math.exp(-13.8 * FINE_HOP / SAMPLE_RATE / seconds)
    tails = [_tail(one, keep) * wet**2 for one in (dry.power, dry.group_power)]
    by_register = tails[0].reshape(len(tails[0]), REGISTERS, -1).sum(-1)
    return dry + Controls(tails[0], tails[1], by_register * WET_SIDE**2)


def _tail(power: Floats, keep: float) -> Floats:
    import scipy.signal

    tail: Floats = scipy.signal.lfilter([1 - keep], [1, -keep], power, axis=0)
    return tail


def part_audio(part: Part, grid: Grid, samples: int, seed: int) -> NDArray[np.float32]:
    """Render the second lap of a part, [2, samples]. The seed gives the phases."""
    lap = round(grid.seconds * SAMPLE_RATE)
    out = np.zeros((2, lap + samples))
    events = _events(part, grid, (lap + samples) / SAMPLE_RATE)
    add_sound(
        *events,
        _unit(part.patch),
        _shape(part.patch),
        part.patch.cents,
        part.patch.width,
        seed,
        out,
    )
    out *= part.gain * np.sqrt(2)  # amplitudes are of mid's root mean square times the root of two
    if part.echo:
        out = _echo(out, part.echo, 3 * 15 / grid.bpm)
    return _in_room(out, part.space, seed)[:, lap:].astype(np.float32)


def _echo(audio: Floats, gain: float, delay: float) -> Floats:
    heard, samples = audio.copy(), int(delay * SAMPLE_RATE)
    for lap in (1, 2, 3):
        heard[:, lap * samples :] += (
            gain * 0.5 ** (lap - 1) * audio[:, : audio.shape[1] - lap * samples]
        )
    return heard


def _in_room(audio: Floats, space: float, seed: int) -> Floats:
    seconds, wet = _reverberation(space)
    if wet == 0:
        return audio
    count = int(seconds * SAMPLE_RATE)
    decay = np.exp(-6.9 * np.arange(count) / SAMPLE_RATE / seconds)
    response = np.random.default_rng([5, seed]).standard_normal((2, count)) * decay
    response *= np.array([[wet], [wet * WET_SIDE]]) / np.sqrt((response**2).sum(1, keepdims=True))
    size = scipy.fft.next_fast_len(audio.shape[1] + count)
    spectrum = scipy.fft.rfft(audio.mean(0), n=size) * scipy.fft.rfft(response, n=size)
    mid, side = scipy.fft.irfft(spectrum, n=size)[:, : audio.shape[1]]
    heard: Floats = audio + np.stack([mid + side, mid - side])
    return heard


def _events(
    part: Part, grid: Grid, seconds: float
) -> tuple[Floats, Floats, Floats, NDArray[np.int64], Floats]:
    """List starts, lengths, gates, pitches and loudnesses of all notes, repeated for seconds."""
    laps = math.ceil(seconds / grid.seconds)
    rows = []
    for lap in range(laps):
        for note in part.notes:
            gate = note.steps * 15 / grid.bpm * 0.95
            rows.append(
                (
                    lap * grid.seconds + grid.time(note.step),
                    gate + 5 * part.patch.release,
                    gate,
                    note.pitch,
                    note.loud,
                )
            )
    starts, lengths, gates, pitches, louds = (
        np.array(column) for column in zip(*rows, strict=True)
    )
    return starts, lengths, gates, pitches.astype(np.int64), louds.astype(np.float64)


def _unit(patch: Patch) -> Floats:
    """Return the harmonics with a total power of 1."""
    unit: Floats = patch.harmonics / np.sqrt((patch.harmonics**2).sum())
    return unit


def _shape(patch: Patch) -> tuple[float, ...]:
    values = (
        *patch.cutoff,
        patch.sweep,
        patch.resonance,
        patch.attack,
        patch.decay,
        patch.sustain,
        patch.release,
        patch.damping,
        patch.tremolo,
    )
    return tuple(float(value) for value in values)
