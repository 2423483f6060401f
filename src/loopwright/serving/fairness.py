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

_request_numbers = itertools.count()


@dataclass(frozen=True)
class Owner:
    """A request of a client, as the owner of its runs. Each one made is another request.

    Args:
        client: Any name; "" is a client too.
        request: The request's number, unique within the process.
    """

    client: str = ""
    request: int = field(default_factory=_request_numbers.__next__)


@dataclass(eq=False)
class _Client:
    """A client that has requests, or was given more than its share a moment ago.

    Args:
        backlog: Rows it asked for that taking turns would not have given it yet, those of requests
            that have ended early included.
        last_turn: The number of the turn that served it last.
        requests: Its requests that have unfinished runs.
    """

    backlog: float = 0.0
    last_turn: int = 0
    requests: set[Owner] = field(default_factory=set)


@dataclass(eq=False)
class _Request:
    """A request that has unfinished runs.

    Args:
        client: The client that made it.
        arrival: Its place in the order of arrival.
        cost: What it takes in all, in rows.
        served: Rows that it was served.
        fair_share: Rows that taking turns would have given it, as far as they were due.
        last_turn: The number of the turn that served it last.
        runs: How many of its runs are unfinished.
    """

    client: _Client
    arrival: int
    cost: int = 0
    served: int = 0
    fair_share: float = 0.0
    last_turn: int = 0
    runs: int = 0

    @property
    def due(self) -> int:
        """Rows that make it late, once its fair share would have given it as many."""
        return min(self.cost, self.served + PATIENCE)

    @property
    def is_late(self) -> bool:
        """Whether taking turns would have served it by now, or be ``PATIENCE`` rows ahead."""
        return self.fair_share >= self.due

    @property
    def urgency(self) -> tuple[float, int]:
        """Rows until it is late, at its client's share, and its arrival; the least comes first."""
        return (self.due - self.fair_share) * len(self.client.requests), self.arrival

    @property
    def turn_order(self) -> tuple[int, int, int]:
        """When its client was last served, and when it was; the least of the late comes first."""
        return self.client.last_turn, self.last_turn, self.arrival


class FairShares:
    """The accounts of all requests: what they cost, were served, and would have got by turns.

    Time is counted in rows.
    """

    def __init__(self) -> None:
        self._clients: dict[str, _Client] = {}
        self._requests: dict[Owner, _Request] = {}
        self._turns = 0
        self._arrivals = itertools.count()

    def add_run(self, owner: Owner, cost: int) -> None:
        """Note that a request has one more run.

        Args:
            owner: The request.
            cost: What the run will take, in rows.
        """
        client = self._clients.setdefault(owner.client, _Client())
        client.requests.add(owner)
        client.backlog += cost
        if owner not in self._requests:
            self._requests[owner] = _Request(client, next(self._arrivals))
        request = self._requests[owner]
        request.cost += cost
        request.runs += 1

    def end_run(self, owner: Owner, unused: int) -> None:
        """Note that a run has ended.

        Args:
            owner: The request it was part of.
            unused: Rows of its cost that it did not take.
        """
        request = self._requests[owner]
        request.cost -= unused
        request.fair_share = min(request.fair_share, request.due)
        request.client.backlog = max(request.client.backlog - unused, 0.0)
        request.runs -= 1
        if request.runs == 0:
            del self._requests[owner]
            request.client.requests.remove(owner)
        if not self._requests:  # nobody is left whom an earlier client could owe anything
            self._clients.clear()

    def charge(self, costs: Mapping[Owner, int]) -> None:
        """Note a turn: the requests that were served, and how many rows each got."""
        self._turns += 1
        for owner, cost in costs.items():
            request = self._requests[owner]
            request.served += cost
            request.last_turn = request.client.last_turn = self._turns
        # a client without requests still counts while it has a backlog: by turns it would be served
        self._clients = {
            name: client
            for name, client in self._clients.items()
            if client.requests or client.backlog
        }
        share = sum(costs.values()) / len(self._clients)
        for client in self._clients.values():
            client.backlog = max(client.backlog - share, 0.0)
            for owner in client.requests:
                request = self._requests[owner]
                fair_share = request.fair_share + share / len(client.requests)
                request.fair_share = min(fair_share, request.due)

    def order(self) -> list[Owner]:
        """Return all requests in the order in which they are to be served.

        Requests that are late take turns, by client and then by request, among themselves and with
        the first of the others: so each gets its equal share, and a new one is not held up by them.
        """
        requests = self._requests
        order = sorted(requests, key=lambda owner: requests[owner].urgency)
        late = sum(requests[owner].is_late for owner in order)
        if late:
            # no rows are left until a late one is due, so that the late ones come first
            taking_turns = order[: late + 1]
            taking_turns.sort(key=lambda owner: requests[owner].turn_order)
            order[: late + 1] = taking_turns
        return order
