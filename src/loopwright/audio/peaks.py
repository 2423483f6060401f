"""Peaks of a curve by height, distance and prominence: what ``scipy.signal.find_peaks`` finds, to the sample.

A module of its own since scipy.signal takes longer to import than the whole server takes to listen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float64]
Places = NDArray[np.intp]


def find_peaks(curve: Curve, *, height: float, distance: int, prominence: float) -> Places:
    """Where a curve [n] has peaks of at least this height and prominence, the higher ones keeping lower ones at a distance.

    Of a plateau the middle counts, the earlier of two. The ends are no peaks.
    """
    peaks = _maxima(curve)
    peaks = peaks[curve[peaks] >= height]
    peaks = _apart(peaks, curve[peaks], distance)
    prominent = [_prominence(curve, int(peak)) >= prominence for peak in peaks]
    chosen: Places = peaks[np.array(prominent, dtype=bool)]
    return chosen


def _maxima(curve: Curve) -> Places:
    """The middle of each stretch of equal values that is higher than what is before it and after it."""
    starts = np.flatnonzero(np.diff(curve, prepend=np.nan) != 0)
    level = curve[starts]
    higher = (level[1:-1] > level[:-2]) & (level[1:-1] > level[2:])
    first, after = starts[1:-1][higher], starts[2:][higher]
    middle: Places = (first + after - 1) // 2
    return middle


def _apart(peaks: Places, heights: Curve, distance: int) -> Places:
    """The peaks without those nearer than ``distance`` to a higher one that stays; of equals the later stays."""
    stays = np.ones(len(peaks), dtype=bool)
    for number in np.argsort(heights, kind="stable")[::-1]:
        if stays[number]:
            stays &= (np.abs(peaks - peaks[number]) >= distance) | (peaks == peaks[number])
    return peaks[stays]


def _prominence(curve: Curve, peak: int) -> float:
    """How far a peak rises over the higher of the two valleys that part it from something higher, or from the ends."""
    higher = np.flatnonzero(curve > curve[peak])
    at = int(np.searchsorted(higher, peak))
    left = int(higher[at - 1]) + 1 if at > 0 else 0
    right = int(higher[at]) if at < len(higher) else len(curve)
    return float(curve[peak] - max(curve[left : peak + 1].min(), curve[peak:right].min()))
