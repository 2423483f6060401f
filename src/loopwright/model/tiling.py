"""Tiles of a long signal for convolutions, with the result of computing the whole at once.

A tile is computed with its margin, the receptive field, on both sides, and the margin is cut off
again. Where the signal really ends, a tile ends there too, so that layers pad it with what they
would pad the whole with.
Knows: positions, margins, which part of a tile's result is right. Does not know: what is computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Tile:
    """A tile of a signal, in positions.

    Attributes:
        start: The first position that is computed.
        stop: The end of those that are computed.
        keep_from: The first position whose result is kept.
        keep_to: The end of those whose result is kept.
    """

    start: int
    stop: int
    keep_from: int
    keep_to: int

    def kept(self, scale: int) -> slice:
        """Return where the kept part lies in the result, of ``scale`` values per position."""
        return slice((self.keep_from - self.start) * scale, (self.keep_to - self.start) * scale)


def tiles(needed: int, size: int, margin: int, whole: int) -> Iterator[Tile]:
    """Cut the beginning of a signal into tiles that are all computed over the same length.

    Args:
        needed: How many positions, from the first on.
        size: How many of them each tile keeps.
        margin: How many more are computed on both sides.
        whole: The signal's length.
    """
    length = min(size + 2 * margin, whole)
    for keep_from in range(0, needed, size):
        # at the ends the tile is moved inwards, where its margin would be outside
        start = min(max(keep_from - margin, 0), whole - length)
        yield Tile(start, start + length, keep_from, min(keep_from + size, needed))
