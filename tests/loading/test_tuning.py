"""What is best is tried, kept, and believed as long as it makes sense."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from loopwright.loading import tuning
from loopwright.loading.tuning import MAX_BATCH_CPU, Tuning, memory_limit


class Clock:
    """A clock that work moves on, and nothing else."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def perf_counter(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(tuning, "time", made)
    return made


def taking(seconds: float, clock: Clock, calls: list[float]) -> Callable[[], None]:
    def run() -> None:
        calls.append(seconds)
        clock.seconds += seconds

    return run


def test_the_quickest_for_its_work_is_found_and_kept(tmp_path: Path, clock: Clock) -> None:
    calls: list[float] = []
    candidates = {"slow": taking(0.02, clock, calls), "quick": taking(0.03, clock, calls)}
    work = {"slow": 1, "quick": 8}
    assert Tuning(tmp_path / "found.json").quickest("what", candidates, work) == "quick"
    calls.clear()
    assert Tuning(tmp_path / "found.json").quickest("what", candidates, work) == "quick"
    assert not calls
    assert (
        Tuning(tmp_path / "found.json").quickest("what", {"slow": candidates["slow"]}, work)
        == "slow"
    )


@pytest.mark.parametrize("damage", ["", "nonsense", "[]", '{"what": 3}'])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "found.json"
    file.write_text(damage)
    assert Tuning(file).quickest("what", {"only": lambda: None}, {"only": 1}) == "only"
    assert Tuning(file).has("what")
    assert Tuning(file).get("what", "") == "only"
    assert Tuning(file).get("what", 7) == 7


@pytest.mark.parametrize(("per_batch", "most", "best"), [(1.0, 8, 8), (1.0, 4, 4), (0.0, 8, 1)])
def test_a_batch_grows_while_it_pays(clock: Clock, per_batch: float, most: int, best: int) -> None:
    """A forward takes 4 ms for the batch, or 4 ms for every row."""

    def evaluate(rows: int) -> torch.Tensor:
        clock.seconds += 0.004 if per_batch else 0.004 * rows
        return torch.zeros(rows, 2)

    assert Tuning(None).batch_size("rows", evaluate, most, torch.equal) == best


def test_a_batch_in_which_a_row_comes_out_otherwise_is_not_used(clock: Clock) -> None:
    def evaluate(rows: int) -> torch.Tensor:
        clock.seconds += 0.002
        return torch.full((rows, 2), 1.0 if rows < 4 else 1 + 1e-7)

    assert Tuning(None).batch_size("rows", evaluate, 8, torch.equal) == 2
    assert Tuning(None).batch_size("rows", evaluate, 8, torch.allclose) == 8


def test_memory_is_no_limit_on_a_cpu() -> None:
    limit = memory_limit(torch.device("cpu"), lambda rows: pytest.fail("nothing is measured"))
    assert limit == MAX_BATCH_CPU
