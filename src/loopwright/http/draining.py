"""Stopping without breaking what is under way.

Knows: tasks. Does not know: signals and sockets (``http/server``), requests (``http/middleware``),
what the work is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Draining:
    """Whether the server is stopping, and the work that it lets finish first."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()
        self._work = set[asyncio.Task[object]]()

    @property
    def has_begun(self) -> bool:
        """Whether the server is stopping."""
        return self._begun.is_set()

    @property
    def work_count(self) -> int:
        """How much work is not done yet."""
        return len(self._work)

    def begin(self) -> None:
        """Refuse new work from now on, and wake up everybody who waits for it."""
        self._begun.set()

    async def wait(self) -> None:
        """Wait until the server is stopping; replies that never end by themselves end then."""
        await self._begun.wait()

    @contextmanager
    def work(self) -> Iterator[None]:
        """Count what the current task does in the block as work.

        The server waits for it when it stops, and cancels the task when it has waited long enough.
        """
        task = asyncio.current_task()
        assert task is not None
        self._work.add(task)
        try:
            yield
        finally:
            self._work.discard(task)

    async def cancel_work(self, seconds: float) -> None:
        """Cancel what is not done yet, and give its tasks some seconds to clean up and answer."""
        tasks = set(self._work)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
