"""What runs in a worker process: it takes calls and sends their outcomes.

Knows: one call at a time. Does not know: what is computed.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
from typing import Any

from loopwright.errors import TooLarge
from loopwright.system.child import Channel


def serve(channel: Channel) -> None:
    """Take calls, which are (function, args, kwargs), until the channel ends.

    The first message is the address space that the process may have, in bytes; None: any.
    """
    # Ctrl-C goes to all processes of a terminal; it is for the server, which then ends the workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    memory_bytes = channel.receive()
    if memory_bytes is not None:
        with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has no resource
            import resource

            resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    calls: queue.Queue[Any] = queue.Queue()
    threading.Thread(target=_receive, args=(channel, calls), daemon=True).start()
    while True:
        function, args, kwargs = calls.get()
        try:
            outcome = function(*args, **kwargs)
        except MemoryError:
            outcome = TooLarge("it needs more memory than is allowed")
        except Exception as error:
            outcome = error
        channel.send(outcome)


def _receive(channel: Channel, calls: queue.Queue[Any]) -> None:
    """Receive calls. The channel ends with the server, and so does this process, even amid a call.

    What it computes is for nobody then.
    """
    while True:
        try:
            calls.put(channel.receive())
        except EOFError:
            os._exit(0)
        except BaseException:
            os._exit(1)
