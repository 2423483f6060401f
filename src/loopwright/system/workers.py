"""Processes for work that must not harm the server.

Such work handles what strangers sent, or holds the interpreter's lock. A worker has a limit of
memory, and each call a limit of time. A call that crashes its worker, or takes too long, fails
alone: the worker is replaced. Functions are sent to a worker by name, so that they must be
top-level functions.
Knows: processes. Does not know: what is computed.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, ParamSpec, TypeVar

from loopwright.errors import TooLarge, WorkerFailed

P = ParamSpec("P")
R = TypeVar("R")

MEMORY_BYTES = 3_000_000_000
"""Address space of a worker, in bytes; libraries for analysis reserve a good part of it."""

NICENESS = 10
"""Niceness of processes that give way: about a tenth of a core's time while another needs it."""

# not forked: a fork of a server with threads would copy their locks as they happen to be
_SPAWN = multiprocessing.get_context("spawn")


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
        worker = self._idle.get() or self._start()
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

    def _start(self) -> _Worker:
        worker = _Worker(self._memory_bytes)
        with self._lock:
            self._all.add(worker)
            closed = self._closed
        if closed:
            self._stop(worker)
        return worker

    def _stop(self, worker: _Worker) -> None:
        worker.kill()
        with self._lock:
            self._all.discard(worker)


def check_may_start() -> None:
    """Check that this process may start others.

    Raises:
        RuntimeError: The process is still importing its program, where a new process would run the
            same again. Python raises this itself, but not before it has waited for a lock that the
            first process holds.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise RuntimeError('work that starts processes must be under `if __name__ == "__main__":`')


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
    """One process, and the pipe to it."""

    def __init__(self, memory_bytes: int | None) -> None:
        self._pipe, other_end = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(other_end, memory_bytes), daemon=True)
        self._process.start()
        other_end.close()  # the process has its own; while ours is open, its death goes unnoticed

    def run(self, seconds: float, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Run a function; return its result, or the exception it raised."""
        try:
            self._pipe.send((function, args, kwargs))
            if not self._pipe.poll(seconds):
                raise WorkerFailed(f"it took longer than {seconds:g} seconds")
            return self._pipe.recv()
        except (EOFError, OSError):
            raise WorkerFailed(
                "it could not be worked on: the process that tried it died"
            ) from None

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        with contextlib.suppress(OSError):
            self._pipe.close()


def _serve(pipe: Connection, memory_bytes: int | None) -> None:
    """Take calls from a pipe and send their outcomes until it is closed."""
    # Ctrl-C goes to all processes of a terminal; it is for the server, which then ends the workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    if memory_bytes is not None:
        _limit_memory(memory_bytes)
    while True:
        try:
            function, args, kwargs = pipe.recv()
        except EOFError:
            os._exit(0)
        try:
            outcome = function(*args, **kwargs)
        except MemoryError:
            outcome = TooLarge("it needs more memory than is allowed")
        except Exception as error:
            outcome = error
        pipe.send(outcome)


def _end_with_the_server() -> None:
    """End this process when its parent is gone: what it computes is for nobody."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _limit_memory(memory_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
