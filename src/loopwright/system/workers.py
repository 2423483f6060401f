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
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import IO, Any, ParamSpec, TypeVar

from loopwright.errors import WorkerFailed

P = ParamSpec("P")
R = TypeVar("R")

MEMORY_BYTES = 3_000_000_000
"""Address space of a worker, in bytes; libraries for analysis reserve a good part of it."""

NICENESS = 10
"""Niceness of processes that give way: about a tenth of a core's time while another needs it."""

START = (
    "import pickle, sys; sys.path = pickle.load(sys.stdin.buffer); "
    "from loopwright.system.worker_process import serve; serve()"
)
"""The program of a worker.

Not multiprocessing's, which would run the server's own program once more in every process: a
script that makes a loop would then need an `if __name__ == "__main__":`.
"""


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
    """One process, the pipes to it, and a thread that reads what it sends."""

    def __init__(self, memory_bytes: int | None) -> None:
        # -P: the folder it is started in is not where modules come from
        command = [sys.executable, "-P", "-c", START]
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._outcomes: queue.Queue[Any] = queue.Queue()
        # a pipe cannot be read with a limit of time on all systems
        threading.Thread(target=self._read, name="worker pipe", daemon=True).start()
        with contextlib.suppress(OSError):  # it died; the first call says so
            self._send(sys.path)
            self._send(memory_bytes)

    def run(self, seconds: float, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Run a function; return its result, or the exception it raised."""
        died = WorkerFailed("it could not be worked on: the process that tried it died")
        try:
            self._send((function, args, kwargs))
            outcome = self._outcomes.get(timeout=seconds)
        except OSError:
            raise died from None
        except queue.Empty:
            raise WorkerFailed(f"it took longer than {seconds:g} seconds") from None
        if outcome is _DIED:
            raise died
        return outcome

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):
            self._stdin.close()

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _send(self, message: object) -> None:
        pickle.dump(message, self._stdin, pickle.HIGHEST_PROTOCOL)
        self._stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as pipe:
            while True:
                try:
                    self._outcomes.put(pickle.load(pipe))  # noqa: S301 - from our own process
                except Exception:  # whatever it is: nothing more will come that can be read
                    self._outcomes.put(_DIED)
                    return


_DIED = object()
"""What a worker's outcome is when it died."""
