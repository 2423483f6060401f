"""Whatever happens in a worker, the server goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from loopwright.errors import InvalidInput, TooLarge, WorkerFailed
from loopwright.system.workers import NICENESS, Workers, give_way
from tests.waiting import PATIENCE, until


def add(a: int, b: int) -> int:
    return a + b


def crash() -> None:
    os.abort()


def take_long() -> None:
    time.sleep(3600)


def be_greedy() -> int:
    return len(bytearray(8_000_000_000))


def complain() -> None:
    raise InvalidInput("this is wrong", field="that")


def say_who_and_take_long(file: str) -> None:
    beside = Path(f"{file}.part")
    beside.write_text(str(os.getpid()))
    beside.rename(file)
    time.sleep(3600)


def process() -> int:
    return os.getpid()


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    workers = Workers(2)
    yield workers
    workers.close()


def test_results_come_back(workers: Workers) -> None:
    assert workers.call(PATIENCE, add, 1, b=2) == 3


def test_errors_come_back_as_they_are(workers: Workers) -> None:
    with pytest.raises(InvalidInput, match="this is wrong") as caught:
        workers.call(PATIENCE, complain)
    assert caught.value.field == "that"


def test_a_crash_is_one_calls_alone(workers: Workers) -> None:
    with pytest.raises(WorkerFailed, match="died"):
        workers.call(PATIENCE, crash)
    assert workers.call(PATIENCE, add, 1, 1) == 2


def test_what_takes_too_long_is_ended(workers: Workers) -> None:
    workers.call(PATIENCE, add, 1, 1)
    with pytest.raises(WorkerFailed, match=r"longer than 0\.3 seconds"):
        workers.call(0.3, take_long)
    assert workers.call(PATIENCE, add, 1, 1) == 2


def test_memory_is_limited(workers: Workers) -> None:
    with pytest.raises(TooLarge, match="more memory"):
        workers.call(PATIENCE, be_greedy)


def test_many_calls_share_few_processes(workers: Workers) -> None:
    with ThreadPoolExecutor(8) as threads:
        processes = set(threads.map(lambda _: workers.call(PATIENCE, process), range(24)))
    assert 1 <= len(processes) <= 2


@pytest.mark.skipif(not hasattr(os, "nice"), reason="this system has no nice")
def test_a_process_that_gives_way() -> None:
    one = Workers(1)
    before = one.call(PATIENCE, os.nice, 0)
    one.call(PATIENCE, give_way)
    assert one.call(PATIENCE, os.nice, 0) == min(before + NICENESS, 19)
    assert os.nice(0) == before
    one.close()


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="looks at processes as Linux shows them"
)
def test_a_process_ends_with_its_server_even_amid_a_call(tmp_path: Path) -> None:
    server = tmp_path / "server.py"
    server.write_text(
        "import sys\n"
        "from loopwright.system.workers import run_in_process\n"
        "from tests.system.test_workers import say_who_and_take_long\n"
        "run_in_process(3600, say_who_and_take_long, sys.argv[1])\n"
    )
    said = tmp_path / "pid"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, server, said], env=environment) as process:
        until(said.exists)
        process.kill()
    until(lambda: not is_running(int(said.read_text())))


def is_running(pid: int) -> bool:
    """Whether there is such a process; one that only waits to be buried counts as gone."""
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def test_what_a_library_prints_is_no_outcome(workers: Workers) -> None:
    assert workers.call(PATIENCE, print, "to be ignored") is None
    assert workers.call(PATIENCE, add, 1, 1) == 2


def test_a_program_is_not_run_again_by_its_workers(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import operator\n"
        "from loopwright.system.workers import run_in_process\n"
        "print(run_in_process(60, operator.add, 1, 2))\n"
    )
    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout == "3\n"


def test_closing_ends_the_processes() -> None:
    workers = Workers(1)
    number = workers.call(PATIENCE, process)
    workers.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
