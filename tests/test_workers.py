"""Whatever happens in a worker, the server goes on."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from loopwright.errors import InvalidInput, TooLarge, WorkerFailed
from loopwright.workers import Workers


def add(a: int, b: int) -> int:
    return a + b


def crash() -> None:
    os.abort()


def take_long() -> None:
    time.sleep(60)


def be_greedy() -> int:
    return len(bytearray(8_000_000_000))


def complain() -> None:
    raise InvalidInput("this is wrong", field="that")


def process() -> int:
    return os.getpid()


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    workers = Workers(2)
    yield workers
    workers.close()


def test_results_come_back(workers: Workers) -> None:
    assert workers.call(20, add, 1, b=2) == 3


def test_errors_come_back_as_they_are(workers: Workers) -> None:
    with pytest.raises(InvalidInput, match="this is wrong") as caught:
        workers.call(20, complain)
    assert caught.value.field == "that"


def test_a_crash_is_one_calls_alone(workers: Workers) -> None:
    with pytest.raises(WorkerFailed, match="died"):
        workers.call(20, crash)
    assert workers.call(20, add, 1, 1) == 2


def test_what_takes_too_long_is_ended(workers: Workers) -> None:
    workers.call(20, add, 1, 1)
    began = time.monotonic()
    with pytest.raises(WorkerFailed, match=r"longer than 0\.3 seconds"):
        workers.call(0.3, take_long)
    assert time.monotonic() - began < 3
    assert workers.call(20, add, 1, 1) == 2


def test_memory_is_limited(workers: Workers) -> None:
    with pytest.raises(TooLarge, match="more memory"):
        workers.call(20, be_greedy)


def test_many_calls_share_few_processes(workers: Workers) -> None:
    with ThreadPoolExecutor(8) as threads:
        processes = set(threads.map(lambda _: workers.call(20, process), range(24)))
    assert 1 <= len(processes) <= 2


def test_closing_ends_the_processes() -> None:
    workers = Workers(1)
    number = workers.call(20, process)
    workers.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
