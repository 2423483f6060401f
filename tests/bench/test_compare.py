"""Contenders take turns: in each round every one is started, asked everything, and stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from bench.compare import compare
from bench.contenders import Setting
from bench.results import Sample, Start
from bench.scenarios import NEGATIVE, TEXT_LOOP, Scenario

from bench import compare as comparing


@dataclass
class FakeContender:
    """A contender whose requests take a second each; ``did`` has what was done, in order."""

    name: str
    did: list[str]
    pid: int = 0
    seconds_to_ready: float = 3.0
    warm: list[Scenario] = field(default_factory=list)

    @contextmanager
    def run(self) -> Iterator[FakeContender]:
        self.did.append(f"{self.name} starts")
        yield self
        self.did.append(f"{self.name} stops")
        self.warm.clear()

    def warm_up(self, scenario: Scenario) -> None:
        self.warm.append(scenario)

    def measure(self, scenario: Scenario) -> tuple[float, Mapping[str, float]]:
        assert scenario in self.warm
        self.did.append(f"{self.name} {scenario.name}")
        return 1.0, {"decoding": 0.5}


def test_no_two_contenders_run_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "matmul_gflops", lambda threads: 100.0)
    monkeypatch.setattr(comparing, "forget_peak", lambda pid: None)
    monkeypatch.setattr(comparing, "peak_memory", lambda pid: 7)
    did: list[str] = []
    contenders = [FakeContender(name, did) for name in ("reference", "ours")]
    setting = Setting(tmp_path / "model", tmp_path, threads=2)
    results = compare(setting, contenders, [TEXT_LOOP, NEGATIVE], 2, lambda sentence: None)
    turns = [
        f"{name} {what}"
        for name in ("reference", "ours")
        for what in ("starts", "text-loop", "negative-prompt", "stops")
    ]
    assert did == turns * 2
    assert results.contenders == ["reference", "ours"]
    assert results.starts[0] == Start("reference", 1, 3.0)
    assert results.samples[-1] == Sample(
        "ours", "negative-prompt", 2, 1.0, {"decoding": 0.5}, 7, 100.0
    )
    assert setting.source.is_file()
