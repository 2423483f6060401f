"""One worker that carries out plans, step by step.

Knows: plans, engines, whose turn it is. Does not know: requests, HTTP, how a step is computed.
Samplers are driven from here: a run says which rows it wants evaluated, the engine evaluates them, the run goes on.
Runs take turns a step each, so a short request does not wait behind a long one, and each is evaluated by itself, so its
audio is the same to the bit whatever else is running.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import structlog

from loopwright.engine.base import Audio, Engine, Run
from loopwright.errors import Cancelled
from loopwright.plan import GenerationPlan

if TYPE_CHECKING:
    from loopwright.model.base import Row

MAX_RUNNING = 4
"""Runs that take turns at once; more would only make each of them later."""

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


@dataclass
class _Active:
    """A job being worked on: its run, the rows it wants next, and the clock."""

    job: Job
    submitted: float = field(default_factory=time.perf_counter)
    run: Run | None = None
    rows: tuple[Row, ...] = ()
    done: int = 0
    timings: Timings = Timings()


class Scheduler:
    """A queue and the one thread that empties it. The service bounds how many are let in."""

    def __init__(self) -> None:
        self._waiting: deque[_Active] = deque()
        self._running: deque[_Active] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="generation", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """Jobs waiting or running."""
        return len(self._waiting) + len(self._running)

    def submit(
        self, engine: Engine, plan: GenerationPlan, on_progress: Callable[[Progress], None] | None = None
    ) -> Job:
        """Queue a plan. ``on_progress`` is called from the worker's thread and must be quick."""
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

    def _work(self) -> None:
        while self._admit():
            active = self._running[0]
            unfinished = self._advance(active)
            with self._changed:
                self._running.rotate(-1) if unfinished else self._running.popleft()
        for active in itertools.chain(self._running, self._waiting):
            active.job.result.set_exception(Cancelled("the server stopped before the request was done"))

    def _admit(self) -> bool:
        """Fill the running places, waiting for work if there is none. False: it is time to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._waiting or self._running)
            while self._waiting and len(self._running) < MAX_RUNNING:
                self._running.append(self._waiting.popleft())
            return not self._closing

    def _advance(self, active: _Active) -> bool:
        """One step of a job. True while there is more to do; a failure is the job's alone."""
        try:
            if active.job.cancelled:
                raise Cancelled("the request was cancelled")
            return self._start(active) if active.run is None else self._step(active, active.run)
        except BaseException as error:
            _give_up(active, error)
            return False

    def _start(self, active: _Active) -> bool:
        began = time.perf_counter()
        active.run = active.job.engine.start(active.job.plan)
        active.rows = next(active.run.denoising)
        active.job.report(Progress(0, active.run.evaluations))
        active.timings = Timings(queued=began - active.submitted, conditioning=time.perf_counter() - began)
        return True

    def _step(self, active: _Active, run: Run) -> bool:
        began = time.perf_counter()
        outputs = active.job.engine.forward(active.rows)
        try:
            active.rows = run.denoising.send(outputs)
        except StopIteration as end:
            latents = end.value
        else:
            latents = None
        active.done += 1
        active.job.report(Progress(active.done, run.evaluations))
        ended = time.perf_counter()
        active.timings = replace(active.timings, denoising=active.timings.denoising + ended - began)
        if latents is None:
            return True
        audio = active.job.engine.finish(run, latents)
        timings = replace(active.timings, decoding=time.perf_counter() - ended)
        active.job.result.set_result(Rendered(audio, timings))
        return False


def _give_up(active: _Active, error: BaseException) -> None:
    if active.run is not None:
        active.run.denoising.close()
    if not isinstance(error, Cancelled):
        log.error("generation failed", error=repr(error), exc_info=error)
    active.job.result.set_exception(error)
