"""Shares of time: by client and by request, whatever comes when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.serving import fairness
from loopwright.serving.fairness import FairShares, Owner

PATIENCE = 20
"""Small, so that small examples have long requests."""


@pytest.fixture(autouse=True, scope="module")
def little_patience() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fairness, "PATIENCE", PATIENCE)
        yield


class Worker:
    """Evaluates one row a turn, of the request that is first in order."""

    def __init__(self) -> None:
        self.shares = FairShares()
        self.clock = 0
        self.left: dict[Owner, int] = {}
        self.ends: dict[Owner, int] = {}

    def ask(self, client: str, cost: int) -> Owner:
        owner = Owner(client)
        self.shares.add_run(owner, cost)
        self.left[owner] = cost
        return owner

    def turn(self) -> Owner:
        first = self.shares.order()[0]
        self.shares.charge({first: 1})
        self.clock += 1
        self.left[first] -= 1
        if not self.left[first]:
            self.end(first)
        return first

    def end(self, owner: Owner) -> None:
        self.shares.end_run(owner, self.left.pop(owner))
        self.ends[owner] = self.clock


def by_turns(asked: Mapping[int, tuple[int, int]]) -> dict[int, Fraction]:
    """When requests of a client each would end if all took turns, infinitely finely.

    asked: (when, cost) of each.
    """
    clock, left, ends = Fraction(0), dict[int, Fraction](), dict[int, Fraction]()
    coming = sorted(asked, key=lambda one: asked[one][0], reverse=True)
    while coming or left:
        arrival = Fraction(asked[coming[-1]][0]) if coming else None
        if left:
            until = clock + min(left.values()) * len(left)
            then = until if arrival is None else min(until, arrival)
            left = {one: rows - (then - clock) / len(left) for one, rows in left.items()}
            clock = then
            ends |= {one: clock for one, rows in left.items() if not rows}
            left = {one: rows for one, rows in left.items() if rows}
        else:
            assert arrival is not None
            clock = max(clock, arrival)
        while coming and asked[coming[-1]][0] <= clock:
            one = coming.pop()
            left[one] = Fraction(asked[one][1])
    return ends


@given(asked=st.lists(st.tuples(st.integers(0, 150), st.integers(1, 60)), min_size=1, max_size=12))
def test_no_clients_request_ends_later_than_by_turns(asked: list[tuple[int, int]]) -> None:
    worker, owners, numbered = Worker(), dict[int, Owner](), dict(enumerate(asked))
    while len(worker.ends) < len(asked):
        for number, (when, cost) in numbered.items():
            if number not in owners and when <= worker.clock:
                owners[number] = worker.ask(f"client {number}", cost)
        if worker.left:
            worker.turn()
        else:
            worker.clock += 1
    for number, end in by_turns(numbered).items():
        assert worker.ends[owners[number]] <= end + len(asked), (number, float(end))


@given(data=st.data(), clients=st.integers(1, 5), at_once=st.integers(1, 4))
def test_nobody_waits_longer_than_twice_its_turns(
    data: st.DataObject, clients: int, at_once: int
) -> None:
    """Clients ask again as soon as they are answered, so that there is never time to catch up."""
    costs = st.sampled_from([1, 2, 8, 8, 8, 30, 60])
    worker, at, cost = Worker(), dict[Owner, int](), dict[Owner, int]()

    def ask(client: str) -> None:
        rows = data.draw(costs)
        owner = worker.ask(client, rows)
        at[owner], cost[owner] = worker.clock, rows

    for number in range(clients * at_once):
        ask(f"client {number % clients}")
    while worker.clock < 600:
        first = worker.turn()
        if first in worker.ends:
            ask(first.client)
            shares = clients * at_once
            rows = cost[first] + min(cost[first], PATIENCE)
            assert worker.clock - at[first] <= (rows + 3) * shares


def test_equal_requests_end_one_after_the_other_in_the_order_they_came() -> None:
    worker = Worker()
    owners = [worker.ask(f"client {number}", PATIENCE) for number in range(10)]
    while worker.left:
        worker.turn()
    assert [worker.ends[owner] for owner in owners] == [
        PATIENCE * number for number in range(1, 11)
    ]


def test_a_short_request_does_not_wait_for_all_that_are_late() -> None:
    worker = Worker()
    for _ in range(20):
        worker.ask("one", PATIENCE)
    while len(worker.left) > 6:
        worker.turn()
    short, at = worker.ask("one", 2), worker.clock
    while short in worker.left:
        worker.turn()
    assert worker.clock - at <= 2 * 2 * 7


def test_a_client_of_many_requests_gets_no_more_than_one_of_one() -> None:
    worker = Worker()
    many = [worker.ask("many", PATIENCE) for _ in range(9)]
    one = worker.ask("one", PATIENCE)
    while worker.left:
        worker.turn()
    assert worker.ends[one] <= 2 * PATIENCE
    assert worker.ends[one] < min(worker.ends[owner] for owner in many)


def test_a_long_request_gets_its_half_beside_a_stream_of_short_ones() -> None:
    worker = Worker()
    long = worker.ask("long", 400)
    while long not in worker.ends:
        short = worker.ask("short", 8)
        at = worker.clock
        while short in worker.left:
            worker.turn()
        assert worker.clock - at <= 3 * 8
    assert worker.clock <= 2 * 400 + 2 * PATIENCE + 2 * 8


def test_what_is_given_up_is_owed_to_nobody() -> None:
    worker = Worker()
    given_up, kept = worker.ask("a", 100), worker.ask("b", 30)
    for _ in range(10):
        worker.turn()
    worker.end(given_up)
    while worker.left:
        worker.turn()
    assert worker.ends[kept] <= 40
    assert worker.shares.order() == []
    first, second = worker.ask("b", 10), worker.ask("a", 10)  # earlier days are forgotten
    assert worker.shares.order() == [first, second]
