"""An engine without a model: clicks on the beat and a little noise, at once and bit-exact."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from loopwright.audio.types import Audio
from loopwright.engine.base import Batching, ModelInfo, ModelKey, PlanSteps, Task
from loopwright.engine.registry import Load, Registry
from loopwright.generation.assemble import make_sources
from loopwright.generation.models import Models
from loopwright.generation.service import Service
from loopwright.loading.hub import Hub
from loopwright.planning.plan import GenerationPlan, ModelLimits
from loopwright.serving.scheduler import Scheduler
from loopwright.settings import Settings
from tests.waiting import Gate

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
DECODE_PIECES = 3
UNKNOWN_WORDS = ("zydeco", "theremin")


def info(key: ModelKey = KEY, memory_bytes: int = 1) -> ModelInfo:
    return ModelInfo(
        key, str(key), "cpu", "rf_denoiser", 64, LIMITS, memory_bytes, limitations=("it is a fake",)
    )


@dataclass
class FakeEngine:
    """An engine that takes no time, and notes what it was asked for.

    Args:
        gate: Lets forwards through.
        decoding_gate: Lets decoding tasks through.
        fail_prompt: A forward with this in one of its prompts fails.
        silent: Whether it makes silence.
        batches: How many rows each forward had.
    """

    info: ModelInfo = field(default_factory=info)
    batching: Batching = field(default_factory=Batching)
    gate: Gate = field(default_factory=lambda: Gate(None))
    decoding_gate: Gate = field(default_factory=lambda: Gate(None))
    fail_prompt: str = "FAIL"
    silent: bool = False
    closed: bool = False
    batches: list[int] = field(default_factory=list)

    @property
    def forwards(self) -> int:
        return len(self.batches)

    def evaluations(self, plan: GenerationPlan) -> int:
        return plan.steps

    def start(self, plan: GenerationPlan) -> PlanSteps:
        """Count a number up per evaluation, so that one too many, or another's output, is heard."""
        state = yield Task("conditioning", lambda: plan.seed)
        for _ in range(plan.steps):
            rows = ((plan, state),) if plan.cfg_scale == 1 else ((plan, state), (plan, -1))
            state = (yield rows)[0]  # type: ignore[misc]
        for _ in range(DECODE_PIECES - 1):
            yield Task("decoding", self.decoding_gate.enter)
        audio: Audio = yield Task("decoding", lambda: self._decode(plan, state))
        return audio

    def ignored_words(self, prompt: str, negative_prompt: str | None) -> tuple[str, ...]:
        said = f"{prompt} {negative_prompt or ''}".split()
        return tuple(dict.fromkeys(word for word in said if word in UNKNOWN_WORDS))

    def forward(self, rows: Sequence[Any]) -> Sequence[Any]:
        self.gate.enter()
        self.batches.append(len(rows))
        if any(self.fail_prompt in plan.words.prompt for plan, _ in rows):
            raise RuntimeError("the fake engine was told to fail")
        return [state + 1 for _, state in rows]

    def _decode(self, plan: GenerationPlan, state: int) -> Audio:
        self.decoding_gate.enter()
        audio = np.zeros((2, plan.made_samples), np.float32)
        if self.silent:
            return audio
        rng = np.random.default_rng(state - plan.steps)
        audio += rng.normal(0, 0.01, audio.shape).astype(np.float32)
        # a tone, or the noise and the clicks would be noise alone, which is drawn again
        audio += 0.1 * np.sin(
            2 * np.pi * 220 / RATE * np.arange(plan.made_samples, dtype=np.float32)
        )
        beat = 60 / float(plan.bpm or 120) * RATE
        audio[:, (np.arange(0, plan.made_samples, beat)).astype(int)] = 0.5
        return audio

    def gpu_memory(self) -> Mapping[str, float]:
        return {}

    def close(self) -> None:
        self.closed = True


def fake_service(
    load: Load | None = None,
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


class SlowEngine(FakeEngine):
    """Takes its time, for tests in which something happens meanwhile in another process."""

    STEP_SECONDS = 0.02

    def forward(self, rows: Sequence[Any]) -> Sequence[Any]:
        time.sleep(self.STEP_SECONDS)
        return super().forward(rows)


def make_fake_service(settings: Settings) -> Service:
    """Make a service of fakes; at the top level, so that a runner can be told to make it."""
    return fake_service(settings=settings)


def make_slow_service(settings: Settings) -> Service:
    """Make a service of a slow engine that serves two requests at a time."""
    return fake_service(lambda _: SlowEngine(), settings=settings, max_requests=2)
