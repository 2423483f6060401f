"""Peaks of a curve by height, distance and prominence: what ``scipy.signal.find_peaks`` finds.

This is a module of its own since importing scipy.signal takes longer than measuring a loop.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float64]
Indices = NDArray[np.intp]


def find_peaks(curve: Curve, *, height: float, distance: int, prominence: float) -> Indices:
    """Find the peaks of a curve.

    The ends are no peaks; a plateau's peak is in its middle, and of two middles the first.

    Args:
        curve: [n].
        height: The least value of a peak.
        distance: The least distance between peaks; of two that are nearer the higher one counts,
            of two equal ones the later.
        prominence: The least height over the valleys around a peak.

    Returns:
        The indices of the peaks, ascending.
    """
    # a run of equal values is one point, so that a plateau is a peak like any other
    starts = np.flatnonzero(np.diff(curve, prepend=np.nan) != 0)
    level = curve[starts]
    rises, falls = level[1:-1] > level[:-2], level[1:-1] > level[2:]
    is_peak = rises & falls
    first, last = starts[1:-1][is_peak], starts[2:][is_peak] - 1
    peaks: Indices = (first + last) // 2
    peaks = peaks[curve[peaks] >= height]

    # from the highest down, so that each peak gives way only to one that is kept
    is_kept = np.ones(len(peaks), dtype=bool)
    for number in np.argsort(curve[peaks], kind="stable")[::-1]:
        if is_kept[number]:
            is_far = np.abs(peaks - peaks[number]) >= distance
            is_kept &= is_far | (peaks == peaks[number])
    peaks = peaks[is_kept]

    is_prominent = [_prominence(curve, int(peak)) >= prominence for peak in peaks]
    prominent: Indices = peaks[np.array(is_prominent, dtype=bool)]
    return prominent


def _prominence(curve: Curve, peak: int) -> float:
    """Return how far a peak rises over the higher of the two valleys beside it.

    A valley is the lowest point before something higher, or before the end of the curve.
    """
    higher = np.flatnonzero(curve > curve[peak])
    number = int(np.searchsorted(higher, peak))
    left = int(higher[number - 1]) + 1 if number > 0 else 0
    right = int(higher[number]) if number < len(higher) else len(curve)
    valleys = curve[left : peak + 1].min(), curve[peak:right].min()
    return float(curve[peak] - max(valleys))
