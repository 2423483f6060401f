"""Interrupted training resumes where it was, with the same result."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from training.stage import Stage, load_weights

from training import stage as stages


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "STATE", tmp_path)


def start_stage(steps: int) -> tuple[Stage, nn.Linear]:
    torch.manual_seed(0)
    network = nn.Linear(3, 2)
    return Stage("small", network, steps, 0.01, average=0.9), network


def train(stage: Stage, network: nn.Linear, last: int) -> None:
    def loss_of(step: int) -> tuple[Tensor, Mapping[str, float]]:
        given = torch.randn(
            4, 3, generator=torch.Generator().manual_seed(step)
        ) + 0.1 * torch.randn(4, 3)
        return (network(given) - 1).square().mean(), {"step": float(step)}

    stage.steps, of_all = last, stage.steps
    stage._schedule = lambda: 1.0  # type: ignore[method-assign]
    stage.run(loss_of)
    stage.steps = of_all


def test_a_resumed_run_equals_an_uninterrupted_one() -> None:
    stage, network = start_stage(40)
    train(stage, network, 40)
    whole = {name: value.clone() for name, value in load_weights("small").items()}
    stage.path.unlink()

    stage, network = start_stage(40)
    train(stage, network, 20)
    torch.manual_seed(99)
    again = nn.Linear(3, 2)
    resumed = Stage("small", again, 40, 0.01, average=0.9)
    assert resumed.step == 20
    train(resumed, again, 40)
    assert all(torch.equal(value, whole[name]) for name, value in load_weights("small").items())


def test_losses_are_logged_and_fall() -> None:
    stage, network = start_stage(200)
    train(stage, network, 200)
    import json

    losses = [
        json.loads(line)["loss"] for line in stage.path.with_suffix(".log").read_text().splitlines()
    ]
    assert len(losses) == 200 // stages.LOG_EVERY
    assert losses[-1] < losses[0] / 4


def test_the_average_of_the_weights_is_saved() -> None:
    stage, network = start_stage(30)
    train(stage, network, 30)
    assert not torch.equal(load_weights("small")["weight"], network.weight)
