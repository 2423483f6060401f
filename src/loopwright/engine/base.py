"""What the serving side knows of a loaded model.

Knows: plans go in, rows to evaluate come out step by step, audio at the end. Does not know: how any of it is computed.
An engine is used by one worker thread at a time; ``info`` may be read from any thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from loopwright.plan import GenerationPlan, ModelLimits

if TYPE_CHECKING:  # torch takes a second to import; the service must not wait for it
    import torch

    from loopwright.model.base import Denoising, Row

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
    cuda_available: whether this machine has a GPU of that kind, used or not.
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


@dataclass(frozen=True)
class Run:
    """A plan being carried out. evaluations: how many times rows will be asked for; generator: the run's own noise."""

    plan: GenerationPlan
    denoising: Denoising
    evaluations: int
    generator: torch.Generator


class Engine(Protocol):
    """A loaded model."""

    @property
    def info(self) -> ModelInfo:
        """What is said of the model."""
        ...

    def start(self, plan: GenerationPlan) -> Run:
        """Condition the model and draw the start noise. No denoising yet."""
        ...

    def forward(self, rows: Sequence[Row]) -> Sequence[torch.Tensor]:
        """One forward of the denoiser; an output [channels, frames] a row."""
        ...

    def finish(self, run: Run, latents: torch.Tensor) -> Audio:
        """Decode latents [channels, frames] to the plan's audio, [2, plan.made_samples]."""
        ...

    def gpu_memory(self) -> Mapping[str, float]:
        """``gpu_memory_used`` and ``gpu_memory_peak`` in GB on CUDA; empty elsewhere."""
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...
