"""The service as the server has it: every call goes to the runner, which is started and watched.

Knows: messages, processes. Does not know: HTTP, how anything is computed; it imports no torch.
"""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import structlog

from loopwright.engine.base import ModelInfo, ModelKey
from loopwright.engine.registry import ModelStatus
from loopwright.errors import RunnerDied, ShuttingDown
from loopwright.generation.loop_service import OnProgress, Prefer, Prompts, ServiceStatus
from loopwright.generation.sources import Upload
from loopwright.generation.take import Take
from loopwright.kinds.request import GenerationRequest, ModelChoice
from loopwright.library.riffs import Catalog, Riff
from loopwright.music.key import Key
from loopwright.runner.messages import (
    Call,
    Cancel,
    MakeService,
    Measured,
    Raised,
    Reported,
    Returned,
    Start,
    StatusChanged,
)
from loopwright.runner.process import main
from loopwright.settings import Settings
from loopwright.system.child import Channel, start_child
from loopwright.system.measurements import RunnerEnded, report

MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.1, 10.0
"""From the end of a runner to the start of the next: longer each time, where it ends at once."""

STABLE_SECONDS = 30.0
"""A runner that lived this long did not end at once."""

RETRY_AFTER_SECONDS = 5

log = structlog.get_logger()


@dataclass(frozen=True)
class _Waiting:
    """A call that waits for its result."""

    result: asyncio.Future[Any]
    on_progress: OnProgress | None


