"""The worker without threads: turns are taken one by one, and time is counted in rows."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

from loopwright.kinds.loop import LoopRequest, plan_loop
from loopwright.planning.plan import GenerationPlan
from loopwright.serving.active_run import ActiveRun
from loopwright.serving.fairness import Owner
from loopwright.serving.scheduler import evaluate
from loopwright.serving.turns import Turns
from tests.fakes import LIMITS, FakeEngine

BACKGROUND_TURNS = 3
"""Turns that a piece of work takes in the background."""


@functools.cache
def plan(steps: int, cfg_scale: float = 1) -> GenerationPlan:
    fields = {
        "prompt": "drums 140bpm",
        "seed": 7,
        "bars": 1,
        "steps": steps,
        "cfg_scale": cfg_scale,
    }
    return plan_loop(LoopRequest.parse(fields)[0], LIMITS)


@dataclass
class Asked:
    """A request: its runs, when it was made, when a turn served it first, and when it ended."""

    runs: list[ActiveRun]
    at: int
    began: int | None = None
    ended: int | None = None

    @property
    def seconds(self) -> int:
        """Rows from when it was asked for until its end."""
        assert self.ended is not None
        return self.ended - self.at


@dataclass
class Simulated:
    """clock: rows evaluated; a piece of own work counts as one. batches: runs of each forward."""

    engine: FakeEngine = field(default_factory=FakeEngine)
    turns: Turns = field(default_factory=Turns)
    clock: int = 0
    batches: list[list[ActiveRun]] = field(default_factory=list)
    most_begun: int = 0
    asked: list[Asked] = field(default_factory=list)
    _background: tuple[ActiveRun, int] | None = None

    def ask(
        self,
        client: str,
        steps: int,
        n: int = 1,
        *,
        cfg_scale: float = 1,
        engine: FakeEngine | None = None,
    ) -> Asked:
        owner = Owner(client)
        made = [ActiveRun(engine or self.engine, plan(steps, cfg_scale), owner) for _ in range(n)]
        for run in made:
            self.turns.add(run)
        self.asked.append(Asked(made, self.clock))
        return self.asked[-1]

    def turn(self) -> list[ActiveRun]:
        """Take one turn; who was served. Nobody: all is done, or done in the background."""
        served = self.turns.next()
        self.clock += sum(len(run.rows) for run in served) or 1
        if served and served[0].rows:
            self.batches.append(served)
            evaluate(served)
        elif served and served[0].engine.batching.overlaps:
            assert self._background is None, "one piece of work at a time is done in the background"
            served[0].is_in_background = True
            self._background = served[0], BACKGROUND_TURNS
        elif served:
            served[0].run_task()
        self._go_on_in_background()
        self._note(served)
        return served

    def until(self, *asked: Asked) -> None:
        """Take turns until these have ended."""
        while any(one.ended is None for one in asked):
            assert self.turn() or self._background, "nobody was served though not all have ended"

    def _go_on_in_background(self) -> None:
        if self._background is None:
            return
        run, left = self._background
        self._background = (run, left - 1) if left else None
        if not left:
            run.run_task()
            run.is_in_background = False

    def _note(self, served: list[ActiveRun]) -> None:
        begun = sum(run.is_begun and not run.is_done for run in self.turns)
        self.most_begun = max(self.most_begun, begun)
        for one in self.asked:
            if one.began is None and any(run in one.runs for run in served):
                one.began = self.clock
            if one.ended is None and all(run.is_done for run in one.runs):
                one.ended = self.clock
