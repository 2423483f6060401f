"""What the serving side knows of a loaded model.

Knows: a plan goes in, rows to evaluate and tasks to do come out step by step, audio at the end.
Does not know: how any of it is computed.
An engine's plans are driven by the scheduler alone; ``info`` and ``batching`` may be read from any
thread.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from loopwright.audio.types import Audio
from loopwright.model.family import EngineName, Precision
from loopwright.planning.plan import GenerationPlan, ModelLimits

if TYPE_CHECKING:  # torch takes a second to import; the service must not wait for it
    import torch

    from loopwright.model.base import Row


@dataclass(frozen=True)
class ModelKey:
    """Which model is meant.

    Args:
        source: ``pocket``, a hub repository (``owner/name``) or a folder.
        checkpoint: The checkpoint of a finetune; None: the model itself.
    """

    source: str
    checkpoint: str | None = None

    def __str__(self) -> str:
        return self.source if self.checkpoint is None else f"{self.source}/{self.checkpoint}"

    @property
    def type(self) -> Literal["standard", "finetune"]:
        """``finetune`` where a checkpoint replaces weights of the base model."""
        return "standard" if self.checkpoint is None else "finetune"


@dataclass(frozen=True)
class ModelInfo:
    """The facts of a loaded model.

    Args:
        key: Which model it is.
        name: Its name for people.
        device: ``cpu``, ``cuda`` or ``mps``.
        objective: What its denoiser predicts (``model.base.Objective``).
        latent_channels: Channels of a latent frame.
        limits: What it can be asked for.
        memory_bytes: Memory that its weights take.
        cuda_available: Whether this machine has a CUDA GPU, used or not.
        limitations: What the model cannot do, a sentence each.
        engine: What computes it.
        precision: The numbers it is computed in.
    """

    key: ModelKey
    name: str
    device: str
    objective: str
    latent_channels: int
    limits: ModelLimits
    memory_bytes: int
    cuda_available: bool = False
    limitations: tuple[str, ...] = ()
    engine: EngineName = "torch"
    precision: Precision = "f32"


@dataclass(frozen=True)
class Task:
    """A piece of a plan's work other than evaluating rows.

    Args:
        stage: The stage that its time is counted under.
        do: Does the work, in whatever thread, and returns its result.
    """

    stage: Literal["conditioning", "decoding"]
    do: Callable[[], object]


PlanSteps = Generator["tuple[Row, ...] | Task", Any, Audio]
"""A plan carried out step by step.

Yields rows to be evaluated, and is sent one output [channels, frames] per row; or yields a task,
and is sent what the task returned. The first step is a task. Returns the plan's audio,
[2, plan.made_samples].
"""


@dataclass(frozen=True)
class Batching:
    """What an engine gains by batching and by concurrency.

    Args:
        max_batch_size: The most rows in one forward that still make a row cheaper.
        overlaps: Whether a task may be done in a second thread while rows are evaluated: on CUDA.
            On a CPU the two would compete for the same cores.
    """

    max_batch_size: int = 1
    overlaps: bool = False


class Engine(Protocol):
    """A loaded model that carries out plans."""

    @property
    def info(self) -> ModelInfo:
        """The facts of the model."""
        ...

    @property
    def batching(self) -> Batching:
        """What the engine gains by batching and by concurrency."""
        ...

    def start(self, plan: GenerationPlan) -> PlanSteps:
        """Return the plan's steps. Nothing is computed before the first is taken."""
        ...

    def evaluations(self, plan: GenerationPlan) -> int:
        """Return how many times the plan's steps yield rows."""
        ...

    def forward(self, rows: Sequence[Row]) -> Sequence[torch.Tensor]:
        """Evaluate rows in one forward of the denoiser.

        Returns:
            One output [channels, frames] per row.
        """
        ...

    def ignored_words(self, prompt: str, negative_prompt: str | None) -> tuple[str, ...]:
        """Return the words of both prompts, as they are written there, that have no effect.

        The model has never seen them, or does not read so far. Any thread may ask.
        """
        ...

    def gpu_memory(self) -> Mapping[str, float]:
        """Return ``gpu_memory_used`` and ``gpu_memory_peak`` in GB on CUDA, nothing elsewhere."""
        ...

    def close(self) -> None:
        """Free the model's memory."""
        ...


@dataclass(frozen=True)
class Stopgap:
    """An engine that serves at once, until a quicker one of the same model is made.

    Args:
        engine: The engine that serves meanwhile.
        improve: Makes the quicker engine. Takes seconds to minutes; raises where it cannot be done.
    """

    engine: Engine
    improve: Callable[[], Engine]
