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
import time
from collections import deque

import structlog

from loopwright.generation.loop_service import LoopService, ServiceStatus
from loopwright.runner.messages import (
    Call,
    Cancel,
    Measured,
    Raised,
    Reported,
    Returned,
    Start,
    StatusChanged,
)
from loopwright.serving.active_run import Progress
from loopwright.system.child import Channel
from loopwright.system.logs import configure_logs
from loopwright.system.measurements import Measurement, RunnerMemory, listening, report
from loopwright.system.memory import resident_bytes

STATUS_SECONDS = 0.05
"""How often the state is looked at; it is sent where it has changed."""

MEMORY_SECONDS = 1.0
"""How often the memory is looked at."""

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


def memory_for(status: ServiceStatus) -> RunnerMemory:
    """Return how much memory this process has; of the GPU's, where a model is on one."""
    if not any(info.device == "cuda" for info in status.loaded):
        return RunnerMemory(resident_bytes())
    from torch import cuda  # which that model has imported

    return RunnerMemory(
        resident_bytes(),
        gpu_allocated=cuda.memory_allocated(),
        gpu_reserved=cuda.memory_reserved(),
        gpu_peak=cuda.max_memory_allocated(),
    )


class _Runner:
    def __init__(self, start: Start, channel: Channel) -> None:
        self._channel = channel
        self._service: LoopService = start.make_service(start.settings)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._measured = deque[Measurement]()

    async def serve(self) -> None:
        """Answer calls for ever. The process ends with its server, in the thread that receives."""
        self._loop = asyncio.get_running_loop()
        with listening(self._measured.append):
            self._service.start()
            threading.Thread(target=self._receive, name="runner channel", daemon=True).start()
            await self._send_state()

    async def _send_state(self) -> None:
        """Send the state, and what was measured, whenever there is something new."""
        sent_status: ServiceStatus | None = None
        sent_memory: RunnerMemory | None = None
        look_at_memory = 0.0
        while True:
            status = self._service.status()
            if time.monotonic() >= look_at_memory:
                look_at_memory = time.monotonic() + MEMORY_SECONDS
                memory = memory_for(status)
                if memory != sent_memory:
                    report(memory)
                    sent_memory = memory
            self._send_measured()
            if status != sent_status:
                self._channel.send(StatusChanged(status))
                sent_status = status
            await asyncio.sleep(STATUS_SECONDS)

    def _send_measured(self) -> None:
        measured = list[Measurement]()
        while self._measured:  # other threads add to it meanwhile
            measured.append(self._measured.popleft())
        if measured:
            self._channel.send(Measured(tuple(measured)))

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
            try:
                self._channel.send(Raised(call.number, error))
            except Exception:  # an error of a library that cannot be pickled
                self._channel.send(Raised(call.number, RuntimeError(repr(error))))
        else:
            # the state that the call has made is known before its result, and what was measured
            self._send_measured()
            self._channel.send(StatusChanged(self._service.status()))
            self._channel.send(Returned(call.number, value))
        finally:
            del self._tasks[call.number]