class RunnerClient:
    """The service in a process of its own.

    Args:
        settings: The settings of the server.
        make_service: Makes the service in the runner; a top-level function.
        standard: The model that the server is started with.
    """

    def __init__(self, settings: Settings, make_service: MakeService, standard: ModelKey) -> None:
        self._start_message = Start(settings, make_service)
        self._initial = ServiceStatus(
            standard=standard,
            active=standard,
            models={standard: ModelStatus("loading")},
            max_models=settings.max_models,
        )
        self._status = self._initial
        self._numbers = itertools.count()
        self._waiting: dict[int, _Waiting] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._pause = MIN_PAUSE_SECONDS
        self._is_closed = False
        self.restarts = 0

    def start(self) -> None:
        """Start the runner, which begins to load the standard model."""
        self._loop = asyncio.get_running_loop()
        self._launch()

    def close(self) -> None:
        """End the runner, whatever it is doing."""
        self._is_closed = True
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def status(self) -> ServiceStatus:
        """Return the state that the runner sent last. Never waits."""
        return self._status

    @property
    def runner_pid(self) -> int | None:
        """The process id of the runner; None while there is none."""
        return None if self._channel is None or self._process is None else self._process.pid

    async def takes(
        self,
        request: GenerationRequest,
        upload: Upload | None = None,
        warnings: Iterable[str] = (),
        on_progress: OnProgress | None = None,
        client: str = "",
    ) -> tuple[Take, ...]:
        """Make what a request asks for, as files."""
        arguments = {
            "request": request,
            "upload": upload,
            "warnings": tuple(warnings),
            "client": client,
        }
        takes: tuple[Take, ...] = await self._call("takes", arguments, on_progress)
        return takes

    async def model_info(self) -> ModelInfo:
        """Return what is known of the active model; waits until it is loaded."""
        info: ModelInfo = await self._call("model_info")
        return info

    async def switch_model(self, choice: ModelChoice) -> ModelInfo:
        """Load a model and make it the active one; the standard model, where none is named."""
        info: ModelInfo = await self._call("switch_model", {"choice": choice})
        return info

    async def clear_models(self) -> int:
        """Unload every model that is not in use; return how many these were."""
        count: int = await self._call("clear_models")
        return count

    async def checkpoints(self, repo: str) -> list[str]:
        """List the checkpoints of a repository, at least one."""
        names: list[str] = await self._call("checkpoints", {"repo": repo})
        return names

    async def prompts(
        self, repo: str | None, checkpoint: str | None, key: str | None, prefer: Prefer
    ) -> Prompts:
        """Return the prompts that a model suggests."""
        arguments = {"repo": repo, "checkpoint": checkpoint, "key": key, "prefer": prefer}
        prompts: Prompts = await self._call("prompts", arguments)
        return prompts

    async def riffs(self) -> Catalog:
        """List the riffs of the library."""
        catalog: Catalog = await self._call("riffs")
        return catalog

    async def add_riff(
        self, data: bytes, filename: str, key: Key | None, bpm: Fraction | None, field: str
    ) -> tuple[Riff, tuple[str, ...]]:
        """Add audio to the library of riffs; return the riff, and warnings."""
        arguments = {"data": data, "filename": filename, "key": key, "bpm": bpm, "field": field}
        added: tuple[Riff, tuple[str, ...]] = await self._call("add_riff", arguments)
        return added

    async def remove_riff(self, filename: str) -> None:
        """Delete a riff, and what was given or estimated for it."""
        await self._call("remove_riff", {"filename": filename})

    async def _call(
        self,
        method: str,
        arguments: dict[str, Any] | None = None,
        on_progress: OnProgress | None = None,
    ) -> Any:
        """Call a method of the service in the runner.

        Raises:
            RunnerDied: The runner ended before it was done, or is being started again.
            ShuttingDown: The server is stopping.
            BaseException: Whatever the method raises.
        """
        if self._is_closed:
            raise ShuttingDown("the server is stopping")
        if self._channel is None:
            raise _died("the process that generates is starting again")
        number = next(self._numbers)
        result = self._loop.create_future()
        self._waiting[number] = _Waiting(result, on_progress)
        log_fields = structlog.contextvars.get_contextvars()
        self._channel.send(
            Call(number, method, arguments or {}, on_progress is not None, log_fields)
        )
        try:
            return await result
        except asyncio.CancelledError:
            if self._channel is not None:
                self._channel.send(Cancel(number))
            raise
        finally:
            self._waiting.pop(number, None)

    def _launch(self) -> None:
        if self._is_closed:
            return
        self._process, self._channel = start_child(main)
        self._channel.send(self._start_message)
        arguments = (self._process, self._channel)
        threading.Thread(target=self._receive, args=arguments, name="runner", daemon=True).start()

    def _receive(self, process: subprocess.Popen[bytes], channel: Channel) -> None:
        """Receive messages until the runner ends, and hand them to the event loop."""
        began = time.monotonic()
        try:
            while True:
                self._loop.call_soon_threadsafe(self._take, channel.receive())
        except Exception as error:
            if not isinstance(error, EOFError | RuntimeError):
                log.error("the runner sent what cannot be read", error=repr(error))
        process.kill()
        code = process.wait()
        channel.close()
        seconds = time.monotonic() - began
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._on_end, code, seconds)

    def _take(self, message: StatusChanged | Measured | Reported | Returned | Raised) -> None:
        if isinstance(message, StatusChanged):
            self._status = message.status
            return
        if isinstance(message, Measured):
            for measurement in message.measurements:
                report(measurement)
            return
        waiting = self._waiting.get(message.number)
        if waiting is None or waiting.result.done():  # it was cancelled meanwhile
            return
        match message:
            case Reported():
                if waiting.on_progress is not None:
                    waiting.on_progress(message.progress)
            case Returned():
                waiting.result.set_result(message.value)
            case Raised():
                waiting.result.set_exception(message.error)

    def _on_end(self, code: int, seconds: float) -> None:
        """Fail the calls of a runner that ended, and start another."""
        self._channel = None
        if self._is_closed:
            return
        self.restarts += 1
        report(RunnerEnded())
        self._status = replace(self._initial, is_restarting=True)
        why = f"the process that generates ended ({_cause(code)})"
        log.error("runner ended", cause=_cause(code), calls=len(self._waiting))
        for waiting in list(self._waiting.values()):
            if not waiting.result.done():
                waiting.result.set_exception(_died(f"{why} and is starting again"))
        is_stable = seconds > STABLE_SECONDS
        pause = MIN_PAUSE_SECONDS if is_stable else self._pause
        self._pause = min(2 * pause, MAX_PAUSE_SECONDS)
        self._loop.call_later(pause, self._launch)


def _cause(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _died(message: str) -> RunnerDied:
    return RunnerDied(f"{message}; try again", retry_after=RETRY_AFTER_SECONDS)
