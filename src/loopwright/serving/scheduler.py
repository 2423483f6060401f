"""One worker that carries out plans, step by step, many at once.

Knows: threads, and what is done in a turn. Does not know: requests, HTTP, how a step is computed;
``turns`` says who is served.
Runs are driven from here: a run says which rows it wants evaluated, or which work of its own is to
be done, and goes on with the result. Those whose turn it is together are evaluated in one forward,
whatever their step, sampler or guidance. New runs join, and cancelled ones leave, between any two
turns.
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


class Scheduler:
    """All runs, and the one thread that serves them. The service bounds how many are let in."""

    def __init__(self) -> None:
        self._turns = Turns()
        self._changed = threading.Condition()
        self._closing = False
        self._beside = ThreadPoolExecutor(1, "beside")
        self._thread = threading.Thread(target=self._work, name="generation", daemon=True)
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
        """Take in a plan.

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
        """Stop at the next step; what is unfinished is cancelled."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        self._beside.shutdown()
        for run in self._turns:
            run.fail(Cancelled("the server stopped before the request was done"))

    def _work(self) -> None:
        while served := self._next_turn():
            if served[0].rows:
                evaluate(served)
            elif served[0].engine.batching.overlaps:
                served[0].is_beside = True
                self._beside.submit(self._work_beside, served[0])
            else:
                served[0].work()

    def _next_turn(self) -> list[ActiveRun]:
        """Wait until there is someone to serve. Nobody: stop."""
        with self._changed:
            while not self._closing:
                if served := self._turns.next():
                    return served
                self._changed.wait()
            return []

    def _work_beside(self, run: ActiveRun) -> None:
        run.work()
        with self._changed:
            run.is_beside = False
            self._changed.notify()


def evaluate(batch: Sequence[ActiveRun]) -> None:
    """Evaluate all rows of a batch in one forward.

    Where that fails, each run gets a forward of its own, so that only the culprit is harmed.
    """
    began = time.perf_counter()
    try:
        outputs = iter(batch[0].engine.forward([row for run in batch for row in run.rows]))
    except Exception as error:
        if len(batch) == 1:
            batch[0].fail(error)
            return
        for run in batch:
            evaluate([run])
        return
    shares = [list(itertools.islice(outputs, len(run.rows))) for run in batch]
    seconds = time.perf_counter() - began
    for run, share in zip(batch, shares, strict=True):
        run.take(share, seconds)
