"""An engine without a model: makes clicks on the beat and a little noise, in no time and to the bit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from loopwright.assemble import make_sources
from loopwright.engine.base import Audio, Engine, ModelInfo, ModelKey, Run
from loopwright.engine.hub import Hub
from loopwright.engine.registry import Registry
from loopwright.models import Models
from loopwright.plan import GenerationPlan, ModelLimits
from loopwright.service import Service
from loopwright.serving.scheduler import Scheduler
from loopwright.settings import Settings

RATE = 44100
LIMITS = ModelLimits(
    sample_rate=RATE,
    window_samples=524288,
    samplers=("pingpong", "euler", "dpmpp", "rk4"),
    default_steps=8,
    max_steps=100,
    default_cfg_scale=6.0,
)
KEY = ModelKey("fake/model")


def info(key: ModelKey = KEY, memory_bytes: int = 1) -> ModelInfo:
    return ModelInfo(key, str(key), "cpu", "rf_denoiser", 64, LIMITS, memory_bytes, limitations=("it is a fake",))


@dataclass
class FakeEngine:
    """step_seconds: how long a forward takes; fail_prompt: a prompt with this in it fails; silent: makes silence."""

    info: ModelInfo = field(default_factory=info)
    step_seconds: float = 0.0
    fail_prompt: str = "FAIL"
    silent: bool = False
    closed: bool = False
    forwards: int = 0
    gate: threading.Event | None = None

    def start(self, plan: GenerationPlan) -> Run:
        return Run(plan, _denoise(plan), plan.steps, generator=None)  # type: ignore[arg-type]

    def forward(self, rows: Sequence[Any]) -> Sequence[Any]:
        if self.gate is not None:
            self.gate.wait(10)
        time.sleep(self.step_seconds)
        self.forwards += 1
        if any(self.fail_prompt in row.words.prompt for row in rows):
            raise RuntimeError("the fake engine was told to fail")
        return rows

    def finish(self, run: Run, latents: Any) -> Audio:
        audio = np.zeros((2, run.plan.made_samples), np.float32)
        if self.silent:
            return audio
        rng = np.random.default_rng(latents)
        audio += rng.normal(0, 0.01, audio.shape).astype(np.float32)
        beat = 60 / float(run.plan.bpm or 120) * RATE
        audio[:, (np.arange(0, run.plan.made_samples, beat)).astype(int)] = 0.5
        return audio

    def gpu_memory(self) -> Mapping[str, float]:
        return {}

    def close(self) -> None:
        self.closed = True


def _denoise(plan: GenerationPlan) -> Generator[Any, Any, Any]:
    for _ in range(plan.steps):
        yield (plan,)
    return plan.seed


def fake_service(
    load: Callable[[ModelKey], Engine] | None = None,
    *,
    max_requests: int = 36,
    settings: Settings | None = None,
    hub: Hub | None = None,
    key: ModelKey = KEY,
) -> Service:
    """A service whose models are loaded by ``load`` (by default: fakes)."""
    registry = Registry(load or (lambda _: FakeEngine()), max_models=2)
    models = Models(registry, hub or Hub(("*",)), key)
    return Service(models, Scheduler(), make_sources(settings or Settings()), max_requests)
