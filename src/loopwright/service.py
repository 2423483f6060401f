"""The whole way of a request, on one page: validated request in, finished generation out.

Knows: which stage comes after which. Does not know: HTTP, the command line, tensors.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from loopwright.audio.loudness import SILENCE, normalize_peak, peak
from loopwright.engine.base import Audio, Engine, ModelInfo, ModelKey
from loopwright.engine.registry import ModelStatus, Registry
from loopwright.errors import QueueFull
from loopwright.generation import Generation
from loopwright.plan import GenerationPlan, ModelLimits, plan_audio, plan_loop
from loopwright.request import GenerationRequest, LoopRequest
from loopwright.serving.scheduler import Progress, Rendered, Scheduler

RETRY_AFTER_SECONDS = 5

OnProgress = Callable[[Progress], None]


class Service:
    """What every front end calls. model: the one used where a request names no other."""

    def __init__(self, registry: Registry, scheduler: Scheduler, model: ModelKey, max_requests: int) -> None:
        self.model = model
        self._registry = registry
        self._scheduler = scheduler
        self._max_requests = max_requests
        self._requests = 0
        self._threads = ThreadPoolExecutor(max_requests, "lease")  # as many as may wait for a model at once

    async def generate(
        self, request: GenerationRequest, warnings: Iterable[str] = (), on_progress: OnProgress | None = None
    ) -> Generation:
        """Make what is asked for. Raises the errors of ``loopwright.errors``; cancelling it frees the worker."""
        began = time.perf_counter()
        async with self._place(), self._lease(self.model) as engine:
            plan = _plan(request.seeded(), engine.info.limits)
            rendered = await self._render(engine, plan, on_progress)
            return Generation(
                audio=normalize_peak(rendered.audio),
                plan=plan,
                info=engine.info,
                timings=rendered.timings,
                generation_time=time.perf_counter() - began,
                created=int(time.time()),
                gpu_memory=engine.gpu_memory(),
                warnings=(*warnings, *plan.warnings, *_audio_warnings(rendered.audio)),
            )

    async def model_info(self) -> ModelInfo:
        """What is known of the model; waits until it is loaded."""
        async with self._lease(self.model) as engine:
            return engine.info

    def loaded_info(self) -> ModelInfo | None:
        """What is known of the model, if it is loaded. Never waits."""
        return next((info for info in self._registry.loaded() if info.key == self.model), None)

    def model_status(self) -> ModelStatus:
        """How the model is. Never waits."""
        return self._registry.status(self.model)

    @property
    def queue_depth(self) -> int:
        """Requests waiting or being made."""
        return self._requests

    def preload(self) -> None:
        """Begin to load the model, in the background."""
        self._registry.preload(self.model)

    def close(self) -> None:
        """Stop work and give the models back."""
        self._scheduler.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._registry.close()

    async def _render(self, engine: Engine, plan: GenerationPlan, on_progress: OnProgress | None) -> Rendered:
        job = self._scheduler.submit(engine, plan, on_progress)
        rendered = asyncio.wrap_future(job.result)
        try:
            return await asyncio.shield(rendered)
        except asyncio.CancelledError:
            job.cancel()
            await asyncio.gather(rendered, return_exceptions=True)  # the lease must outlive the step the worker is in
            raise

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """A place among those who wait or are served. Raises QueueFull where there is none."""
        if self._requests >= self._max_requests:
            raise QueueFull(
                f"{self._requests} requests are waiting or being made, which is the most; try again later",
                retry_after=RETRY_AFTER_SECONDS,
            )
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1

    @asynccontextmanager
    async def _lease(self, key: ModelKey) -> AsyncIterator[Engine]:
        """A lease taken in a thread, since it may wait for the model to load."""
        lease = self._registry.lease(key)
        engine = await asyncio.get_running_loop().run_in_executor(self._threads, lease.__enter__)
        try:
            yield engine
        finally:
            lease.__exit__(None, None, None)


def _plan(request: GenerationRequest, limits: ModelLimits) -> GenerationPlan:
    return plan_loop(request, limits) if isinstance(request, LoopRequest) else plan_audio(request, limits)


def _audio_warnings(audio: Audio) -> tuple[str, ...]:
    return ("the model made silence",) if peak(audio) < SILENCE else ()
