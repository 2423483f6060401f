"""Wait for conditions. The limit is so generous that only a fault reaches it, on any machine."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Awaitable, Callable

PATIENCE = 120.0
"""Seconds after which a condition will not come true any more."""

POLL_SECONDS = 0.005


def until(condition: Callable[[], object]) -> None:
    """Wait until a condition is true."""
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up, f"{inspect.getsource(condition).strip()} stayed false"
        time.sleep(POLL_SECONDS)


async def eventually(condition: Callable[[], object | Awaitable[object]]) -> None:
    """Wait until a condition is true while the event loop goes on; it may be a coroutine."""
    give_up = time.monotonic() + PATIENCE
    while True:
        found = condition()
        if await found if inspect.isawaitable(found) else found:
            return
        assert time.monotonic() < give_up, f"{inspect.getsource(condition).strip()} stayed false"
        await asyncio.sleep(POLL_SECONDS)


class Gate:
    """A turnstile for threads: a test decides how many pass, and sees how many have come.

    Args:
        passes: How many may pass until it is opened; None: it is open.

    Attributes:
        arrived: How many have come so far, those who passed included.
    """

    def __init__(self, passes: int | None = 0) -> None:
        self.arrived = 0
        self._passes = passes
        self._changed = threading.Condition()

    def enter(self) -> None:
        """Wait until there is a pass, and use it."""
        with self._changed:
            self.arrived += 1
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._passes != 0, PATIENCE), "nobody let it in"
            if self._passes is not None:
                self._passes -= 1

    def let_through(self, count: int) -> None:
        """Let this many more pass."""
        with self._changed:
            self._passes = (self._passes or 0) + count
            self._changed.notify_all()

    def open(self) -> None:
        """Let everybody pass from now on."""
        with self._changed:
            self._passes = None
            self._changed.notify_all()

    def wait_for(self, arrived: int) -> None:
        """Wait until this many have come."""
        with self._changed:
            came = self._changed.wait_for(lambda: self.arrived >= arrived, PATIENCE)
        assert came, f"{self.arrived} came, not {arrived}"

    async def reached(self, arrived: int) -> None:
        """Wait until this many have come, while the event loop goes on."""
        await asyncio.to_thread(self.wait_for, arrived)
