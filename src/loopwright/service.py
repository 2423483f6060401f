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
from loopwright.engine.registry import ModelStatus
from loopwright.errors import QueueFull
from loopwright.generation import Generation
from loopwright.models import Models
from loopwright.plan import GenerationPlan, ModelLimits, plan_request
from loopwright.request import GenerationRequest
from loopwright.serving.scheduler import Progress, Rendered, Scheduler
from loopwright.sources import Sources

RETRY_AFTER_SECONDS = 5

OnProgress = Callable[[Progress], None]


class Service:
    """What every front end calls."""

    def __init__(self, models: Models, scheduler: Scheduler, sources: Sources, max_requests: int) -> None:
        self.models = models
        self.sources = sources
        self._scheduler = scheduler
        self._max_requests = max_requests
        self._requests = 0
        self._threads = ThreadPoolExecutor(max_requests, "lease")  # as many as may wait for a model at once

    async def generate(
        self,
        request: GenerationRequest,
        upload: bytes | None = None,
        warnings: Iterable[str] = (),
        on_progress: OnProgress | None = None,
    ) -> Generation:
        """Make what is asked for. Raises the errors of ``loopwright.errors``; cancelling it frees the worker."""
        began = time.perf_counter()
        self.sources.check(request, upload)
        async with self._place(), self._lease(self.models.key_for(request)) as engine:
            plan = await self._plan(request.seeded(), upload, engine.info.limits)
            rendered = await self._render(engine, plan, on_progress)
            rendered_at = time.perf_counter()
            return Generation(
                audio=normalize_peak(rendered.audio),
                post_seconds=time.perf_counter() - rendered_at,
                plan=plan,
                info=engine.info,
                timings=rendered.timings,
                generation_time=time.perf_counter() - began,
                created=int(time.time()),
                gpu_memory=engine.gpu_memory(),
                warnings=(*warnings, *plan.warnings, *_audio_warnings(rendered.audio)),
            )

    async def model_info(self) -> ModelInfo:
        """What is known of the active model; waits until it is loaded."""
        async with self._lease(self.models.active) as engine:
            return engine.info

    def loaded_info(self) -> ModelInfo | None:
        """What is known of the active model, if it is loaded. Never waits."""
        return next((info for info in self.models.loaded() if info.key == self.models.active), None)

    def model_status(self) -> ModelStatus:
        """How the active model is. Never waits."""
        return self.models.registry.status(self.models.active)

    @property
    def queue_depth(self) -> int:
        """Requests waiting or being made."""
        return self._requests

    def preload(self) -> None:
        """Begin to load the model, in the background."""
        self.models.registry.preload(self.models.standard)

    def close(self) -> None:
        """Stop work and give the models back."""
        self._scheduler.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.sources.workers.close()
        self.models.registry.close()

    async def _plan(self, request: GenerationRequest, upload: bytes | None, limits: ModelLimits) -> GenerationPlan:
        plan = plan_request(request, limits)
        return await asyncio.to_thread(self.sources.attach, plan, request, upload, limits)

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
        lease = self.models.registry.lease(key)
        engine = await asyncio.get_running_loop().run_in_executor(self._threads, lease.__enter__)
        try:
            yield engine
        finally:
            lease.__exit__(None, None, None)


def _audio_warnings(audio: Audio) -> tuple[str, ...]:
    return ("the model made silence",) if peak(audio) < SILENCE else ()
