"""Who is served in which turn, without threads or clocks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopwright.engine.base import Batching
from loopwright.errors import Cancelled
from loopwright.serving.fairness import PATIENCE
from tests.fakes import FakeEngine
from tests.serving.simulated import Asked, Simulated

ROWS = st.sampled_from([1, 2, 4, 9])


def alone(steps: int, n: int = 1, *, cfg_scale: float = 1, engine: FakeEngine | None = None) -> int:
    """How long a request takes by itself, in rows."""
    server = Simulated(engine or FakeEngine())
    asked = server.ask("alone", steps, n, cfg_scale=cfg_scale)
    server.until(asked)
    return asked.seconds


@pytest.mark.parametrize("client", ["long", "short"])
@pytest.mark.parametrize("rows", [1, 2, 8])
def test_a_short_request_begins_at_once_beside_a_long_one(client: str, rows: int) -> None:
    """Whether another client asks for it, or the same one, or one behind the same proxy."""
    server = Simulated(FakeEngine(batching=Batching(rows)))
    server.ask("long", 100, n=8, cfg_scale=6)
    for _ in range(200):
        server.turn()
    short = server.ask(client, 8)
    server.turn()
    server.turn()
    assert short.began is not None


@pytest.mark.parametrize("client", ["long", "short"])
@pytest.mark.parametrize("rows", [1, 2, 8])
def test_short_requests_are_quick_and_a_long_one_goes_on(client: str, rows: int) -> None:
    """For ever: each is asked for as soon as the one before it has ended."""
    server = Simulated(FakeEngine(batching=Batching(rows)))
    long = server.ask("long", 100, n=8, cfg_scale=6)
    forwards = list[int]()
    while long.ended is None:
        before = len(server.batches)
        server.until(server.ask(client, 8, cfg_scale=6))
        # forwards, since a row in company is cheaper where rows are evaluated together at all
        forwards.append(len(server.batches) - before)
    assert max(forwards) <= 4 * 8  # twice as long as by turns
    assert sorted(forwards)[len(forwards) * 9 // 10] <= 3 * 8
    assert long.seconds <= 2 * alone(100, 8, cfg_scale=6) + 4 * PATIENCE


def test_equal_requests_end_one_after_the_other() -> None:
    server = Simulated()
    asked = [server.ask(client, 12) for client in "abcdefghij"]
    server.until(*asked)
    assert [one.ended for one in asked] == [alone(12) * number for number in range(1, 11)]
    assert server.most_begun == 1


def test_equal_requests_of_one_client_end_in_the_order_they_came() -> None:
    server = Simulated()
    asked = [server.ask("one", 12) for _ in range(10)]
    server.until(*asked)
    ends = [one.ended for one in asked if one.ended is not None]
    assert ends == sorted(ends)
    assert ends[:5] == [alone(12) * number for number in range(1, 6)]


def test_all_runs_of_a_request_are_served_before_a_later_one_like_it() -> None:
    server = Simulated()
    first, second = server.ask("a", 8, n=4), server.ask("b", 8, n=4)
    server.until(first, second)
    assert (first.ended, second.ended) == (4 * alone(8), 8 * alone(8))


def test_one_request_has_two_places_in_a_forward_that_another_leads() -> None:
    server = Simulated(FakeEngine(batching=Batching(max_batch_size=8)))
    long = server.ask("long", 100, n=8)
    while len(server.batches) < 20:
        server.turn()
    assert len(server.batches[-1]) == 8  # alone, it has all places
    short = server.ask("short", 8)
    server.until(short)
    beside = [batch for batch in server.batches if short.runs[0] in batch]
    assert [sum(run in long.runs for run in batch) for batch in beside] == [2] * 8


def test_one_that_joins_is_made_ready_between_the_leaders_steps() -> None:
    server = Simulated(FakeEngine(batching=Batching(max_batch_size=4)))
    first, second = server.ask("a", 20), server.ask("b", 20)
    server.until(first)
    together = sum(len(batch) == 2 for batch in server.batches)
    assert together == 19
    server.until(second)


def test_two_models_take_turns_too() -> None:
    one, other = FakeEngine(batching=Batching(8)), FakeEngine(batching=Batching(8))
    server = Simulated(one)
    long = server.ask("long", 100, n=8)
    for _ in range(50):
        server.turn()
    short = server.ask("short", 8, engine=other)
    server.until(short)
    assert short.seconds <= 2 * alone(8)
    server.until(long)
    assert one.forwards
    assert sum(other.batches) == 8


def test_while_a_run_decodes_beside_the_next_is_evaluated() -> None:
    server = Simulated(FakeEngine(batching=Batching(max_batch_size=1, overlaps=True)))
    asked = server.ask("a", 12, n=6)
    idle = 0
    while asked.ended is None:
        decoding = any(run.is_in_background and run.is_decoding for run in server.turns)
        waiting = any(not run.is_decoding for run in asked.runs if not run.is_done)
        served = server.turn()
        idle += decoding and waiting and not served
    assert idle == 0


def test_one_that_is_given_up_leaves_and_the_next_is_served() -> None:
    server = Simulated()
    given_up, kept = server.ask("a", 12, n=3), server.ask("b", 100)
    server.turn()
    for run in given_up.runs:
        run.cancel()
    served = server.turn()
    assert served == kept.runs
    assert all(isinstance(run.result.exception(0), Cancelled) for run in given_up.runs)
    assert len(server.turns) == 1
    server.until(kept)
    assert not server.turn()
    assert len(server.turns) == 0


requests = st.lists(
    st.tuples(
        st.integers(0, 60),  # when
        st.sampled_from("aab"),
        st.integers(1, 30),  # steps
        st.integers(1, 8),  # n
        st.sampled_from([1, 6]),
        st.booleans(),  # of another model
        st.none() | st.integers(0, 60),  # given up after
    ),
    min_size=1,
    max_size=8,
)


@given(asked=requests, rows=ROWS, overlaps=st.booleans())
@settings(max_examples=60)
def test_whatever_comes_somebody_is_served_and_few_are_begun(
    asked: list[tuple[int, str, int, int, int, bool, int | None]], rows: int, overlaps: bool
) -> None:
    engines = [FakeEngine(batching=Batching(rows, overlaps)) for _ in range(2)]
    server, turn = Simulated(engines[0]), 0
    coming = sorted(asked, key=lambda one: one[0])
    given_up: list[tuple[int, Asked]] = []
    while coming or len(server.turns):
        while coming and coming[0][0] <= turn:
            _, client, steps, n, cfg_scale, other, until = coming.pop(0)
            one = server.ask(client, steps, n, cfg_scale=cfg_scale, engine=engines[other])
            if until is not None:
                given_up.append((turn + until, one))
        for when, one in given_up:
            if when == turn:
                for run in one.runs:
                    run.cancel()
        is_in_background = any(run.is_in_background for run in server.turns)
        served = server.turn()
        assert served or is_in_background or not len(server.turns)
        assert len({run.engine.batching for run in served}) <= 1
        assert sum(len(run.rows) for run in served) <= max(rows, 2)
        turn += 1
    assert all(run.is_done for one in server.asked for run in one.runs)
    assert server.most_begun <= (1 + overlaps) * len(asked) + len(engines) * (rows + overlaps)
