"""One worker thread that carries out many plans at once, step by step.

Knows: threads, and what is done in a turn. Does not know: requests, HTTP, how a step is computed;
``turns`` says which runs are served.
Runs are driven from here: a run says which rows it needs evaluated, or which task is to be done,
and goes on with the result. The rows of all runs of a turn are evaluated in one forward, whatever
their step, sampler or cfg_scale. New runs join, and cancelled ones leave, between any two turns.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from loopwright.engine.base import Engine
from loopwright.errors import Cancelled
from loopwright.planning.plan import GenerationPlan
from loopwright.serving.active_run import ActiveRun, Progress
from loopwright.serving.fairness import Owner
from loopwright.serving.turns import Turns
from loopwright.system.measurements import Evaluated, report


class Scheduler:
    """All active runs, and the worker thread that serves them.

    The number of runs is not limited here: the service limits how many requests it accepts.
    """

    def __init__(self) -> None:
        self._turns = Turns()
        self._changed = threading.Condition()
        self._closing = False
        self._background = ThreadPoolExecutor(1, "background")
        self._thread = threading.Thread(target=self._serve, name="generation", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """Runs waiting or being served."""
        with self._changed:
            return len(self._turns)

    def submit(
        self,
        engine: Engine,
        plan: GenerationPlan,
        on_progress: Callable[[Progress], None] | None = None,
        *,
        owner: Owner | None = None,
    ) -> ActiveRun:
        """Add a plan to the runs that are served.

        Args:
            engine: What carries it out.
            plan: What is to be made.
            on_progress: Called from the worker's threads; must be quick.
            owner: The request it is part of; None: a request of its own.

        Raises:
            Cancelled: The scheduler is closed.
        """
        run = ActiveRun(engine, plan, owner or Owner(), on_progress)
        with self._changed:
            if self._closing:
                raise Cancelled("the server is stopping")
            self._turns.add(run)
            self._changed.notify()
        return run

    def close(self) -> None:
        """Stop after the turn that is being served, and cancel all runs that are unfinished."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        self._background.shutdown()
        for run in self._turns:
            run.fail(Cancelled("the server stopped before the request was done"))

    def _serve(self) -> None:
        """Serve turn after turn until the scheduler is closed."""
        while True:
            with self._changed:
                # a turn may be empty while a task is done in the background, whose end notifies
                while not self._closing and not (served := self._turns.next()):
                    self._changed.wait()
                if self._closing:
                    return
            if served[0].rows:
                evaluate(served)
            elif served[0].engine.batching.overlaps:
                served[0].is_in_background = True
                self._background.submit(self._run_in_background, served[0])
            else:
                served[0].run_task()

    def _run_in_background(self, run: ActiveRun) -> None:
        run.run_task()
        with self._changed:
            run.is_in_background = False
            self._changed.notify()


def evaluate(batch: Sequence[ActiveRun]) -> None:
    """Evaluate the pending rows of all runs of a batch in one forward.

    Where that fails, each run gets a forward of its own, so that only the run at fault fails.
    """
    began = time.perf_counter()
    try:
        rows = [row for run in batch for row in run.rows]
        outputs = iter(batch[0].engine.forward(rows))
    except Exception as error:
        if len(batch) == 1:
            batch[0].fail(error)
            return
        for run in batch:
            evaluate([run])
        return
    # split before any run goes on: its rows are those of its next step then
    outputs_by_run = [list(itertools.islice(outputs, len(run.rows))) for run in batch]
    seconds = time.perf_counter() - began
    report(Evaluated(len(rows)))
    for run, own_outputs in zip(batch, outputs_by_run, strict=True):
        run.take_outputs(own_outputs, seconds)
