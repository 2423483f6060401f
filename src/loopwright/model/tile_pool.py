"""Several threads that each compute a tile of their own, one core each.

Splitting every operation over all cores makes the cores wait for each other dozens of times a tile, for long when another
program is at work on the machine; a tile a core needs no waiting, and each keeps its tile in its own cache.
Knows: threads. Does not know: tiles.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

A = TypeVar("A")
B = TypeVar("B")


class TilePool:
    """So many threads; with one, the work is done where it is asked for, by all of torch's threads."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._threads = ThreadPoolExecutor(size, "tile", _alone) if size > 1 else None
        if self._threads is not None:
            _start_all(self._threads, size)

    def each(self, do: Callable[[A], B], items: Sequence[A]) -> Iterator[list[B]]:
        """What the function makes of the items, in their order, as many at a time as there are threads."""
        for first in range(0, len(items), self.size):
            some = items[first : first + self.size]
            if self._threads is None:
                yield [do(one) for one in some]
            else:
                yield list(self._threads.map(_inferring(do), some))


def _inferring(do: Callable[[A], B]) -> Callable[[A], B]:
    """Inference mode is a thread's own."""

    def inferring(item: A) -> B:
        with torch.inference_mode():
            return do(item)

    return inferring


def _alone() -> None:
    torch.set_num_threads(1)


def _start_all(threads: ThreadPoolExecutor, size: int) -> None:
    """Every thread at once, since what they set for themselves changes a setting all share; that is set back."""
    before = torch.get_num_threads()
    everyone = threading.Barrier(size)
    list(threads.map(lambda _: everyone.wait(), range(size)))
    torch.set_num_threads(before)
