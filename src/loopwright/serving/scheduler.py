"""One worker that carries out plans, step by step, many at once.

Knows: plans, engines, whose turn it is. Does not know: requests, HTTP, how a step is computed.
Runs are driven from here: a run says which rows it wants evaluated, or which work of its own is to be done, and goes on with
the result. They take turns, so a short request does not wait behind a long one. When it is the turn of one that wants rows,
others of the same model that want rows too are evaluated in the same forward, whatever their step, sampler or guidance, as far
as the engine says that it pays. New runs join, and cancelled ones leave, between any two turns.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from loopwright.engine.base import Audio, Engine, Steps, Work
from loopwright.errors import Cancelled
from loopwright.plan import GenerationPlan

if TYPE_CHECKING:
    from torch import Tensor

    from loopwright.model.base import Row

MAX_RUNNING = 4
"""Runs that take turns at once, where the engine cannot evaluate more together: more would only make each of them later."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Progress:
    """Denoiser evaluations done, and how many there will be."""

    done: int
    total: int


@dataclass(frozen=True)
class Timings:
    """Seconds a run spent: waiting in the queue, being conditioned, denoised (its own steps only), decoded."""

    queued: float = 0.0
    conditioning: float = 0.0
    denoising: float = 0.0
    decoding: float = 0.0

    @property
    def working(self) -> float:
        """Seconds of the worker's time this run took."""
        return self.conditioning + self.denoising + self.decoding


@dataclass(frozen=True)
class Rendered:
    """What the worker gives back. audio: [2, plan.samples], as the model made it."""

    audio: Audio
    timings: Timings


class Job:
    """A plan on its way through the worker."""

    def __init__(self, engine: Engine, plan: GenerationPlan, on_progress: Callable[[Progress], None] | None) -> None:
        self.engine = engine
        self.plan = plan
        self.result: Future[Rendered] = Future()
        self.result.set_running_or_notify_cancel()  # whoever waits may go away; the worker alone decides how it ends
        self._on_progress = on_progress
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Give the job up; its place is free at its next step. Harmless when it is done."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """Whether the job was given up."""
        return self._cancelled.is_set()

    def report(self, progress: Progress) -> None:
        """Tell whoever asked how far the job is."""
        if self._on_progress is not None:
            self._on_progress(progress)


class _Active:
    """A job being worked on: its run, what it wants next, and the clock.

    wants: rows to be evaluated, or work of its own to be done. is_beside: another thread is doing that work.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.is_beside = False
        self.wants: tuple[Row, ...] | Work = Work("conditioning", self._begin)
        self._steps: Steps | None = None
        self._progress = Progress(0, 0)
        self._submitted = time.perf_counter()
        self._timings = Timings()

    @property
    def rows(self) -> tuple[Row, ...]:
        """What is to be evaluated; nothing, where work is to be done."""
        return () if isinstance(self.wants, Work) else self.wants

    @property
    def is_done(self) -> bool:
        """Whether the job has ended, one way or another."""
        return self.job.result.done()

    def work(self, work: Work) -> None:
        """Do the run's own work and go on to what it wants next."""
        began = time.perf_counter()
        try:
            answer = work.do()
            self._spend(work.stage, time.perf_counter() - began)
            self._go_on(answer)
        except BaseException as error:
            self.fail(error)

    def evaluated(self, outputs: Sequence[Tensor], seconds: float) -> None:
        """Take the outputs of the rows that were wanted, evaluated in so many seconds, and go on."""
        self._spend("denoising", seconds)
        self._progress = Progress(self._progress.done + 1, self._progress.total)
        try:
            self.job.report(self._progress)
            self._go_on(outputs)
        except BaseException as error:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """End the job with an error."""
        if self.is_done:
            return
        if self._steps is not None:
            self._steps.close()
        if not isinstance(error, Cancelled):
            log.error("generation failed", error=repr(error), exc_info=error)
        self.job.result.set_exception(error)

    def _begin(self) -> None:
        """The first thing a run does; it is sent to its steps as they are begun."""
        run = self.job.engine.start(self.job.plan)
        self._timings = Timings(queued=time.perf_counter() - self._submitted)
        self._progress = Progress(0, run.evaluations)
        self._steps = run.steps
        self.job.report(self._progress)

    def _go_on(self, answer: object) -> None:
        assert self._steps is not None
        try:
            self.wants = self._steps.send(answer)
        except StopIteration as end:
            self.job.result.set_result(Rendered(end.value, self._timings))

    def _spend(self, stage: str, seconds: float) -> None:
        spent: float = getattr(self._timings, stage)
        self._timings = replace(self._timings, **{stage: spent + seconds})


