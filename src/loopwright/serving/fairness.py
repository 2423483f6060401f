"""Whose turn it is: fair shares of the worker's time, by client and then by request.

Knows: what requests cost, in rows, and which rows they got. Does not know: runs, engines, threads.

If clients took turns row by row, every request would end at a certain moment. Requests are served
in the order of those moments, each as a whole: so equal requests end one after the other instead
of all at the end, a short one passes a long one, and none ends later than by turns (the Fair
Sojourn Protocol: Friedman and Henderson 2003, "Fairness and efficiency in web server protocols").
The time that taking turns would have given is counted as in fair queueing (Demers, Keshav and
Shenker 1989). Two things differ from the protocol, since clients here ask again as soon as they
are answered: a long request is due by stages (``PATIENCE``), so that it goes on beside a stream of
short ones; and requests whose moment has passed take turns, so that none waits for all the others.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

PATIENCE = 200
"""Rows by which a request may be behind its fair share before it is as urgent as any other."""

_numbers = itertools.count()


@dataclass(frozen=True)
class Owner:
    """Whose a run is: a request of a client. Each one made is another request.

    client: any name; "" is a client too. request: unique within the process.
    """

    client: str = ""
    request: int = field(default_factory=_numbers.__next__)


@dataclass(eq=False)
class _Client:
    """A client that has requests, or was given more than its share a moment ago.

    backlog: rows it asked for that taking turns would not have given it yet, those of requests
    that have ended early included. last_turn: the number of the turn that served it last.
    """

    backlog: float = 0.0
    last_turn: int = 0
    requests: set[Owner] = field(default_factory=set)


@dataclass(eq=False)
class _Request:
    """A request that has unfinished runs.

    number: its place in the order of arrival. cost, done: rows in all, and those evaluated.
    fair: rows that taking turns would have given it, as far as they were due.
    """

    client: _Client
    number: int
    cost: int = 0
    done: int = 0
    fair: float = 0.0
    last_turn: int = 0
    runs: int = 0

    @property
    def due(self) -> int:
        """Rows that, once its fair share would have given it as many, make it late."""
        return min(self.cost, self.done + PATIENCE)

    @property
    def is_late(self) -> bool:
        """Whether taking turns would have served it by now, or be ``PATIENCE`` rows ahead."""
        return self.fair >= self.due


class FairShares:
    """The accounts of all requests. Time is counted in rows."""

    def __init__(self) -> None:
        self._clients: dict[str, _Client] = {}
        self._requests: dict[Owner, _Request] = {}
        self._turns = 0
        self._arrivals = itertools.count()

    def add_run(self, owner: Owner, cost: int) -> None:
        """Note that a request has one more run, which will cost so many rows."""
        client = self._clients.setdefault(owner.client, _Client())
        client.requests.add(owner)
        client.backlog += cost
        if owner not in self._requests:
            self._requests[owner] = _Request(client, next(self._arrivals))
        request = self._requests[owner]
        request.cost += cost
        request.runs += 1

    def end_run(self, owner: Owner, unpaid: int) -> None:
        """Note that a run has ended, with so many rows of its cost not used."""
        request = self._requests[owner]
        request.cost -= unpaid
        request.fair = min(request.fair, request.due)
        request.client.backlog = max(request.client.backlog - unpaid, 0.0)
        request.runs -= 1
        if request.runs == 0:
            del self._requests[owner]
            request.client.requests.remove(owner)
        if not self._requests:  # nobody is left whom an earlier client could owe anything
            self._clients.clear()

    def charge(self, prices: Mapping[Owner, int]) -> None:
        """Note a turn: who was served, and how many rows of it each request got."""
        self._turns += 1
        for owner, price in prices.items():
            request = self._requests[owner]
            request.done += price
            request.last_turn = request.client.last_turn = self._turns
        self._clients = {
            name: one for name, one in self._clients.items() if one.requests or one.backlog
        }
        share = sum(prices.values()) / len(self._clients)
        for client in self._clients.values():
            client.backlog = max(client.backlog - share, 0.0)
            for owner in client.requests:
                request = self._requests[owner]
                request.fair = min(request.fair + share / len(client.requests), request.due)

    def order(self) -> list[Owner]:
        """Return all requests, the one to be served first first.

        Requests that are late take turns, by client and then by request, among themselves and with
        the first of the others: so each gets its equal share, and a new one is not held up by them.
        """
        order = sorted(self._requests, key=self._urgency)
        late = sum(self._requests[owner].is_late for owner in order)
        if late:
            order[: late + 1] = sorted(order[: late + 1], key=self._last_turn)
        return order

    def _urgency(self, owner: Owner) -> tuple[float, int]:
        """Return the rows until a request is late, at its client's share, and its arrival."""
        request = self._requests[owner]
        return (request.due - request.fair) * len(request.client.requests), request.number

    def _last_turn(self, owner: Owner) -> tuple[int, int, int]:
        request = self._requests[owner]
        return request.client.last_turn, request.last_turn, request.number
