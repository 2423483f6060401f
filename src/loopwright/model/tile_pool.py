"""A pool of threads that compute one tile per core.

Splitting every operation over all cores makes the cores wait for each other dozens of times per
tile, for long when another program is at work on the machine. With one tile per core nothing waits,
and each core keeps its tile in its own cache.
Knows: threads. Does not know: tiles.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


class TilePool:
    """A pool of threads, each of which runs torch's operations alone.

    Args:
        size: The number of threads. A pool of one runs functions in the caller's thread, where
            torch splits each operation over its own threads.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._threads: ThreadPoolExecutor | None = None
        if size > 1:
            self._threads = ThreadPoolExecutor(size, "tile", lambda: torch.set_num_threads(1))
            # the number a thread sets for itself also changes a setting that all threads share:
            # start every thread now (the barrier holds each until the last has begun), set it back
            shared = torch.get_num_threads()
            barrier = threading.Barrier(size)
            list(self._threads.map(lambda _: barrier.wait(), range(size)))
            torch.set_num_threads(shared)

    def each(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[list[Result]]:
        """Yield what a function returns for the items, in their order, a batch at a time.

        A batch has as many items as there are threads.
        """

        def infer(item: Item) -> Result:
            with torch.inference_mode():  # which a thread does not inherit
                return function(item)

        for first in range(0, len(items), self.size):
            batch = items[first : first + self.size]
            if self._threads is None:
                yield [function(item) for item in batch]
            else:
                yield list(self._threads.map(infer, batch))
