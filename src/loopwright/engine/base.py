"""What the serving side knows of a loaded model.

Knows: plans go in, rows to evaluate and work to do come out step by step, audio at the end. Does not know: how any of it is
computed. An engine's runs are driven by the scheduler alone; ``info`` and ``batching`` may be read from any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from loopwright.model.family import EngineName, Precision
from loopwright.planning.plan import GenerationPlan, ModelLimits

if TYPE_CHECKING:  # torch takes a second to import; the service must not wait for it
    import torch

    from loopwright.model.base import Row

Audio = NDArray[np.float32]
"""[2, samples], full scale is ±1."""


@dataclass(frozen=True)
class ModelKey:
    """Which model: ``pocket``, a hub repository (``owner/name``) or a folder; a finetune also names its checkpoint."""

    source: str
    checkpoint: str | None = None

    def __str__(self) -> str:
        return self.source if self.checkpoint is None else f"{self.source}/{self.checkpoint}"

    @property
    def type(self) -> Literal["standard", "finetune"]:
        """``finetune`` where a checkpoint is laid over the base model."""
        return "standard" if self.checkpoint is None else "finetune"


@dataclass(frozen=True)
class ModelInfo:
    """What is said of a loaded model. device: ``cpu``, ``cuda`` or ``mps``.

    limitations: what it cannot do, a sentence each. memory_bytes: what its weights take.
    cuda_available: whether this machine has a GPU of that kind, used or not. engine, precision: what computes it, and in which
    numbers.
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
    """A piece of a run's own work: the scheduler calls ``do`` when it is the run's turn, and sends the run what it returns."""

    stage: Literal["conditioning", "decoding"]
    do: Callable[[], object]


Steps = Generator["tuple[Row, ...] | Task", Any, Audio]
"""A run, step by step. Yields the rows it wants evaluated, and is sent an output [channels, frames] a row; or its own work, and
is sent what that returned; work comes first. Returns the plan's audio, [2, plan.made_samples]."""


@dataclass(frozen=True)
class Run:
    """A plan being carried out. evaluations: how many times rows will be asked for; rows: how many in all."""

    steps: Steps
    evaluations: int
    rows: int


@dataclass(frozen=True)
class Batching:
    """How an engine likes its work. rows: the most in one forward that still make a row cheaper.

    overlaps: whether a run's own work may be done while rows are evaluated, in another thread.
    """

    rows: int = 1
    overlaps: bool = False


class Engine(Protocol):
    """A loaded model."""

    @property
    def info(self) -> ModelInfo:
        """What is said of the model."""
        ...

    @property
    def batching(self) -> Batching:
        """How it likes its work."""
        ...

    def start(self, plan: GenerationPlan) -> Run:
        """A plan to be carried out. Nothing is computed yet."""
        ...

    def forward(self, rows: Sequence[Row]) -> Sequence[torch.Tensor]:
        """One forward of the denoiser; an output [channels, frames] a row."""
        ...

    def ignored_words(self, prompt: str, negative_prompt: str | None) -> tuple[str, ...]:
        """Return the words of both prompts, as they are written there, that have no effect.

        The model has never seen them, or does not read so far. Any thread may ask.
        """
        ...

    def gpu_memory(self) -> Mapping[str, float]:
        """``gpu_memory_used`` and ``gpu_memory_peak`` in GB on CUDA; empty elsewhere."""
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...


@dataclass(frozen=True)
class Stopgap:
    """An engine that serves at once, until a quicker one of the same model is made.

    Args:
        engine: The one that serves meanwhile.
        improve: Makes the quicker one. Takes seconds to minutes; raises where it cannot be done.
    """

    engine: Engine
    improve: Callable[[], Engine]
