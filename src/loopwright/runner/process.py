"""What runs in the runner: the service, called by messages.

It ends when the server ends, and ends itself when the GPU can compute no more; the server starts it
again.
Knows: messages, the service's methods. Does not know: HTTP, what is computed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading

import structlog

from loopwright.generation.loop_service import LoopService
from loopwright.runner.messages import (
    Call,
    Cancel,
    Raised,
    Reported,
    Returned,
    Start,
    StatusChanged,
)
from loopwright.serving.active_run import Progress
from loopwright.system.child import Channel
from loopwright.system.logs import configure_logs

STATUS_SECONDS = 0.05
"""How often the state is looked at; it is sent where it has changed."""

POISONED = 70
"""The exit code where the GPU can compute no more (``EX_SOFTWARE`` of sysexits)."""

log = structlog.get_logger()


def main(channel: Channel) -> None:
    """Run the service that the first message names, until the channel ends."""
    # both go to all processes of a terminal or unit; the server decides when the runner ends
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    start: Start = channel.receive()
    configure_logs(start.settings.log_level, start.settings.log_format)
    asyncio.run(_Runner(start, channel).serve())


def is_poison(error: BaseException) -> bool:
    """Return whether an error leaves the GPU unable to compute anything more in this process.

    CUDA reports all later work as failed once a kernel has crashed ("sticky" errors); a lack of
    memory is none of these.
    """
    is_of_memory = type(error).__name__ == "OutOfMemoryError"
    return not is_of_memory and ("CUDA error" in str(error) or "CUDNN_STATUS" in str(error))


class _Runner:
    def __init__(self, start: Start, channel: Channel) -> None:
        self._channel = channel
        self._service: LoopService = start.make_service(start.settings)
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Answer calls for ever. The process ends with its server, in the thread that receives."""
        self._loop = asyncio.get_running_loop()
        self._service.start()
        threading.Thread(target=self._receive, name="runner channel", daemon=True).start()
        sent = None
        while True:
            status = self._service.status()
            if status != sent:
                self._channel.send(StatusChanged(status))
                sent = status
            await asyncio.sleep(STATUS_SECONDS)

    def _receive(self) -> None:
        while True:
            try:
                message = self._channel.receive()
            except EOFError:
                os._exit(0)  # what it computes is for nobody
            self._loop.call_soon_threadsafe(self._take, message)

    def _take(self, message: Call | Cancel) -> None:
        task = self._tasks.get(message.number)
        if isinstance(message, Call):
            self._tasks[message.number] = asyncio.create_task(self._answer(message))
        elif task is not None:
            task.cancel()

    async def _answer(self, call: Call) -> None:
        structlog.contextvars.bind_contextvars(**call.log_fields)  # in this task alone
        arguments = call.arguments
        if call.wants_progress:

            def report(progress: Progress) -> None:
                self._channel.send(Reported(call.number, progress))

            arguments = {**arguments, "on_progress": report}
        try:
            value = await getattr(self._service, call.method)(**arguments)
        except asyncio.CancelledError:
            return
        except BaseException as error:
            if is_poison(error):
                log.critical("the GPU can compute no more; starting again", error=str(error))
                os._exit(POISONED)
            self._raise(call.number, error)
        else:
            # the state that the call has made is known before its result
            self._channel.send(StatusChanged(self._service.status()))
            self._channel.send(Returned(call.number, value))
        finally:
            del self._tasks[call.number]

    def _raise(self, number: int, error: BaseException) -> None:
        try:
            self._channel.send(Raised(number, error))
        except Exception:  # an error of a library that cannot be pickled
            self._channel.send(Raised(number, RuntimeError(repr(error))))
