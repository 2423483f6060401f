"""What the layers above know of every model of latents.

Knows: the shapes and the vocabulary shared by the models (stable-audio's and the embedded pocket).
Does not know: devices, batches across requests, settings, files, HTTP.
A model is stateless between calls: the same arguments give the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

Objective = Literal["rf_denoiser", "rectified_flow", "v"]
"""What a denoiser was trained to predict, as ``model_config.json`` calls it."""


@dataclass(frozen=True)
class LatentSpec:
    """The fixed facts of a model.

    Attributes:
        sample_rate: Sample rate of its audio, in Hz.
        window_samples: The longest audio it makes (the reference's ``sample_size``).
        channels: Channels of a latent frame.
        hop: Samples per latent frame.
        objective: What its denoiser predicts.
        shift: The lengths in frames between which the schedule is shifted, shortest and longest;
            None: the model was not trained with a shift.
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
    """The words and numbers that condition a model.

    Attributes:
        prompt: What to play.
        negative_prompt: What to keep out; None: nothing in particular.
        seconds_total: The length the model is told.
        bpm: The tempo in beats per minute, if there is one. A model that is told the tempo as a
            number takes it from here, not from the words.
    """

    prompt: str
    negative_prompt: str | None
    seconds_total: float
    bpm: float | None = None


@dataclass(frozen=True)
class Gaussian:
    """A diagonal normal distribution over latents, as an encoder answers.

    Attributes:
        mean: [channels, frames].
        std: [channels, frames].
    """

    mean: Tensor
    std: Tensor

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw latents [channels, frames]."""
        # on the generator's device, the CPU: a seed gives the same noise wherever the model is
        shape, dtype = self.mean.shape, self.mean.dtype
        noise = torch.randn(shape, generator=generator, device=generator.device, dtype=dtype)
        return self.mean + self.std * noise.to(self.mean.device)


@dataclass(frozen=True)
class Conditioning:
    """The conditioning of a row; each model subclasses it with the tensors its denoiser takes."""


@dataclass(frozen=True)
class Row:
    """A row of a denoiser's batch.

    Attributes:
        x: Noisy latents, [channels, frames].
        t: The time in 0 … 1; 1 is pure noise.
        conditioning: What the denoiser is conditioned on.
    """

    x: Tensor
    t: float
    conditioning: Conditioning


Noise = Callable[[], Tensor]
"""Draws standard normal noise, [channels, frames]."""

Sampler = Generator[tuple[Tensor, float], Tensor, Tensor]
"""Yields (x [channels, frames], t), is sent the model's output for them, returns the latents."""

Denoising = Generator[tuple[Row, ...], Sequence[Tensor], Tensor]
"""Yields the rows to evaluate, is sent an output per row, returns latents [channels, frames]."""

Encoding = Generator[None, None, Gaussian]
"""Returns the latents' distribution; yields between parts of the work, so others get a turn."""

Decoding = Iterator[Tensor]
"""Pieces of audio, [2, samples of the piece]; each is computed when it is asked for."""


class LatentModel(Protocol):
    """A model from text to latents, and from latents to audio and back.

    All tensors are float32 unless the model was cast.
    """

    @property
    def spec(self) -> LatentSpec:
        """The fixed facts."""
        ...

    def condition(self, text: TextPrompt) -> tuple[Conditioning, Conditioning]:
        """Return the positive conditioning of a prompt and the negative one.

        The negative one is that of the negative prompt, or of no prompt where there is none.
        """
        ...

    def ignored_words(self, prompt: str, negative_prompt: str | None) -> tuple[str, ...]:
        """Return the words of both prompts that have no effect, as written, each once.

        The model was never trained on them, or they are past where it stops reading.
        """
        ...

    def denoise(self, x: Tensor, t: Tensor, conditioning: Sequence[Conditioning]) -> Tensor:
        """Evaluate the denoiser once.

        Args:
            x: Noisy latents, [rows, channels, frames].
            t: The time of each row in 0 … 1, [rows].
            conditioning: The conditioning of each row.

        Returns:
            What the model's objective predicts, [rows, channels, frames].
        """
        ...

    def encode(self, audio: Tensor, frames: int) -> Encoding:
        """Encode the first frames of a window that begins with this audio and is silent after it.

        Args:
            audio: [2, samples] at the model's rate, at most a window.
            frames: How many, 1 … spec.frames.
        """
        ...

    def decode(self, latents: Tensor, samples: int, generator: torch.Generator) -> Decoding:
        """Decode latents to audio, piece by piece from the start.

        Args:
            latents: [channels, frames].
            samples: How many to decode, at most frames * hop.
            generator: Draws the noise that a decoder needs.
        """
        ...
