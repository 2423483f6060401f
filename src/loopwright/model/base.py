"""What every model of latents is to the rest of the house.

Knows: the shapes and the vocabulary shared by the models (stable-audio's and the embedded one).
Does not know: devices, batches across requests, settings, files, HTTP.
A model is stateless between calls: the same arguments give the same result.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

Objective = Literal["rf_denoiser", "rectified_flow", "v"]


@dataclass(frozen=True)
class LatentSpec:
    """The fixed facts of a model.

    sample_rate: Hz. window_samples: the longest audio it makes, in samples (the reference's ``sample_size``).
    hop: samples per latent frame. channels: of one latent frame.
    shift: the schedule's shift by length (``min_length``, ``max_length`` in frames), if the model was trained with one.
    """

    sample_rate: int
    window_samples: int
    channels: int
    hop: int
    objective: Objective
    shift: tuple[int, int] | None = None

    @property
    def frames(self) -> int:
        """Latent frames of the whole window."""
        return self.window_samples // self.hop


@dataclass(frozen=True)
class TextPrompt:
    """What a model is asked for in words.

    bpm: the tempo asked for, in beats per minute, where there is one. A model that is told the tempo
    as a number takes it from here, not from the words.
    """

    prompt: str
    negative_prompt: str | None
    seconds_total: float
    bpm: float | None = None


@dataclass(frozen=True)
class Gaussian:
    """The encoder's answer: a diagonal normal distribution over latents. mean, std: [channels, frames]."""

    mean: Tensor
    std: Tensor

    def sample(self, generator: torch.Generator) -> Tensor:
        """One draw, [channels, frames], its noise made on the generator's device."""
        noise = torch.randn(
            self.mean.shape, generator=generator, device=generator.device, dtype=self.mean.dtype
        )
        return self.mean + self.std * noise.to(self.mean.device)


@dataclass(frozen=True)
class Conditioning:
    """One row's conditioning, as the denoiser takes it; each model has its own subclass with its own tensors."""


@dataclass(frozen=True)
class Row:
    """One row of a denoiser's forward. x: [channels, frames], t in 0…1 (1 is pure noise)."""

    x: Tensor
    t: float
    conditioning: Conditioning


Sampler = Generator[tuple[Tensor, float], Tensor, Tensor]
"""Yields (x [channels, frames], t), is sent the model's output for them, returns the latents [channels, frames]."""

Denoising = Generator[tuple[Row, ...], Sequence[Tensor], Tensor]
"""Yields the rows it wants evaluated, is sent one output a row, returns the latents [channels, frames]."""

Encoding = Generator[None, None, Gaussian]
"""Returns the latents' distribution [channels, frames]; yields between pieces of the work, so others can have a turn."""

Decoding = Iterator[Tensor]
"""Audio piece by piece, [2, samples of the piece]; each is computed when it is asked for."""


class LatentModel(Protocol):
    """Text and latents in, latents and audio out. All tensors are float32 unless the model was cast."""

    @property
    def spec(self) -> LatentSpec:
        """The fixed facts."""
        ...

    def condition(self, text: TextPrompt) -> tuple[Conditioning, Conditioning]:
        """The conditioning of the prompt, and that of its opposite for guidance (negative prompt, or nothing)."""
        ...

    def ignored_words(self, prompt: str, negative_prompt: str | None) -> tuple[str, ...]:
        """Return the words of both prompts, as they are written there, that have no effect.

        Each once. The model has never seen them, or does not read so far.
        """
        ...

    def denoise(self, x: Tensor, t: Tensor, conditioning: Sequence[Conditioning]) -> Tensor:
        """One forward. x: [rows, channels, frames], t: [rows] in 0…1, one conditioning a row -> x's shape."""
        ...

    def encode(self, audio: Tensor, frames: int) -> Encoding:
        """The first frames of a window that begins with this audio and is silent after it.

        audio: [2, samples] at the model's rate, at most a window; frames: 1 … spec.frames.
        """
        ...

    def decode(self, latents: Tensor, samples: int, generator: torch.Generator) -> Decoding:
        """latents: [channels, frames] -> the first samples of [2, frames * hop], from the first on.

        The generator gives what noise the decoder needs.
        """
        ...
