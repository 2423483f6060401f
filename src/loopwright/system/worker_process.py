"""What runs in a worker process: it takes calls from its input and sends their outcomes.

Knows: one call at a time. Does not know: what is computed.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import sys
import threading
from typing import Any

from loopwright.errors import TooLarge


def serve() -> None:
    """Take calls, which are (function, args, kwargs), until the input ends."""
    # Ctrl-C goes to all processes of a terminal; it is for the server, which then ends the workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # the output is for outcomes alone; what libraries print goes to stderr instead
    outcomes = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    memory_bytes = pickle.load(sys.stdin.buffer)  # noqa: S301 - the server's own
    if memory_bytes is not None:
        with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has no resource
            import resource

            resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    calls: queue.Queue[Any] = queue.Queue()
    threading.Thread(target=_read, args=(calls,), daemon=True).start()
    while True:
        function, args, kwargs = calls.get()
        try:
            outcome = function(*args, **kwargs)
        except MemoryError:
            outcome = TooLarge("it needs more memory than is allowed")
        except Exception as error:
            outcome = error
        pickle.dump(outcome, outcomes, pickle.HIGHEST_PROTOCOL)
        outcomes.flush()


def _read(calls: queue.Queue[Any]) -> None:
    """Read calls. The input ends with the server, and so does this process, even amid a call.

    What it computes is for nobody then.
    """
    while True:
        try:
            calls.put(pickle.load(sys.stdin.buffer))  # noqa: S301 - the server's own
        except EOFError:
            os._exit(0)
        except BaseException:
            os._exit(1)
