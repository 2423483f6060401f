"""Python processes of our own, and the channel between such a process and the one that started it.

Not multiprocessing's processes, which run the parent's program once more: a script that makes a
loop would then need an ``if __name__ == "__main__":``.
Knows: pipes, pickles. Does not know: what is sent.
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
from typing import IO, Any

START = (
    "import pickle, sys; sys.path = pickle.load(sys.stdin.buffer); "
    "from loopwright.system.child import run; run()"
)
"""The program of a child. Its modules come from where the parent's do."""

PIPE_BYTES = 1 << 20
"""Room in a pipe, on systems where it can be chosen: a loop goes through in two or three pieces."""

ENDED = object()
"""In the queue of a channel's writer: nothing more will be sent."""


class Channel:
    """Objects sent through a pair of pipes, in order. Any thread may send; one receives.

    Args:
        reader: What the other side sends comes from here.
        writer: What is sent goes here.
    """

    def __init__(self, reader: IO[bytes], writer: IO[bytes]) -> None:
        self._reader = reader
        self._writer = writer
        self._outbox: queue.Queue[Any] = queue.Queue()
        # in a thread, since a pipe is full until the other side reads it
        threading.Thread(target=self._write, name="channel", daemon=True).start()

    def send(self, message: object) -> None:
        """Send an object. Never waits for the other side, and does not say whether it is there.

        Raises:
            Exception: The object cannot be pickled.
        """
        self._outbox.put(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))

    def receive(self) -> Any:
        """Wait for the next object.

        Raises:
            EOFError: The other side has ended.
        """
        try:
            return pickle.load(self._reader)  # noqa: S301 - both processes are ours
        except (pickle.UnpicklingError, OSError, ValueError) as error:
            raise EOFError from error  # it ended amid an object

    def close(self) -> None:
        """Send nothing more; the other side sees an end after what was sent."""
        self._outbox.put(ENDED)

    def _write(self) -> None:
        with contextlib.suppress(OSError, ValueError), self._writer:
            while (data := self._outbox.get()) is not ENDED:
                self._writer.write(data)
                self._writer.flush()


def start_child(function: Callable[[Channel], None]) -> tuple[subprocess.Popen[bytes], Channel]:
    """Start a Python process that runs a function.

    Args:
        function: A top-level function; it is given the channel to this process.

    Returns:
        The process, and the channel to it.
    """
    # -P: the folder it is started in is not where modules come from
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-P", "-c", START], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    # only Linux has this, and a user may have no right to so much
    with contextlib.suppress(ImportError, OSError):
        from fcntl import F_SETPIPE_SZ, fcntl

        for pipe in (process.stdin, process.stdout):
            fcntl(pipe, F_SETPIPE_SZ, PIPE_BYTES)
    channel = Channel(process.stdout, process.stdin)
    channel.send(sys.path)
    channel.send(function)
    return process, channel


def run() -> None:
    """Run the function that the parent sends. What libraries print goes to stderr."""
    outcomes = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    channel = Channel(sys.stdin.buffer, outcomes)
    function: Callable[[Channel], None] = channel.receive()
    function(channel)
