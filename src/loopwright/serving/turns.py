"""Which runs are served in the next turn, of all that are unfinished.

Knows: the order of requests (``fairness``), what runs wait for, what fits into one forward. Does
not know: threads, how anything is computed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from loopwright.errors import Cancelled
from loopwright.serving.active_run import ActiveRun
from loopwright.serving.fairness import FairShares, Owner

MAX_JOINING_RUNS = 2
"""Runs of one request in a forward that another request leads: more would make its steps slow."""


class Turns:
    """All unfinished runs, and the order in which they are served. Not safe from several threads.

    A run begins when it is the first in order, or when there is room for it in the forwards of its
    engine. So the runs that are begun, which hold memory, are at most one per request and as many
    as go into a forward, and one more of both with engines whose tasks overlap with forwards.
    """

    def __init__(self) -> None:
        self._runs: dict[Owner, list[ActiveRun]] = {}
        self._shares = FairShares()
        self._last_was_task = False

    def __iter__(self) -> Iterator[ActiveRun]:
        return (run for runs in self._runs.values() for run in runs)

    def __len__(self) -> int:
        return sum(map(len, self._runs.values()))

    def add(self, run: ActiveRun) -> None:
        """Add a new run."""
        self._runs.setdefault(run.owner, []).append(run)
        self._shares.add_run(run.owner, run.remaining_cost)

    def next(self) -> list[ActiveRun]:
        """Return the runs that are served now, and charge their requests for it.

        Returns:
            Either one run whose task is to be done, or runs of one engine whose rows are to be
            evaluated together. Empty if there are no runs, or all wait for tasks in the background.
        """
        for run in list(self):
            # a cancelled run ends now, unless another thread is at work on it
            if run.is_cancelled and not run.is_in_background:
                run.fail(Cancelled("the request was cancelled"))
            if run.is_done:
                self._runs[run.owner].remove(run)
                self._shares.end_run(run.owner, run.remaining_cost)
        self._runs = {owner: runs for owner, runs in self._runs.items() if runs}
        in_order = [run for owner in self._shares.order() for run in self._runs[owner]]
        batch = _fill_batch(in_order)
        task_run = _first_with_task(in_order)
        if task_run is not None and (not batch or self._task_goes_first(task_run, batch, in_order)):
            served, self._last_was_task = [task_run], True
        else:
            served, self._last_was_task = batch, False
        if served:
            costs = Counter[Owner]()
            for run in served:
                run.is_begun = True
                costs[run.owner] += run.pay_turn()
            self._shares.charge(costs)
        return served

    def _task_goes_first(
        self, task_run: ActiveRun, batch: Sequence[ActiveRun], in_order: Sequence[ActiveRun]
    ) -> bool:
        """Return whether a run's task is done before the rows of a batch are evaluated.

        A task that is done in the background takes no turn. Of the runs behind the batch's leader,
        only one that could join it is worth a turn, and only every other turn, so that the leader
        does not wait for all of them.
        """
        leader = batch[0]
        is_ahead = in_order.index(task_run) < in_order.index(leader)
        if task_run.engine.batching.overlaps or is_ahead:
            return True
        rows = sum(len(run.rows) for run in batch)
        has_room = rows < leader.engine.batching.max_batch_size
        could_join = task_run.engine is leader.engine and has_room and not task_run.is_decoding
        return could_join and not self._last_was_task


def _first_with_task(in_order: Sequence[ActiveRun]) -> ActiveRun | None:
    """Return the first run that has a task pending and may begin, if it is not begun."""
    runs = [run for run in in_order if not run.is_in_background]
    is_background_busy = len(runs) < len(in_order)
    # runs that hold a place in their engine's forwards, by engine
    holding = [run for run in in_order if run.is_begun and not run.is_decoding]
    held = Counter(id(run.engine) for run in holding)
    for run in runs:
        batching = run.engine.batching
        if run.rows or (batching.overlaps and is_background_busy):
            continue
        # one more where tasks overlap, so that the next run is ready when one goes to be decoded
        places = batching.max_batch_size + batching.overlaps
        if run.is_begun or run is runs[0] or held[id(run.engine)] < places:
            return run
    return None


def _fill_batch(in_order: Sequence[ActiveRun]) -> list[ActiveRun]:
    """Return the first run with rows pending, and those whose rows fit into one forward with it."""
    runs = [run for run in in_order if not run.is_in_background and run.rows]
    if not runs:
        return []
    leader, *others = runs
    batch = [leader]
    joining = Counter[Owner]()
    room = leader.engine.batching.max_batch_size - len(leader.rows)
    for run in others:
        fits = run.engine is leader.engine and len(run.rows) <= room
        may_join = run.owner == leader.owner or joining[run.owner] < MAX_JOINING_RUNS
        if fits and may_join:
            batch.append(run)
            joining[run.owner] += 1
            room -= len(run.rows)
    return batch