class Scheduler:
    """A queue and the one thread that empties it. The service bounds how many are let in."""

    def __init__(self) -> None:
        self._waiting: deque[_Active] = deque()
        self._running: deque[_Active] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._beside = ThreadPoolExecutor(1, "beside")
        self._thread = threading.Thread(target=self._work, name="generation", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """Jobs waiting or running."""
        return len(self._waiting) + len(self._running)

    def submit(
        self, engine: Engine, plan: GenerationPlan, on_progress: Callable[[Progress], None] | None = None
    ) -> Job:
        """Queue a plan. ``on_progress`` is called from the worker's threads and must be quick."""
        job = Job(engine, plan, on_progress)
        with self._changed:
            if self._closing:
                raise Cancelled("the server is stopping")
            self._waiting.append(_Active(job))
            self._changed.notify()
        return job

    def close(self) -> None:
        """Stop at the next step; what is unfinished is cancelled."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        self._beside.shutdown()
        for active in itertools.chain(self._running, self._waiting):
            active.fail(Cancelled("the server stopped before the request was done"))

    def _work(self) -> None:
        while (turn := self._next_turn()) is not None:
            if isinstance(turn[0].wants, Work):
                self._work_of(turn[0], turn[0].wants)
            else:
                self._evaluate(turn)

    def _next_turn(self) -> list[_Active] | None:
        """Who is served now: the run whose turn it is, and with rows, those of its model that fit beside it. None: stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._admit())
            if self._closing:
                return None
            first, *others = (active for active in self._running if not active.is_beside)
            served = [first, *_company(first, others)]
            for active in served:
                self._running.remove(active)
                self._running.append(active)
            return served

    def _admit(self) -> bool:
        """Let out who is done or was given up, and in who waits, as far as there is room. Is there anyone to serve?"""
        self._waiting, self._running = (_going_on(some) for some in (self._waiting, self._running))
        while self._waiting and len(self._running) < max(MAX_RUNNING, self._waiting[0].job.engine.batching.rows):
            self._running.append(self._waiting.popleft())
        return any(not active.is_beside for active in self._running)

    def _work_of(self, active: _Active, work: Work) -> None:
        """A piece of a run's own work: beside the others' evaluations where the engine can do both, else now."""
        if not active.job.engine.batching.overlaps:
            active.work(work)
            return
        active.is_beside = True
        self._beside.submit(self._beside_the_others, active, work)

    def _beside_the_others(self, active: _Active, work: Work) -> None:
        active.work(work)
        with self._changed:
            active.is_beside = False
            self._changed.notify()

    def _evaluate(self, served: Sequence[_Active]) -> None:
        """One forward for all of them. Where it fails, each gets one of its own, so that only the culprit is harmed."""
        began = time.perf_counter()
        try:
            outputs = iter(served[0].job.engine.forward([row for active in served for row in active.rows]))
        except Exception as error:
            if len(served) == 1:
                served[0].fail(error)
                return
            for active in served:
                self._evaluate([active])
            return
        shares = [list(itertools.islice(outputs, len(active.rows))) for active in served]
        seconds = time.perf_counter() - began
        for active, share in zip(served, shares, strict=True):
            active.evaluated(share, seconds)


def _going_on(some: Iterable[_Active]) -> deque[_Active]:
    """Those who have not ended. Who was given up ends now, unless another thread is at it."""
    for active in some:
        if active.job.cancelled and not active.is_beside:
            active.fail(Cancelled("the request was cancelled"))
    return deque(active for active in some if not active.is_done)


def _company(first: _Active, others: Sequence[_Active]) -> Iterator[_Active]:
    """Those whose rows fit into one forward with those of the first, in their order."""
    engine = first.job.engine
    room = engine.batching.rows - len(first.rows)
    for active in others if first.rows else ():
        if active.job.engine is engine and 0 < len(active.rows) <= room:
            room -= len(active.rows)
            yield active
