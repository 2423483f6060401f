"""Processes for work that must not harm the server.

Such work handles what strangers sent, or holds the interpreter's lock. A worker has a limit of
memory, and each call a limit of time. A call that crashes its worker, or takes too long, fails
alone: the worker is replaced. Functions are sent to a worker by name, so that they must be
top-level functions.
Knows: processes. Does not know: what is computed.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from loopwright.errors import WorkerFailed
from loopwright.system.child import start_child
from loopwright.system.worker_process import serve

P = ParamSpec("P")
R = TypeVar("R")

MEMORY_BYTES = 3_000_000_000
"""Address space of a worker, in bytes; libraries for analysis reserve a good part of it."""

NICENESS = 10
"""Niceness of processes that give way: about a tenth of a core's time while another needs it."""


class Workers:
    """A pool of processes, each started when it is first needed. Safe from any thread.

    Args:
        count: The most processes at a time; a call waits until one of them is free.
        memory_bytes: Address space of each process; None: no limit.
    """

    def __init__(self, count: int = 2, memory_bytes: int | None = MEMORY_BYTES) -> None:
        self._memory_bytes = memory_bytes
        self._idle: queue.Queue[_Worker | None] = queue.Queue()
        for _ in range(count):
            self._idle.put(None)  # a place for a process that is yet to be started
        self._lock = threading.Lock()
        self._all: set[_Worker] = set()
        self._closed = False

    def call(
        self, seconds: float, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a function in a worker and return its result.

        Args:
            seconds: How long it may take.
            function: A top-level function; arguments and result must be picklable.
            args: Its positional arguments.
            kwargs: Its keyword arguments.

        Raises:
            WorkerFailed: It took longer, or the worker died.
            BaseException: Whatever the function raises.
        """
        worker = self._idle.get()
        if worker is None:
            worker = _Worker(self._memory_bytes)
            with self._lock:
                self._all.add(worker)
                closed = self._closed
            # ``close`` has gone through the workers already, and nobody else would end this one
            if closed:
                self._stop(worker)
        usable = False
        try:
            outcome = worker.run(seconds, function, args, kwargs)
            usable = True
        finally:
            if not usable:
                self._stop(worker)
            self._idle.put(worker if usable else None)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome  # type: ignore[no-any-return]

    def close(self) -> None:
        """End all workers, whatever they are doing."""
        with self._lock:
            self._closed = True
            workers = list(self._all)
        for worker in workers:
            self._stop(worker)

    def _stop(self, worker: _Worker) -> None:
        worker.kill()
        with self._lock:
            self._all.discard(worker)


def run_in_process(
    seconds: float, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs
) -> R:
    """Run a function in a process of its own, whose memory is free again when it is done.

    Arguments and errors are those of ``Workers.call``. Its memory is not limited.
    """
    workers = Workers(count=1, memory_bytes=None)
    try:
        return workers.call(seconds, function, *args, **kwargs)
    finally:
        workers.close()


def give_way() -> None:
    """Let other processes have the CPU first, on systems where a process can choose that."""
    with contextlib.suppress(AttributeError, OSError):  # Windows has no nice
        os.nice(NICENESS)


class _Worker:
    """One process, and a thread that receives what it sends."""

    def __init__(self, memory_bytes: int | None) -> None:
        self._process, self._channel = start_child(serve)
        self._channel.send(memory_bytes)
        self._outcomes: queue.Queue[Any] = queue.Queue()
        # a pipe cannot be read with a limit of time on all systems
        threading.Thread(target=self._receive, name="worker", daemon=True).start()

    def run(self, seconds: float, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Run a function; return its result, or the exception it raised."""
        self._channel.send((function, args, kwargs))
        try:
            outcome = self._outcomes.get(timeout=seconds)
        except queue.Empty:
            raise WorkerFailed(f"it took longer than {seconds:g} seconds") from None
        if outcome is _DIED:
            raise WorkerFailed("it could not be worked on: the process that tried it died")
        return outcome

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._channel.close()

    def _receive(self) -> None:
        try:
            while True:
                self._outcomes.put(self._channel.receive())
        except Exception:  # whatever it is: nothing more will come that can be read
            self._outcomes.put(_DIED)


_DIED = object()
"""What a worker's outcome is when it died."""
