"""The whole way of a request, on one page: a validated request in, finished generations out.

Knows: which stage comes after which. Does not know: HTTP, the command line, tensors.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np

from loopwright.audio.types import Audio
from loopwright.engine.base import Engine, ModelInfo, ModelKey
from loopwright.errors import QueueFull
from loopwright.generation.loop_service import OnProgress, Prefer, Prompts, ServiceStatus
from loopwright.generation.models import Models, unused_finetune_fields
from loopwright.generation.postprocess import postprocess, score
from loopwright.generation.result import Generation, Redrawn
from loopwright.generation.sources import Sources, Upload
from loopwright.generation.take import Take, take_of
from loopwright.kinds.kind import Kind
from loopwright.kinds.request import GenerationRequest, ModelChoice
from loopwright.kinds.table import kind_of
from loopwright.library.riffs import Catalog, Riff
from loopwright.music.key import Key
from loopwright.planning.plan import MAX_SEED, GenerationPlan
from loopwright.planning.redraw import redrawn_plans
from loopwright.serving.fairness import Owner
from loopwright.serving.scheduler import Scheduler
from loopwright.system.measurements import report, stage_ended

RETRY_AFTER_SECONDS = 5

T = TypeVar("T")


@dataclass(frozen=True)
class _Asker:
    """Who asks, and who is told of the progress; the same for all runs of one request."""

    owner: Owner
    on_progress: OnProgress | None = None


class Service:
    """What makes audio of requests; the runner, the command line and the Python library call it.

    Args:
        models: The models there are.
        scheduler: Serves the runs.
        sources: Where source audio comes from.
        max_requests: Most requests that wait or are being made at once.
    """

    def __init__(
        self, models: Models, scheduler: Scheduler, sources: Sources, max_requests: int
    ) -> None:
        self.models = models
        self.sources = sources
        self._scheduler = scheduler
        self._max_requests = max_requests
        self._requests = 0
        # as many threads as may wait for a model at once
        self._threads = ThreadPoolExecutor(max_requests, "lease")

    async def generate(
        self,
        request: GenerationRequest,
        upload: Upload | None = None,
        warnings: Iterable[str] = (),
        on_progress: OnProgress | None = None,
        client: str = "",
    ) -> tuple[Generation, ...]:
        """Make what a request asks for.

        Cancelling it frees the worker.

        Args:
            request: A request of any kind.
            upload: Source audio that came with it.
            warnings: What the client should know already.
            on_progress: Called with the progress of every run, in another thread.
            client: Who asks; clients get equal shares of the worker's time.

        Returns:
            ``request.n`` takes; of a stack the mix, then its parts.

        Raises:
            LoopwrightError: Any of ``loopwright.errors``.
        """
        self.sources.check(request, upload)
        asker = _Asker(Owner(client), on_progress)
        if kind_of(request).parts is not None:
            return await self._generate_mix(request, warnings, asker)
        return await self._generate_takes(request, upload, warnings, asker)

    async def generate_one(
        self,
        request: GenerationRequest,
        upload: Upload | None = None,
        on_progress: OnProgress | None = None,
    ) -> Generation:
        """Make the first of what a request asks for."""
        return (await self.generate(request, upload, on_progress=on_progress))[0]

    async def _generate_takes(
        self,
        request: GenerationRequest,
        upload: Upload | None,
        warnings: Iterable[str],
        asker: _Asker,
    ) -> tuple[Generation, ...]:
        """Make ``request.n`` takes, each the best of its attempts."""
        began = time.perf_counter()
        if upload is None:
            upload = await self._earlier(request, asker)
        async with self._place(), self._lease(self.models.key_for(request)) as engine:
            plan = await self._plan(request.with_drawn_seed(), upload, engine, warnings)
            attempts_per_take = request.attempts_per_take
            numbers = range(request.n * attempts_per_take)
            seeds = [(plan.seed + number) % (MAX_SEED + 1) for number in numbers]
            plans = [replace(plan, seed=seed) for seed in seeds]
            kind = kind_of(request)
            made = await _together(self._attempt(engine, kind, plan, asker) for plan in plans)
        starts = range(0, len(made), attempts_per_take)
        groups = [made[start : start + attempts_per_take] for start in starts]
        takes = [max(group, key=lambda take: score(take.processed)) for group in groups]
        seconds, asked = time.perf_counter() - began, _sent_fields(request)
        return tuple(replace(take, generation_time=seconds, asked=asked) for take in takes)

    async def _earlier(self, request: GenerationRequest, asker: _Asker) -> Upload | None:
        """Make the earlier generation that a request names as its source, if it names one."""
        find_earlier = kind_of(request).earlier
        earlier = None if find_earlier is None else find_earlier(request)
        if earlier is None:
            return None
        # its progress would run to the end before that of the takes begins
        silent = replace(asker, on_progress=None)
        (source,) = await self._generate_takes(earlier, None, (), silent)
        return Upload(await asyncio.to_thread(source.encoded))

    async def _generate_mix(
        self, request: GenerationRequest, warnings: Iterable[str], asker: _Asker
    ) -> tuple[Generation, ...]:
        """Make all parts of a request and their mix; the mix comes first.

        All have the same length, tempo and first downbeat. The first part that fails ends the
        others.
        """
        request = request.with_drawn_seed()
        kind = kind_of(request)
        assert kind.parts is not None
        requests = kind.parts(request)
        if self._requests + len(requests) > self._max_requests:
            raise QueueFull(
                f"there is no room for {len(requests)} parts now; try again later",
                retry_after=RETRY_AFTER_SECONDS,
            )
        made = await _together(
            self._generate_takes(part, None, (), asker) for part in requests.values()
        )
        parts = [
            replace(take, kind=kind, part=name)
            for name, (take,) in zip(requests, made, strict=True)
        ]
        total: Audio = np.stack([part.audio for part in parts]).sum(0, dtype=np.float32)
        first = parts[0]
        of_parts = dict.fromkeys(warning for part in parts for warning in part.plan_warnings)
        plan = replace(
            first.plan,
            seed=request.seed,
            original_prompt=request.prompt,
            words=replace(first.plan.words, prompt=request.prompt),
            # the parts are joined and aligned already
            tail=0,
            output=replace(first.plan.output, align=False),
            warnings=(*warnings, *of_parts),
        )
        processed = await asyncio.to_thread(postprocess, total, plan, first.sample_rate)
        mix = replace(
            first,
            part="mix",
            plan=plan,
            processed=processed,
            redrawn=None,
            asked=_sent_fields(request),
        )
        return mix, *parts

    async def _attempt(
        self, engine: Engine, kind: Kind[Any], plan: GenerationPlan, asker: _Asker
    ) -> Generation:
        """Carry out a plan, again with other seeds where silence or noise comes of it.

        Where nothing else comes, the first counts.
        """
        first = await self._carry_out(engine, kind, plan, asker)
        if first.processed.is_music:
            return first
        attempts = 1
        for other_plan in redrawn_plans(plan):
            other = await self._carry_out(engine, kind, other_plan, asker)
            attempts += 1
            if other.processed.is_music:
                had_source = plan.is_style_transfer and plan.init_noise_level < 1
                return replace(other, redrawn=Redrawn(plan.seed, attempts, had_source))
        return first if attempts == 1 else replace(first, redrawn=Redrawn(plan.seed, attempts))

    async def _carry_out(
        self, engine: Engine, kind: Kind[Any], plan: GenerationPlan, asker: _Asker
    ) -> Generation:
        run = self._scheduler.submit(engine, plan, asker.on_progress, owner=asker.owner)
        result = asyncio.wrap_future(run.result)
        try:
            rendered = await asyncio.shield(result)
        except asyncio.CancelledError:
            run.cancel()
            # the lease must outlive the step that the worker is in
            await asyncio.gather(result, return_exceptions=True)
            raise
        began = time.perf_counter()
        sample_rate = engine.info.limits.sample_rate
        processed = await asyncio.to_thread(postprocess, rendered.audio, plan, sample_rate)
        post_seconds = time.perf_counter() - began
        report(stage_ended("post", post_seconds))
        return Generation(
            kind=kind,
            processed=processed,
            plan=plan,
            info=engine.info,
            timings=rendered.timings,
            post_seconds=post_seconds,
            created=int(time.time()),
            gpu_memory=engine.gpu_memory(),
        )

    async def takes(
        self,
        request: GenerationRequest,
        upload: Upload | None = None,
        warnings: Iterable[str] = (),
        on_progress: OnProgress | None = None,
        client: str = "",
    ) -> tuple[Take, ...]:
        """Make what a request asks for, as files; otherwise as ``generate``."""
        generations = await self.generate(request, upload, warnings, on_progress, client)
        return await asyncio.to_thread(lambda: tuple(take_of(one) for one in generations))

    async def model_info(self) -> ModelInfo:
        """Return what is known of the active model; waits until it is loaded."""
        async with self._lease(self.models.active) as engine:
            return engine.info

    async def switch_model(self, choice: ModelChoice) -> ModelInfo:
        """Load a model and make it the active one; the standard model, where none is named."""
        return await asyncio.to_thread(self.models.switch, choice)

    async def clear_models(self) -> int:
        """Unload every model that is not in use; return how many these were."""
        return await asyncio.to_thread(self.models.registry.clear)

    async def checkpoints(self, repo: str) -> list[str]:
        """List the checkpoints of a repository, at least one."""
        return await asyncio.to_thread(self.models.checkpoints, repo)

    async def prompts(
        self, repo: str | None, checkpoint: str | None, key: str | None, prefer: Prefer
    ) -> Prompts:
        """Return the prompts that a model suggests."""
        return await asyncio.to_thread(self.models.prompts, repo, checkpoint, key, prefer)

    async def riffs(self) -> Catalog:
        """List the riffs of the library."""
        return await asyncio.to_thread(self.sources.riffs.catalog)

    async def add_riff(
        self, data: bytes, filename: str, key: Key | None, bpm: Fraction | None, field: str
    ) -> tuple[Riff, tuple[str, ...]]:
        """Add audio to the library of riffs; return the riff, and warnings."""
        return await asyncio.to_thread(self.sources.riffs.add, data, filename, key, bpm, field)

    async def remove_riff(self, filename: str) -> None:
        """Delete a riff, and what was given or estimated for it."""
        await asyncio.to_thread(self.sources.riffs.remove, filename)

    def status(self) -> ServiceStatus:
        """Return the state of the models and of the queue. Never waits."""
        models = self.models
        return ServiceStatus(
            standard=models.standard,
            active=models.active,
            models=models.statuses(),
            max_models=models.registry.max_models,
            queue_depth=self._requests,
        )

    @property
    def queue_depth(self) -> int:
        """Requests that wait or are being made."""
        return self._requests

    def start(self) -> None:
        """Begin to load the standard model, in the background."""
        self.models.registry.preload(self.models.standard)

    def close(self) -> None:
        """Stop all work and unload the models."""
        self._scheduler.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.sources.workers.close()
        self.models.registry.close()

    async def _plan(
        self,
        request: GenerationRequest,
        upload: Upload | None,
        engine: Engine,
        warnings: Iterable[str],
    ) -> GenerationPlan:
        """Plan a request with its source; the warnings given come before the plan's own."""
        limits = engine.info.limits
        plan = kind_of(request).plan(request, limits)
        plan = await asyncio.to_thread(self.sources.attach, plan, request, upload, limits)
        unused = list(unused_finetune_fields(request))
        # the model is asked with all its words, which may leave less room for the client's own; the
        # client is told of these alone, since what a loop type adds is ours
        ignored = engine.ignored_words(plan.words.prompt, plan.words.negative_prompt)
        own = f"{request.prompt} {request.negative_prompt or ''}"
        words = ", ".join(word for word in ignored if word in own)
        if words:
            unused.append(
                f"the model does not know these words, or has no use or room for them: {words}"
            )
        return replace(plan, warnings=(*warnings, *unused, *plan.warnings))

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """Take a place among those who wait or are served. Raises QueueFull where there is none."""
        if self._requests >= self._max_requests:
            raise QueueFull(
                f"{self._requests} requests are waiting or being made, which is the most; "
                "try again later",
                retry_after=RETRY_AFTER_SECONDS,
            )
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1

    @asynccontextmanager
    async def _lease(self, key: ModelKey) -> AsyncIterator[Engine]:
        """Lease a model. In a thread and by hand, since entering may wait for the model to load."""
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
    except BaseExceptionGroup as failures:  # callers expect our own errors, not a group of them
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


def _sent_fields(request: GenerationRequest) -> dict[str, Any]:
    return request.model_dump(mode="json", exclude_none=True)
