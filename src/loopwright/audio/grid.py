"""Where a loop's onsets sit against the sixteenths of its tempo, and moving it there. numpy only; audio [channels, samples].

Knows: onsets, periodicity. Does not know: bars that fit, models. The loop is taken as a circle: an onset on its first sample
counts, and moving it wraps around. Swing is no fault: what counts is where most of the onsets agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loopwright.audio.peaks import find_peaks
from loopwright.audio.spectrum import log_magnitude
from loopwright.audio.types import Audio

Times = NDArray[np.float64]

FRAME, HOP = 512, 64
LAG = 4
"""Frames between the two spectra whose difference is an onset."""
STRONG = 0.15
"""Peaks below this share of the strongest are not counted."""
SHORTEST_GAP_SECONDS = 0.04

ON_GRID_SECONDS = 0.02
TOGETHER_SECONDS = 0.012
FEWEST_ONSETS = 6
TEMPO_RANGE, TEMPO_STEPS = 0.04, 161

ALIGN_CONFIDENCE = 0.6
ALIGN_FROM_SECONDS = 0.004
"""Smaller offsets are within what an attack's own length leaves open."""


@dataclass(frozen=True)
class Grid:
    """tempo: as measured, beats per minute. offset_ms: of the onsets that agree, late is positive.

    share_on_grid: of onsets within 20 ms of a sixteenth; confidence: from 0 (no clear onsets) to 1 (all agree).
    """

    tempo: float
    offset_ms: float
    share_on_grid: float
    confidence: float


def measure_grid(audio: Audio, sample_rate: int, bpm: float) -> Grid:
    """Measure a loop against the sixteenths of a tempo."""
    times, strengths = onsets(audio, sample_rate)
    if len(times) == 0:
        return Grid(bpm, 0.0, 0.0, 0.0)
    off = _deviations(times, 15 / bpm)
    offset, together = _mode(off, strengths, 15 / bpm)
    share = float((strengths * (np.abs(off) <= ON_GRID_SECONDS)).sum() / strengths.sum())
    confidence = together * min(1.0, len(times) / FEWEST_ONSETS)
    tempo = _tempo(times, strengths, bpm)
    return Grid(round(tempo, 2), round(offset * 1000, 2), round(share, 3), round(confidence, 3))


def align(audio: Audio, sample_rate: int, bpm: float, grid: Grid) -> tuple[Audio, float]:
    """The loop turned so that its onsets sit on the grid, and by how many ms (late is positive).

    Nothing is moved unless the onsets agree, or by less than what an attack leaves open, or by more than half a sixteenth
    (beyond that, another sixteenth is nearer).
    """
    seconds = grid.offset_ms / 1000
    if grid.confidence < ALIGN_CONFIDENCE or not ALIGN_FROM_SECONDS <= abs(seconds) <= 7.5 / bpm:
        return audio, 0.0
    return np.roll(audio, -round(seconds * sample_rate), axis=1), grid.offset_ms


def onsets(audio: Audio, sample_rate: int) -> tuple[Times, Times]:
    """Onsets of a loop: seconds (from just below 0, for one that the seam cuts) and strengths. None in silence."""
    flux = _flux(audio)
    if flux.max(initial=0.0) < 1e-3:
        return np.zeros(0), np.zeros(0)
    wrap = round(0.1 * sample_rate / HOP)
    circle = np.concatenate([flux[-wrap:], flux, flux[:wrap]])
    gap = max(1, round(SHORTEST_GAP_SECONDS * sample_rate / HOP))
    floor = max(STRONG * flux.max(), float(np.median(flux)) * 2)
    peaks = find_peaks(circle, height=floor, distance=gap, prominence=floor / 2)
    inside = (peaks >= wrap - gap // 4) & (peaks < wrap + len(flux) - gap // 4)
    times = (peaks[inside] - wrap) * HOP / sample_rate
    return times.astype(np.float64), circle[peaks[inside]]


def _flux(audio: Audio) -> NDArray[np.float64]:
    """The rise of log magnitude, a bin's mean; value i is of an attack at sample i * HOP."""
    mono = audio.mean(0)
    if len(mono) <= 2 * FRAME:
        return np.zeros(1)
    padded = np.concatenate([mono[-FRAME:], mono, mono[:FRAME]])
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[: len(mono) + LAG * HOP : HOP]
    level = log_magnitude(frames)
    # a rise is greatest when the attack is in the middle of the later frame: value i is then of sample i * HOP
    rise: NDArray[np.float64] = np.maximum(level[LAG:] - level[:-LAG], 0).mean(1).astype(np.float64)
    return rise[: len(mono) // HOP]


def _deviations(times: Times, sixteenth: float) -> Times:
    return times - np.round(times / sixteenth) * sixteenth


def _mode(off: Times, strengths: Times, period: float) -> tuple[float, float]:
    """Where most of the deviations agree, and the share (by strength) that does."""
    candidates = np.arange(-period / 2, period / 2, 0.0005)
    distance = np.abs(candidates[:, None] - off[None])
    distance = np.minimum(distance, period - distance)
    density = (strengths * np.exp(-0.5 * (distance / (TOGETHER_SECONDS / 3)) ** 2)).sum(1)
    best = int(density.argmax())
    together = distance[best] <= TOGETHER_SECONDS
    share = float(strengths[together].sum() / strengths.sum())
    near = (off[together] - candidates[best] + period / 2) % period - period / 2
    return float(candidates[best] + np.average(near, weights=strengths[together])), share


def _tempo(times: Times, strengths: Times, bpm: float) -> float:
    """The tempo near ``bpm`` whose sixteenths the onsets agree with best (the longest sum of unit vectors)."""
    tempi = bpm * np.linspace(1 - TEMPO_RANGE, 1 + TEMPO_RANGE, TEMPO_STEPS)
    turns = np.exp(2j * np.pi * times[None] * tempi[:, None] / 15)
    return float(tempi[int(np.abs((turns * strengths).sum(1)).argmax())])
