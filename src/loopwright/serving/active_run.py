"""A run in flight, and what comes of it.

Knows: how a run is driven from one thing it wants to the next. Does not know: whose turn it is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from loopwright.engine.base import Audio, Engine, Task
from loopwright.errors import Cancelled
from loopwright.planning.plan import GenerationPlan
from loopwright.serving.fairness import Owner

if TYPE_CHECKING:
    from torch import Tensor

    from loopwright.model.base import Row

OWN_WORK_COST = 6
"""What a run's own work counts for, in rows: about what conditioning and decoding a loop take.

One price for all: how many pieces it is made of shows only as they are done, and a request whose
cost grew then would fall behind equal ones that are not begun.
"""

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


class ActiveRun:
    """A plan on its way through the worker.

    Args:
        engine: What carries it out.
        plan: What is to be made.
        owner: The request it is part of.
        on_progress: Called at the beginning and after each evaluation; must be quick.

    Attributes:
        result: What comes of it.
        pending: Rows to be evaluated, or work of its own to be done.
        is_begun: Whether it was ever served: it holds memory from then on.
        is_beside: Whether another thread is doing its work.
    """

    def __init__(
        self,
        engine: Engine,
        plan: GenerationPlan,
        owner: Owner,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.engine = engine
        self.owner = owner
        self.result: Future[Rendered] = Future()
        # whoever waits may go away; the worker alone decides how it ends
        self.result.set_running_or_notify_cancel()
        self.pending: tuple[Row, ...] | Task = Task("conditioning", self._begin)
        self.is_begun = False
        self.is_beside = False
        run = engine.start(plan)
        self._steps = run.steps
        self._unpaid_rows, self._unpaid_work = run.rows, OWN_WORK_COST
        self._progress = Progress(0, run.evaluations)
        self._on_progress = on_progress
        self._submitted = time.perf_counter()
        self._timings = Timings()
        self._cancelled = threading.Event()

    @property
    def rows(self) -> tuple[Row, ...]:
        """What is to be evaluated; nothing, where work is to be done."""
        return () if isinstance(self.pending, Task) else self.pending

    @property
    def is_decoding(self) -> bool:
        """Whether all its rows were evaluated."""
        return isinstance(self.pending, Task) and self.pending.stage == "decoding"

    @property
    def is_done(self) -> bool:
        """Whether it has ended, one way or another."""
        return self.result.done()

    @property
    def is_cancelled(self) -> bool:
        """Whether it was given up."""
        return self._cancelled.is_set()

    @property
    def unpaid(self) -> int:
        """What of its cost is not paid yet, in rows."""
        return self._unpaid_rows + self._unpaid_work

    def cancel(self) -> None:
        """Give the run up; its place is free at the next turn. Harmless when it is done."""
        self._cancelled.set()

    def pay(self) -> int:
        """Take the price of its next turn off its cost, and return it, in rows."""
        if self.rows:
            price = min(len(self.rows), self._unpaid_rows)
            self._unpaid_rows -= price
        else:
            price = min(1, self._unpaid_work)
            self._unpaid_work -= price
        return price

    def work(self) -> None:
        """Do the work of its own that is pending, and go on to what it wants next."""
        assert isinstance(self.pending, Task)
        began = time.perf_counter()
        try:
            answer = self.pending.do()
            self._spend(self.pending.stage, time.perf_counter() - began)
            self._go_on(answer)
        except BaseException as error:
            self.fail(error)

    def take(self, outputs: Sequence[Tensor], seconds: float) -> None:
        """Take the outputs of the rows that were pending, evaluated in so many seconds, and go on."""
        self._spend("denoising", seconds)
        self._progress = Progress(self._progress.done + 1, self._progress.total)
        try:
            self._report()
            self._go_on(outputs)
        except BaseException as error:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """End with an error."""
        if self.is_done:
            return
        self._steps.close()
        if not isinstance(error, Cancelled):
            log.error("generation failed", error=repr(error), exc_info=error)
        self.result.set_exception(error)

    def _begin(self) -> object:
        """Go to the run's first step, which is work of its own, do that, and return what it gave."""
        self._timings = Timings(queued=time.perf_counter() - self._submitted)
        self._report()
        first = next(self._steps)
        assert isinstance(first, Task)
        return first.do()

    def _go_on(self, answer: object) -> None:
        try:
            self.pending = self._steps.send(answer)
        except StopIteration as end:
            self.result.set_result(Rendered(end.value, self._timings))

    def _report(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self._progress)

    def _spend(self, stage: str, seconds: float) -> None:
        spent: float = getattr(self._timings, stage)
        self._timings = replace(self._timings, **{stage: spent + seconds})
