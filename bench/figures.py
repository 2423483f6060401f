"""Many measurements to a few numbers: medians with their spread, ratios of pairs, how alike two sounds are.

Pure. A ratio is taken pair by pair (both measured in one round), then the median of those: a machine that gets slower from
round to round slows both sides of each pair.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Figure:
    """What is said of many measurements of one thing."""

    median: float
    least: float
    most: float
    count: int


def figure(values: Iterable[float]) -> Figure | None:
    """The figure of some measurements; None of none."""
    found = sorted(values)
    return Figure(statistics.median(found), found[0], found[-1], len(found)) if found else None


def paired(
    first: Mapping[int, float], second: Mapping[int, float], of: Callable[[float, float], float]
) -> Figure | None:
    """The figure of something said of each pair. first, second: measurements by round; rounds with one only don't count."""
    return figure(
        of(first[number], second[number]) for number in sorted(first.keys() & second.keys())
    )


def times_faster(reference: Mapping[int, float], ours: Mapping[int, float]) -> Figure | None:
    """How many times as fast ours is, pair by pair."""
    return paired(reference, ours, lambda theirs, own: theirs / own)


def snr_db(wanted: NDArray[np.float32], got: NDArray[np.float32]) -> float:
    """How far below the wanted sound the difference lies, in dB, with got at the level that fits best: more is more alike.

    wanted, got: [2, samples]. A level alone is no difference; minus infinity where either is silent.
    """
    if wanted.shape != got.shape:
        raise ValueError(f"sounds of one shape are compared, got {wanted.shape} and {got.shape}")
    a, b = wanted.astype(np.float64), got.astype(np.float64)
    energy, own, shared = float((a * a).sum()), float((b * b).sum()), float((a * b).sum())
    if energy == 0 or own == 0:
        return -math.inf
    left = float(((a - b * shared / own) ** 2).sum())
    return math.inf if left == 0 else 10 * math.log10(energy / left)
