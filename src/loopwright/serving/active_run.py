"""A plan in flight, from its submission to its result.

Knows: how a plan is driven from one step to the next. Does not know: whose turn it is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from loopwright.audio.types import Audio
from loopwright.engine.base import Engine, Task
from loopwright.errors import Cancelled
from loopwright.planning.plan import GenerationPlan
from loopwright.serving.fairness import Owner
from loopwright.system.measurements import Stage, StageEnded, report

if TYPE_CHECKING:
    from torch import Tensor

    from loopwright.model.base import Row

TASKS_COST = 6
"""The cost of a run's tasks, in rows: about what conditioning and decoding a loop take.

One cost for all: how many tasks a run has shows only as they are done, and a request whose cost
grew then would fall behind equal ones that are not begun.
"""

log = structlog.get_logger()


@dataclass(frozen=True)
class Progress:
    """The progress of a run.

    Args:
        done: Denoiser evaluations done.
        total: Denoiser evaluations in all.
    """

    done: int
    total: int


@dataclass(frozen=True)
class Timings:
    """Where a run's time went, in seconds.

    Args:
        queued: From its submission to its first step.
        conditioning: In its conditioning tasks, encoding of a source included.
        denoising: In the forwards that evaluated its rows.
        decoding: In its decoding tasks.
    """

    queued: float = 0.0
    conditioning: float = 0.0
    denoising: float = 0.0
    decoding: float = 0.0


@dataclass(frozen=True)
class Rendered:
    """The result of a run.

    Args:
        audio: [2, plan.made_samples], as the model made it.
        timings: Where its time went.
    """

    audio: Audio
    timings: Timings


class ActiveRun:
    """A plan in flight: its steps, what it waits for, its cost and its result.

    Args:
        engine: What carries the plan out.
        plan: What is to be made.
        owner: The request that the run is part of.
        on_progress: Called at the first step and after each evaluation; must be quick.

    Attributes:
        result: The audio and timings, or the error that ended the run.
        pending: The rows to be evaluated next, or the task to be done next.
        is_begun: Whether it was ever served: it holds memory from then on.
        is_in_background: Whether another thread is doing its task.
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
        # a client that waits for the result may go away; only the worker decides how the run ends
        self.result.set_running_or_notify_cancel()
        self.pending: tuple[Row, ...] | Task = Task("conditioning", self._begin)
        self.is_begun = False
        self.is_in_background = False
        evaluations = engine.evaluations(plan)
        self._steps = engine.start(plan)
        self._rows_cost = evaluations * plan.rows_per_evaluation
        self._tasks_cost = TASKS_COST
        self._progress = Progress(0, evaluations)
        self._on_progress = on_progress
        self._submitted = time.perf_counter()
        self._timings = Timings()
        # when each stage began and ended, in seconds since 1970
        self._periods: dict[Stage, tuple[float, float]] = {}
        self._cancelled = threading.Event()
        # other threads serve it, and their lines in the log are to name its request as well
        self._log_fields = structlog.contextvars.get_contextvars()

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows to be evaluated next; empty where a task is pending."""
        return () if isinstance(self.pending, Task) else self.pending

    @property
    def is_decoding(self) -> bool:
        """Whether all its rows were evaluated."""
        return isinstance(self.pending, Task) and self.pending.stage == "decoding"

    @property
    def is_done(self) -> bool:
        """Whether it has ended: with audio, with an error, or cancelled."""
        return self.result.done()

    @property
    def is_cancelled(self) -> bool:
        """Whether it was cancelled; it ends at the next turn."""
        return self._cancelled.is_set()

    @property
    def remaining_cost(self) -> int:
        """What it will still take, in rows."""
        return self._rows_cost + self._tasks_cost

    def cancel(self) -> None:
        """Cancel the run; its place is free at the next turn. Does nothing when it is done."""
        self._cancelled.set()

    def pay_turn(self) -> int:
        """Deduct the next turn's cost from what remains, and return it, in rows."""
        # never below nothing: the tasks that a run has beyond TASKS_COST are free
        if self.rows:
            cost = min(len(self.rows), self._rows_cost)
            self._rows_cost -= cost
        else:
            cost = min(1, self._tasks_cost)
            self._tasks_cost -= cost
        return cost

    def run_task(self) -> None:
        """Do the pending task, and go on to the next step."""
        assert isinstance(self.pending, Task)
        began = time.perf_counter()
        try:
            answer = self.pending.do()
            self._add_seconds(self.pending.stage, time.perf_counter() - began)
            self._go_on(answer)
        except BaseException as error:  # whatever it is: a client waits for the result
            self.fail(error)

    def take_outputs(self, outputs: Sequence[Tensor], seconds: float) -> None:
        """Take the outputs of the pending rows, and go on to the next step.

        Args:
            outputs: One output [channels, frames] per row.
            seconds: How long their evaluation took.
        """
        self._add_seconds("denoising", seconds)
        self._progress = Progress(self._progress.done + 1, self._progress.total)
        try:
            self._report()
            self._go_on(outputs)
        except BaseException as error:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """End with an error. Does nothing when the run is done."""
        if self.is_done:
            return
        self._steps.close()
        if not isinstance(error, Cancelled):
            log.error("generation failed", error=repr(error), exc_info=error, **self._log_fields)
        self.result.set_exception(error)

    def _begin(self) -> object:
        """Take the first step, which is a task, and do it."""
        self._add_seconds("queued", time.perf_counter() - self._submitted)
        # at once, since not every run that begins comes to an end
        self._report_stage("queued")
        self._report()
        first = next(self._steps)
        assert isinstance(first, Task)
        return first.do()

    def _go_on(self, answer: object) -> None:
        """Send the steps the answer they wait for, and note the next step or the end."""
        try:
            self.pending = self._steps.send(answer)
        except StopIteration as end:
            for stage in self._periods:
                if stage != "queued":
                    self._report_stage(stage)
            self.result.set_result(Rendered(end.value, self._timings))

    def _report(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self._progress)

    def _add_seconds(self, stage: Stage, seconds: float) -> None:
        spent: float = getattr(self._timings, stage)
        self._timings = replace(self._timings, **{stage: spent + seconds})
        now = time.time()
        began, _ = self._periods.get(stage, (now - seconds, now))
        self._periods[stage] = (began, now)

    def _report_stage(self, stage: Stage) -> None:
        began, ended = self._periods[stage]
        seconds: float = getattr(self._timings, stage)
        report(StageEnded(stage, seconds, began, ended, self._log_fields))
