"""Joining a loop's end to its start, and measuring how well that went. numpy only; audio is [channels, samples].

Knows: samples. Does not know: tempo, models. The join is a crossfade of what the music does after the loop's end into the
loop's head: the end then runs on as it was made to, and the first downbeat stays on sample 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loopwright.audio.spectrum import log_magnitude
from loopwright.audio.types import Audio

FADE_SECONDS = 0.08
FADE_SHARES = (16, 8, 4, 2, 1)
"""Fades that are tried: 5, 10, 20, 40 and 80 ms, or as much of them as there is room for."""

REACH = 4096
"""Samples on each side of the seam that say how it went."""

FRAME = 1024
HOP = 256
LEVEL_SECONDS = 0.02
QUIET_DB = -60.0
"""Levels below this are taken as this: steps between silence and next to nothing are not heard."""


@dataclass(frozen=True)
class Seam:
    """How a loop meets itself.

    jump: the step from the last sample to the first, in medians of the steps around it. flux: the change of spectrum at the
    seam, in medians of that inside the loop. level_step_db: the level after it over that before.
    """

    jump: float
    flux: float
    level_step_db: float


def tail_samples(sample_rate: int, room: int) -> int:
    """How many samples after the loop's end a join takes; ``room``: how many there are."""
    return max(0, min(round(FADE_SECONDS * sample_rate), room))


def join(audio: Audio, samples: int) -> Audio:
    """A loop of ``samples`` samples from audio that goes on after it; what goes on is faded into the head.

    Short fades are best for drums and long ones for chords: the one with the least flux at the seam is taken.
    """
    room = min(audio.shape[1] - samples, samples)
    fades = [fade for fade in (room // share for share in FADE_SHARES) if fade > 0]
    return min(
        (_faded(audio, samples, fade) for fade in fades), key=_seam_flux, default=audio[:, :samples]
    )


def _faded(audio: Audio, samples: int, fade: int) -> Audio:
    """Head and continuation, added so that power stays the same whatever their correlation r: a² + b² + 2rab = 1."""
    loop, tail = audio[:, :samples].copy(), audio[:, samples : samples + fade]
    head = loop[:, :fade]
    angle = np.linspace(0, np.pi / 2, fade, endpoint=False, dtype=np.float32)
    gain = np.sqrt(1 + 2 * _correlation(head, tail) * np.sin(angle) * np.cos(angle))
    loop[:, :fade] = (head * np.sin(angle) + tail * np.cos(angle)) / gain
    return loop


def _seam_flux(loop: Audio) -> float:
    around = np.concatenate([loop[:, -REACH:], loop[:, :REACH]], axis=1)
    return flux_at(spectral_flux(around), min(REACH, loop.shape[1]))


def measure_seam(audio: Audio, sample_rate: int) -> Seam:
    """Measure a loop where its end meets its start. Silence measures 0."""
    around = np.roll(audio, audio.shape[1] // 2, axis=1)
    at = audio.shape[1] // 2
    flux = spectral_flux(around)
    return Seam(
        _jump(around, at, sample_rate),
        _ratio(flux_at(flux, at), _median(flux)),
        _level_step(around, at, sample_rate),
    )


def spectral_flux(audio: Audio) -> NDArray[np.float64]:
    """The rise of log magnitude from a frame to the next but three, summed over the spectrum; a value every HOP samples."""
    mono = audio.mean(0)
    padded = np.pad(mono, (FRAME // 2, FRAME), mode="wrap" if len(mono) > FRAME else "constant")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[: len(mono) : HOP]
    level = log_magnitude(frames)
    flux: NDArray[np.float64] = (
        np.maximum(level - np.roll(level, 2, axis=0), 0).sum(1).astype(np.float64)
    )
    return flux


def flux_at(flux: NDArray[np.float64], sample: int) -> float:
    """The most flux of the frames that see a sample."""
    frame = sample // HOP
    return float(flux.take(range(frame - 1, frame + 4), mode="wrap").max())


def _jump(audio: Audio, at: int, sample_rate: int) -> float:
    reach = sample_rate // 100
    steps = np.abs(np.diff(audio[:, max(0, at - reach) : at + reach], axis=1))
    return _ratio(
        float(np.abs(audio[:, at] - audio[:, at - 1]).max()),
        float(np.median(steps)) if steps.size else 0.0,
    )


def _level_step(audio: Audio, at: int, sample_rate: int) -> float:
    reach = round(LEVEL_SECONDS * sample_rate)
    before, after = (
        _level_db(audio[:, max(0, at - reach) : at]),
        _level_db(audio[:, at : at + reach]),
    )
    return round(after - before, 2)


def _level_db(audio: Audio) -> float:
    power = float(np.square(audio, dtype=np.float64).mean()) if audio.size else 0.0
    return max(QUIET_DB, 10 * math.log10(power + 1e-12))


def _correlation(one: Audio, other: Audio) -> float:
    power = float(np.sqrt(np.square(one).sum() * np.square(other).sum()))
    return max(0.0, float((one * other).sum()) / power) if power > 0 else 0.0


def _median(values: NDArray[np.float64]) -> float:
    return float(np.median(values))


def _ratio(value: float, typical: float) -> float:
    return round(value / max(typical, 1e-6), 3) if value > 0 else 0.0
