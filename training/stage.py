"""A training stage: seed, steps, log, checkpoints, and resuming where it stopped.

A checkpoint is one file with the networks, the optimiser and the step. It is written to the side
and moved into place, so an interruption never leaves half a file.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

SHARE = float(os.environ.get("POCKET_SHARE", "1"))
"""Share of all loops and steps: a small share shows in minutes that the stages fit together, but
trains nothing useful."""
STATE = Path(__file__).parent / ("state" if SHARE == 1 else f"state-{SHARE:g}")
"""Rendered loops, latents, checkpoints and logs. Not in git; `make pocket` remakes them."""

CHECKPOINT_SECONDS = 240.0
LOG_EVERY = 50
WARM_UP = 100


@dataclass
class Stage:
    """A network in training.

    Attributes:
        name: Name of the stage and of its checkpoint.
        networks: The module to train.
        steps: Total steps.
        rate: Peak of the learning rate, which rises over WARM_UP steps and falls as a cosine.
        weight_decay: AdamW's weight decay.
        average: Decay of the exponential average of the weights; 0 for no average.
        step: Steps done.
    """

    name: str
    networks: nn.Module
    steps: int
    rate: float
    weight_decay: float = 1e-3
    average: float = 0.0
    step: int = 0
    _sums: dict[str, float] = field(default_factory=dict)
    _counted: int = 0

    def __post_init__(self) -> None:
        parameters = [value for value in self.networks.parameters() if value.requires_grad]
        self.optimiser = torch.optim.AdamW(
            parameters, lr=self.rate, betas=(0.9, 0.98), weight_decay=self.weight_decay, fused=True
        )
        self.averaged = {name: value.clone() for name, value in self.networks.state_dict().items()}
        if self.path.exists():
            self._resume()

    @property
    def path(self) -> Path:
        """The path of the checkpoint."""
        return STATE / f"{self.name}.pt"

    def run(self, loss_of: Callable[[int], tuple[Tensor, Mapping[str, float]]]) -> None:
        """Train to the last step.

        Args:
            loss_of: Returns a step's loss and the metrics to log.
        """
        started, saved, start_codec = time.monotonic(), time.monotonic(), self.step
        while self.step < self.steps:
            self._take(loss_of)
            if self.step % LOG_EVERY == 0:
                self._log((time.monotonic() - started) / (self.step - start_codec))
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                self.save()
                saved = time.monotonic()
        self.save()

    def _take(self, loss_of: Callable[[int], tuple[Tensor, Mapping[str, float]]]) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * self._schedule()
        loss, metrics = loss_of(self.step)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.networks.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        self._average()
        for name, value in {"loss": float(loss.detach()), **metrics}.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._counted += 1

    def _schedule(self) -> float:
        warm = min(1.0, (self.step + 1) / WARM_UP)
        return warm * max(0.02, 0.5 * (1 + math.cos(math.pi * self.step / self.steps)))

    def _average(self) -> None:
        """Update the exponential average of the weights, which is what ships."""
        keep = min(self.average, (self.step + 1) / (self.step + 20))
        if not self.average:
            return
        with torch.no_grad():
            for name, value in self.networks.state_dict().items():
                self.averaged[name].lerp_(value, 1 - keep) if value.is_floating_point() else None

    def _log(self, seconds: float) -> None:
        means = {name: round(total / self._counted, 5) for name, total in self._sums.items()}
        line = json.dumps({"step": self.step, "seconds_a_step": round(seconds, 3), **means})
        with (STATE / f"{self.name}.log").open("a") as log:
            log.write(line + "\n")
        print(self.name, line, flush=True)
        self._sums, self._counted = {}, 0

    def weights(self) -> dict[str, Tensor]:
        """Return the averaged weights, or the plain ones where there is no average."""
        return self.averaged if self.average else dict(self.networks.state_dict())

    def save(self) -> None:
        """Write the checkpoint."""
        STATE.mkdir(exist_ok=True)
        held: dict[str, Any] = {
            "step": self.step,
            "networks": self.networks.state_dict(),
            "averaged": self.averaged,
            "weights": self.weights(),
            "optimiser": self.optimiser.state_dict(),
            "random": torch.get_rng_state(),
        }
        beside = self.path.with_suffix(".new")
        torch.save(held, beside)
        beside.replace(self.path)

    def _resume(self) -> None:
        held = torch.load(self.path, weights_only=True)
        self.networks.load_state_dict(held["networks"])
        self.averaged = held["averaged"]
        self.optimiser.load_state_dict(held["optimiser"])
        torch.set_rng_state(held["random"])
        self.step = held["step"]
        print(f"{self.name}: continuing at step {self.step}", flush=True)


def load_weights(name: str) -> dict[str, Tensor]:
    """Load the weights of a stage's last checkpoint."""
    held = torch.load(STATE / f"{name}.pt", weights_only=True)
    weights: dict[str, Tensor] = held["weights"]
    return weights


def start_from(networks: nn.Module, path: Path) -> None:
    """Copy the weights of an earlier checkpoint that have the same name and shape."""
    own = networks.state_dict()
    held: dict[str, Tensor] = torch.load(path, weights_only=True)["weights"]
    fitting = {
        name: value
        for name, value in held.items()
        if name in own and own[name].shape == value.shape
    }
    networks.load_state_dict(fitting, strict=False)
    print(f"started with {len(fitting)} of {len(own)} tensors of {path}", flush=True)


def use_one_thread(seed: int) -> None:
    """Limit this process to one thread, and set the seed."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(seed)


def scaled(count: int) -> int:
    """Return SHARE of a count, at least 1."""
    return max(1, round(SHARE * count))


def progress(count: int) -> Iterator[int]:
    """Yield 0 to count - 1, and print the progress."""
    for number in range(count):
        if number % 100 == 0:
            print(f"{number} of {count}", flush=True)
        yield number
