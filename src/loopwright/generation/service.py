"""The whole way of a request, on one page: validated request in, finished generation out.

Knows: which stage comes after which. Does not know: HTTP, the command line, tensors.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from loopwright.audio.types import Audio
from loopwright.engine.base import Engine, ModelInfo, ModelKey
from loopwright.engine.registry import ModelStatus
from loopwright.errors import QueueFull
from loopwright.generation.models import Models, unused_finetune_fields
from loopwright.generation.postprocess import postprocess, score
from loopwright.generation.result import Generation, Redrawn
from loopwright.generation.sources import Sources, Upload
from loopwright.kinds.planner import plan_request, redrawn_plans
from loopwright.kinds.request import MAX_SEED, GenerationRequest, LoopRequest
from loopwright.kinds.request_edits import StackRequest, VariationRequest
from loopwright.planning.plan import GenerationPlan, ModelLimits
from loopwright.serving.active_run import Progress, Rendered
from loopwright.serving.fairness import Owner
from loopwright.serving.scheduler import Scheduler

RETRY_AFTER_SECONDS = 5

T = TypeVar("T")

OnProgress = Callable[[Progress], None]


class Service:
    """What every front end calls."""

    def __init__(
        self, models: Models, scheduler: Scheduler, sources: Sources, max_requests: int
    ) -> None:
        self.models = models
        self.sources = sources
        self._scheduler = scheduler
        self._max_requests = max_requests
        self._requests = 0
        self._threads = ThreadPoolExecutor(
            max_requests, "lease"
        )  # as many as may wait for a model at once

    async def generate(
        self,
        request: GenerationRequest,
        upload: Upload | None = None,
        warnings: Iterable[str] = (),
        on_progress: OnProgress | None = None,
        client: str = "",
    ) -> tuple[Generation, ...]:
        """Make what is asked for, ``request.n`` of them. Raises the errors of ``loopwright.errors``.

        Cancelling it frees the worker. client: who asks; clients get equal shares of the worker's time.
        """
        return await self._generate(request, upload, warnings, on_progress, Owner(client))

    async def _generate(
        self,
        request: GenerationRequest,
        upload: Upload | None,
        warnings: Iterable[str],
        on_progress: OnProgress | None,
        owner: Owner,
    ) -> tuple[Generation, ...]:
        began = time.perf_counter()
        self.sources.check(request, upload)
        if isinstance(request, VariationRequest) and upload is None:
            (source,) = await self._generate(request.of_source(), None, (), None, owner)
            upload = Upload(await asyncio.to_thread(source.encoded))
        async with self._place(), self._lease(self.models.key_for(request)) as engine:
            plan = await self._plan(request.seeded(), upload, engine.info.limits)
            unused = (*unused_finetune_fields(request), *_ignored_words(request, plan, engine))
            plan = replace(plan, warnings=(*warnings, *unused, *plan.warnings))
            plans = _with_seeds(plan, request.n * _candidates(request))
            attempts = await _together(
                self._attempt(engine, one, on_progress, owner) for one in plans
            )
            best = [
                max(some, key=lambda one: score(one.finished))
                for some in _groups(attempts, _candidates(request))
            ]
            seconds, asked = (
                time.perf_counter() - began,
                request.model_dump(mode="json", exclude_none=True),
            )
            return tuple(replace(one, generation_time=seconds, asked=asked) for one in best)

    async def generate_one(
        self,
        request: GenerationRequest,
        upload: Upload | None = None,
        on_progress: OnProgress | None = None,
    ) -> Generation:
        """The same, for a request of one."""
        return (await self.generate(request, upload, on_progress=on_progress))[0]

    async def generate_stack(
        self, request: StackRequest, warnings: Iterable[str] = (), client: str = ""
    ) -> tuple[Generation, ...]:
        """The mix of all parts, then each part: the same length, tempo and first downbeat.

        All parts are one request of the client; the first that fails ends the others.
        """
        seeded, owner = request.seeded(), Owner(client)
        self._fits(len(request.parts))
        made = await _together(
            self._generate(seeded.of_part(part), None, (), None, owner) for part in request.parts
        )
        parts = [replace(one, part=part) for (one,), part in zip(made, request.parts, strict=True)]
        total: Audio = np.stack([one.audio for one in parts]).sum(0, dtype=np.float32)
        first = parts[0]
        plan = replace(
            first.plan,
            seed=seeded.seed,
            original_prompt=request.prompt,
            words=replace(first.plan.words, prompt=request.prompt),
            tail=0,
            output=replace(first.plan.output, align=False),
            warnings=(
                *warnings,
                *dict.fromkeys(warning for one in parts for warning in one.said_of_making),
            ),
        )
        mix = await asyncio.to_thread(postprocess, total, plan, first.sample_rate)
        asked = request.model_dump(mode="json", exclude_none=True)
        return replace(
            first, part="mix", plan=plan, finished=mix, redrawn=None, asked=asked
        ), *parts

    async def _attempt(
        self, engine: Engine, plan: GenerationPlan, on_progress: OnProgress | None, owner: Owner
    ) -> Generation:
        """Carry out a plan; silence or noise is drawn again. Where nothing else comes, the first counts."""
        first = await self._draw(engine, plan, on_progress, owner)
        if first.finished.is_music:
            return first
        attempts = 1
        for other_plan in redrawn_plans(plan):
            other = await self._draw(engine, other_plan, on_progress, owner)
            attempts += 1
            if other.finished.is_music:
                release_pages = other_plan.init_noise_level != plan.init_noise_level
                return replace(other, redrawn=Redrawn(plan.seed, attempts, release_pages))
        return first if attempts == 1 else replace(first, redrawn=Redrawn(plan.seed, attempts))

    async def _draw(
        self, engine: Engine, plan: GenerationPlan, on_progress: OnProgress | None, owner: Owner
    ) -> Generation:
        """Carry out a plan once."""
        rendered = await self._render(engine, plan, on_progress, owner)
        began = time.perf_counter()
        finished = await asyncio.to_thread(
            postprocess, rendered.audio, plan, engine.info.limits.sample_rate
        )
        return Generation(
            finished=finished,
            plan=plan,
            info=engine.info,
            timings=rendered.timings,
            post_seconds=time.perf_counter() - began,
            created=int(time.time()),
            gpu_memory=engine.gpu_memory(),
        )

    async def model_info(self) -> ModelInfo:
        """What is known of the active model; waits until it is loaded."""
        async with self._lease(self.models.active) as engine:
            return engine.info

    def loaded_info(self) -> ModelInfo | None:
        """What is known of the active model, if it is loaded. Never waits."""
        return next((info for info in self.models.loaded() if info.key == self.models.active), None)

    def is_converting(self) -> bool:
        """Return whether a model is being converted, or waits to be. Never waits."""
        return any(status.converting for status in self.models.statuses().values())

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

    async def _plan(
        self, request: GenerationRequest, upload: Upload | None, limits: ModelLimits
    ) -> GenerationPlan:
        plan = plan_request(request, limits)
        return await asyncio.to_thread(self.sources.attach, plan, request, upload, limits)

    async def _render(
        self, engine: Engine, plan: GenerationPlan, on_progress: OnProgress | None, owner: Owner
    ) -> Rendered:
        run = self._scheduler.submit(engine, plan, on_progress, owner=owner)
        rendered = asyncio.wrap_future(run.result)
        try:
            return await asyncio.shield(rendered)
        except asyncio.CancelledError:
            run.cancel()
            await asyncio.gather(
                rendered, return_exceptions=True
            )  # the lease must outlive the step the worker is in
            raise

    def _fits(self, count: int) -> None:
        """Raises QueueFull where there are not so many places now."""
        if self._requests + count > self._max_requests:
            raise QueueFull(
                f"there is no room for {count} parts now; try again later",
                retry_after=RETRY_AFTER_SECONDS,
            )

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


async def _together(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all works side by side and return their results, in order.

    The first failure ends the others and is raised as it is.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except BaseExceptionGroup as failures:  # who calls us waits for our own errors, not for a group
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


def _ignored_words(
    request: GenerationRequest, plan: GenerationPlan, engine: Engine
) -> tuple[str, ...]:
    """Return a warning that names the client's own words without effect, if there are any.

    The model is asked with all its words, which may leave less room; what a loop type adds is ours.
    """
    own = f"{request.prompt} {request.negative_prompt or ''}"
    ignored = engine.ignored_words(plan.words.prompt, plan.words.negative_prompt)
    words = [word for word in ignored if word in own]
    if not words:
        return ()
    return (
        f"the model does not know these words, or has no use or room for them: {', '.join(words)}",
    )


def _candidates(request: GenerationRequest) -> int:
    return request.candidates if isinstance(request, LoopRequest) else 1


def _with_seeds(plan: GenerationPlan, count: int) -> list[GenerationPlan]:
    """The plan with seed, seed + 1, …"""
    return [replace(plan, seed=(plan.seed + number) % (MAX_SEED + 1)) for number in range(count)]


def _groups(attempts: Sequence[Generation], size: int) -> list[Sequence[Generation]]:
    return [attempts[start : start + size] for start in range(0, len(attempts), size)]
