"""Convolutions over a long signal, tile by tile, with the result of the whole at once.

Knows: positions, margins, which part of a tile's result is right. Does not know: what is computed.
A tile is computed with its margin, the receptive field, on both sides, and the margin is cut off again. Where the signal really
ends, a tile ends there too, so that what layers pad it with is what they would pad the whole with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Tile:
    """start … stop: the positions computed; keep_from … keep_to: those of them that are right and wanted."""

    start: int
    stop: int
    keep_from: int
    keep_to: int

    def kept(self, scale: int) -> slice:
        """Where the wanted part lies in the tile's result, which has ``scale`` values a position."""
        return slice((self.keep_from - self.start) * scale, (self.keep_to - self.start) * scale)


def tiles(wanted: int, size: int, margin: int, whole: int) -> Iterator[Tile]:
    """Tiles for the first ``wanted`` of ``whole`` positions, ``size`` of them a tile, all computed over the same length."""
    length = min(size + 2 * margin, whole)
    for keep_from in range(0, wanted, size):
        start = min(max(keep_from - margin, 0), whole - length)
        yield Tile(start, start + length, keep_from, min(keep_from + size, wanted))
