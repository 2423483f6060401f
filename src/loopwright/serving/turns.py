"""Who is served in the next turn, of all runs that are unfinished.

Knows: the order of requests (``fairness``), what runs want, what fits into one forward. Does not
know: threads, how anything is computed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from loopwright.errors import Cancelled
from loopwright.serving.active_run import ActiveRun
from loopwright.serving.fairness import FairShares, Owner

MAX_PLACES = 2
"""Runs of one request in a forward that another request leads: more would make its steps slow."""


class Turns:
    """All unfinished runs. Not for several threads at once.

    A run begins when it is the first in order, or when there is room for it in the forwards of its
    engine. So those that are begun, which hold memory, are at most one of each request and as many
    as go into a forward, and with engines that do work beside one more of both.
    """

    def __init__(self) -> None:
        self._runs: dict[Owner, list[ActiveRun]] = {}
        self._shares = FairShares()
        self._worked_last = False

    def __iter__(self) -> Iterator[ActiveRun]:
        return (run for runs in self._runs.values() for run in runs)

    def __len__(self) -> int:
        return sum(map(len, self._runs.values()))

    def add(self, run: ActiveRun) -> None:
        """Take in a new run."""
        self._runs.setdefault(run.owner, []).append(run)
        self._shares.add_run(run.owner, run.unpaid)

    def next(self) -> list[ActiveRun]:
        """Return who is served now, and charge them for it.

        Either one run whose own work is to be done, or runs of one engine whose rows are to be
        evaluated together. Nobody, if there are no runs, or all wait for work that is done beside.
        """
        self._let_out()
        served = self._choose()
        if served:
            prices = Counter[Owner]()
            for run in served:
                run.is_begun = True
                prices[run.owner] += run.pay()
            self._shares.charge(prices)
        return served

    def _let_out(self) -> None:
        """Let out who has ended. Who was given up ends now, unless another thread is at it."""
        for run in list(self):
            if run.is_cancelled and not run.is_beside:
                run.fail(Cancelled("the request was cancelled"))
            if run.is_done:
                self._runs[run.owner].remove(run)
                self._shares.end_run(run.owner, run.unpaid)
        self._runs = {owner: runs for owner, runs in self._runs.items() if runs}

    def _choose(self) -> list[ActiveRun]:
        order = [run for owner in self._shares.order() for run in self._runs[owner]]
        runs = [run for run in order if not run.is_beside]
        batch, worker = _fill_batch(runs), _first_worker(order)
        if worker is not None and (not batch or self._works_first(worker, batch, runs)):
            self._worked_last = True
            return [worker]
        self._worked_last = False
        return batch

    def _works_first(
        self, worker: ActiveRun, batch: Sequence[ActiveRun], runs: Sequence[ActiveRun]
    ) -> bool:
        """Return whether a run's own work comes before the rows of a batch.

        Work that is done beside takes no turn. Of the runs behind the batch's leader, only one that
        could go with it is worth a turn, and only every other turn, so that the leader does not
        wait for all of them.
        """
        engine = batch[0].engine
        if worker.engine.batching.overlaps or runs.index(worker) < runs.index(batch[0]):
            return True
        has_room = sum(len(run.rows) for run in batch) < engine.batching.rows
        could_join = worker.engine is engine and has_room and not worker.is_decoding
        return could_join and not self._worked_last


def _first_worker(order: Sequence[ActiveRun]) -> ActiveRun | None:
    """Return the first run that wants work of its own done and has a place."""
    runs = [run for run in order if not run.is_beside]
    is_busy_beside = len(runs) < len(order)
    held = Counter(id(run.engine) for run in order if run.is_begun and not run.is_decoding)
    for run in runs:
        batching = run.engine.batching
        if run.rows or (batching.overlaps and is_busy_beside):
            continue
        # one more where work is done beside, so that the next is ready when one goes to be decoded
        places = batching.rows + batching.overlaps
        if run.is_begun or run is runs[0] or held[id(run.engine)] < places:
            return run
    return None


def _fill_batch(runs: Sequence[ActiveRun]) -> list[ActiveRun]:
    """Return the first run that wants rows, and those whose rows fit into one forward with its own."""
    leader = next((run for run in runs if run.rows), None)
    if leader is None:
        return []
    batch, places = [leader], Counter[Owner]()
    room = leader.engine.batching.rows - len(leader.rows)
    for run in runs:
        fits = run.engine is leader.engine and 0 < len(run.rows) <= room
        has_place = run.owner == leader.owner or places[run.owner] < MAX_PLACES
        if run is not leader and fits and has_place:
            batch.append(run)
            places[run.owner] += 1
            room -= len(run.rows)
    return batch
