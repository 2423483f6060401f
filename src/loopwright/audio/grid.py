"""Where a loop's onsets lie against the sixteenths of its tempo, and moving the loop onto them.

Knows: onsets, periodicity. Does not know: how many bars fit, models. Audio is [channels, samples].
The loop is taken as a circle: an onset on its first sample counts, and moving it wraps around.
Swing is no fault: what counts is the offset that most onsets agree on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loopwright.audio.peaks import find_peaks
from loopwright.audio.spectrum import log_magnitude
from loopwright.audio.types import Audio

Numbers = NDArray[np.float64]

FRAME, HOP = 512, 64
FRAMES_APART = 4
"""Frames between the two spectra whose difference is an onset."""
MIN_FLUX = 1e-3
"""Audio whose spectrum never rises by more than this has no onsets."""
MIN_SHARE_OF_STRONGEST = 0.15
"""An onset is at least this strong, as a share of the strongest one."""
MIN_GAP_SECONDS = 0.04
EDGE_SECONDS = 0.1
"""How far the curve of onsets is continued at both ends, so that peaks there are seen."""

ON_GRID_SECONDS = 0.02
AGREEMENT_SECONDS = 0.012
"""Onsets agree on an offset if they are no further from it than this."""
OFFSET_STEP_SECONDS = 0.0005
ENOUGH_ONSETS = 6
"""Fewer onsets than this lower the confidence."""
TEMPO_RANGE, TEMPO_STEPS = 0.04, 161

MIN_ALIGN_CONFIDENCE = 0.6
MIN_ALIGN_SECONDS = 0.004
"""A smaller offset is within the length of an attack, and may be none."""


@dataclass(frozen=True)
class Grid:
    """How a loop lies on the grid of sixteenths.

    Args:
        tempo: As measured, in beats per minute.
        offset_ms: How late the onsets that agree are, in milliseconds; early is negative.
        share_on_grid: Share of the onsets, by strength, within ON_GRID_SECONDS of a sixteenth.
        confidence: From 0 (no clear onsets) to 1 (all agree).
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
    sixteenth = 15 / bpm
    nearest = np.round(times / sixteenth) * sixteenth
    deviations = times - nearest
    offset, share_agreeing = _common_offset(deviations, strengths, sixteenth)
    is_on_grid = np.abs(deviations) <= ON_GRID_SECONDS
    share_on_grid = float((strengths * is_on_grid).sum() / strengths.sum())
    confidence = share_agreeing * min(1.0, len(times) / ENOUGH_ONSETS)
    # each onset is a vector whose angle is its place within a sixteenth and whose length is its
    # strength: the tempo that the onsets agree with best has the longest sum of them
    tempi = bpm * np.linspace(1 - TEMPO_RANGE, 1 + TEMPO_RANGE, TEMPO_STEPS)
    vectors = np.exp(2j * np.pi * times[None] * tempi[:, None] / 15)
    lengths = np.abs((vectors * strengths).sum(1))
    tempo = float(tempi[int(lengths.argmax())])
    return Grid(
        round(tempo, 2), round(offset * 1000, 2), round(share_on_grid, 3), round(confidence, 3)
    )


def align(audio: Audio, sample_rate: int, bpm: float, grid: Grid) -> tuple[Audio, float]:
    """Rotate a loop so that its onsets lie on the grid.

    It stays as it is if the onsets do not agree, if the offset may be none, or if it is more than
    half a sixteenth: then another sixteenth is nearer.

    Returns:
        The loop, and by how many milliseconds it was late (positive) or early.
    """
    seconds = grid.offset_ms / 1000
    half_a_sixteenth = 7.5 / bpm
    if grid.confidence < MIN_ALIGN_CONFIDENCE:
        return audio, 0.0
    if not MIN_ALIGN_SECONDS <= abs(seconds) <= half_a_sixteenth:
        return audio, 0.0
    return np.roll(audio, -round(seconds * sample_rate), axis=1), grid.offset_ms


def onsets(audio: Audio, sample_rate: int) -> tuple[Numbers, Numbers]:
    """Find the onsets of a loop; none in silence.

    Returns:
        Their times in seconds (a little below 0 for an onset that the seam cuts), and their
        strengths.
    """
    flux = _flux(audio)
    if flux.max(initial=0.0) < MIN_FLUX:
        return np.zeros(0), np.zeros(0)
    edge = round(EDGE_SECONDS * sample_rate / HOP)
    gap = max(1, round(MIN_GAP_SECONDS * sample_rate / HOP))
    floor = max(MIN_SHARE_OF_STRONGEST * flux.max(), float(np.median(flux)) * 2)
    circle = np.concatenate([flux[-edge:], flux, flux[:edge]])
    peaks = find_peaks(circle, height=floor, distance=gap, prominence=floor / 2)
    # one lap, which begins a little early: an onset on the first sample may peak just before it
    start = edge - gap // 4
    peaks = peaks[(peaks >= start) & (peaks < start + len(flux))]
    times = (peaks - edge) * HOP / sample_rate
    return times.astype(np.float64), circle[peaks]


def _flux(audio: Audio) -> Numbers:
    """Return how much the spectrum rises, as the mean over bins of the log magnitude.

    Returns:
        A value for every HOP samples; an attack at sample i * HOP peaks in value i.
    """
    mono = audio.mean(0)
    if len(mono) <= 2 * FRAME:
        return np.zeros(1)
    padded = np.concatenate([mono[-FRAME:], mono, mono[:FRAME]])
    windows = np.lib.stride_tricks.sliding_window_view(padded, FRAME)
    level = log_magnitude(windows[: len(mono) + FRAMES_APART * HOP : HOP])
    # the rise is greatest with the attack in the middle of the later frame, hence the padding
    rise = np.maximum(level[FRAMES_APART:] - level[:-FRAMES_APART], 0)
    flux: Numbers = rise.mean(1).astype(np.float64)
    return flux[: len(mono) // HOP]


def _common_offset(deviations: Numbers, strengths: Numbers, period: float) -> tuple[float, float]:
    """Find the offset that most onsets agree on.

    Args:
        deviations: How far each onset is from the nearest sixteenth, in seconds.
        strengths: The strength of each onset.
        period: The length of a sixteenth in seconds; offsets repeat at it.

    Returns:
        The offset in seconds, and the share of the onsets, by strength, that agree on it.
    """
    candidates = np.arange(-period / 2, period / 2, OFFSET_STEP_SECONDS)
    distance = np.abs(candidates[:, None] - deviations[None])
    distance = np.minimum(distance, period - distance)
    nearness = np.exp(-0.5 * (distance / (AGREEMENT_SECONDS / 3)) ** 2)
    best = int((strengths * nearness).sum(1).argmax())
    agrees = distance[best] <= AGREEMENT_SECONDS
    share = float(strengths[agrees].sum() / strengths.sum())
    # the mean of those that agree is finer than the candidates are apart
    around = (deviations[agrees] - candidates[best] + period / 2) % period - period / 2
    mean = np.average(around, weights=strengths[agrees])
    return float(candidates[best] + mean), share
