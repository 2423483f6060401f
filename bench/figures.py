"""Many measurements to a few numbers: medians with their spread, ratios of pairs, similarity.

A ratio is taken within each pair (both measured in one round); then the median of the ratios is
taken. A machine that gets slower from round to round slows both parts of each pair.
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
    """A summary of several measurements of one thing."""

    median: float
    least: float
    most: float
    count: int


def figure(values: Iterable[float]) -> Figure | None:
    """Summarise measurements; return None where there are none."""
    found = sorted(values)
    return Figure(statistics.median(found), found[0], found[-1], len(found)) if found else None


def paired(
    first: Mapping[int, float], second: Mapping[int, float], of: Callable[[float, float], float]
) -> Figure | None:
    """Summarise a function of each pair of measurements.

    Args:
        first: Measurements by round.
        second: Others; rounds that only one of the two has do not count.
        of: Computes a number from a pair.
    """
    return figure(
        of(first[number], second[number]) for number in sorted(first.keys() & second.keys())
    )


def times_faster(reference: Mapping[int, float], ours: Mapping[int, float]) -> Figure | None:
    """Return how many times as fast ours is, compared within each pair."""
    return paired(reference, ours, lambda theirs, own: theirs / own)


def snr_db(wanted: NDArray[np.float32], got: NDArray[np.float32]) -> float:
    """Return how far below the wanted sound the difference lies, in dB: higher is more alike.

    A difference in level alone does not count: ``got`` is compared at the level that fits best.

    Args:
        wanted: [2, samples].
        got: [2, samples].

    Returns:
        Minus infinity where either is silent.
    """
    if wanted.shape != got.shape:
        raise ValueError(f"sounds of one shape are compared, got {wanted.shape} and {got.shape}")
    a, b = wanted.astype(np.float64), got.astype(np.float64)
    energy, own, shared = float((a * a).sum()), float((b * b).sum()), float((a * b).sum())
    if energy == 0 or own == 0:
        return -math.inf
    left = float(((a - b * shared / own) ** 2).sum())
    return math.inf if left == 0 else 10 * math.log10(energy / left)
