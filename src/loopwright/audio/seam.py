"""Joining a loop's end to its start, and measuring the seam. Audio is [channels, samples].

Knows: samples. Does not know: tempo, models. The join is a crossfade from what the music does
after the loop's end into the loop's head: the end runs on as the music does, and the first
downbeat stays on sample 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loopwright.audio.spectrum import log_magnitude
from loopwright.audio.types import Audio

FADE_SECONDS = 0.08
FADE_DIVISORS = (16, 8, 4, 2, 1)
"""The fades that are tried: 5, 10, 20, 40 and 80 ms, or these shares of the room there is."""

REACH = 4096
"""Samples on each side of a seam that its flux is measured on."""

FRAME = 1024
HOP = 256
FRAMES_APART = 2
"""Frames between the two spectra whose difference is flux."""
LEVEL_SECONDS = 0.02
MIN_LEVEL_DB = -60.0
"""Lower levels count as this one: a step from silence to next to nothing is not heard."""


@dataclass(frozen=True)
class Seam:
    """How well a loop's end meets its start.

    Args:
        jump: The step from the last sample to the first, in medians of the steps around it.
        flux: The change of the spectrum at the seam, in medians of that within the loop.
        level_step_db: The level after the seam less that before it.
    """

    jump: float
    flux: float
    level_step_db: float


def tail_samples(sample_rate: int, room: int) -> int:
    """Return how many samples after a loop's end a join uses, of as many as there are (room)."""
    return max(0, min(round(FADE_SECONDS * sample_rate), room))


def join(audio: Audio, samples: int) -> Audio:
    """Make a loop from audio that goes on after the loop's end.

    What goes on is faded into the loop's head. Short fades suit drums, long ones chords: the one
    with the least flux at the seam is taken.

    Args:
        audio: The loop, and what follows it.
        samples: The length of the loop.
    """
    room = min(audio.shape[1] - samples, samples)
    lengths = (room // divisor for divisor in FADE_DIVISORS)
    candidates = (_crossfaded(audio, samples, fade) for fade in lengths if fade > 0)
    return min(candidates, key=_flux_at_seam, default=audio[:, :samples])


def _crossfaded(audio: Audio, samples: int, fade: int) -> Audio:
    """Fade what follows a loop into its head, over ``fade`` samples.

    The gains a and b keep the power constant whatever the correlation r of the two sounds is:
    a² + b² + 2rab = 1.
    """
    loop, tail = audio[:, :samples].copy(), audio[:, samples : samples + fade]
    head = loop[:, :fade]
    angle = np.linspace(0, np.pi / 2, fade, endpoint=False, dtype=np.float32)
    rising, falling = np.sin(angle), np.cos(angle)
    head_energy, tail_energy = np.square(head).sum(), np.square(tail).sum()
    energy = float(np.sqrt(head_energy * tail_energy))
    # sounds that cancel each other out would need an infinite gain, so r is at least 0
    correlation = max(0.0, float((head * tail).sum()) / energy) if energy > 0 else 0.0
    gain = np.sqrt(1 + 2 * correlation * rising * falling)
    loop[:, :fade] = (head * rising + tail * falling) / gain
    return loop


def _flux_at_seam(loop: Audio) -> float:
    end, start = loop[:, -REACH:], loop[:, :REACH]
    flux = spectral_flux(np.concatenate([end, start], axis=1))
    return flux_at(flux, end.shape[1])


def measure_seam(audio: Audio, sample_rate: int) -> Seam:
    """Measure a loop where its end meets its start; silence measures 0."""
    at = audio.shape[1] // 2
    around = np.roll(audio, at, axis=1)  # the seam in the middle

    reach = sample_rate // 100
    near = around[:, max(0, at - reach) : at + reach]
    steps = np.abs(np.diff(near, axis=1))
    typical_step = float(np.median(steps)) if steps.size else 0.0
    step = float(np.abs(around[:, at] - around[:, at - 1]).max())

    flux = spectral_flux(around)
    typical_flux = float(np.median(flux))

    reach = round(LEVEL_SECONDS * sample_rate)
    level_before = _level_db(around[:, max(0, at - reach) : at])
    level_after = _level_db(around[:, at : at + reach])
    return Seam(
        jump=_ratio(step, typical_step),
        flux=_ratio(flux_at(flux, at), typical_flux),
        level_step_db=round(level_after - level_before, 2),
    )


def spectral_flux(audio: Audio) -> NDArray[np.float64]:
    """Return how much the spectrum rises: log magnitude, summed over bins.

    Returns:
        A value for every HOP samples.
    """
    mono = audio.mean(0)
    # a sound shorter than a frame cannot wrap around
    padded = np.pad(mono, (FRAME // 2, FRAME), mode="wrap" if len(mono) > FRAME else "constant")
    windows = np.lib.stride_tricks.sliding_window_view(padded, FRAME)
    level = log_magnitude(windows[: len(mono) : HOP])
    rise = np.maximum(level - np.roll(level, FRAMES_APART, axis=0), 0)
    flux: NDArray[np.float64] = rise.sum(1).astype(np.float64)
    return flux


def flux_at(flux: NDArray[np.float64], sample: int) -> float:
    """Return the highest flux of the frames that a sample is in."""
    frame = sample // HOP
    return float(flux.take(range(frame - 1, frame + 4), mode="wrap").max())


def _level_db(audio: Audio) -> float:
    power = float(np.square(audio, dtype=np.float64).mean()) if audio.size else 0.0
    return max(MIN_LEVEL_DB, 10 * math.log10(power + 1e-12))


def _ratio(value: float, typical: float) -> float:
    """Return a value in units of a typical one; 0 for 0, also where nothing is typical."""
    return round(value / max(typical, 1e-6), 3) if value > 0 else 0.0
