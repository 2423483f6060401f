"""The embedded model put together: prompt, denoiser and codec, with weights from the package."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loopwright.model.base import Conditioning, Decoding, Encoding, Gaussian, LatentSpec, TextPrompt
from loopwright.model.checkpoint import load_strictly, read_tensors
from loopwright.model.pocket.denoiser import Denoiser, velocity_to
from loopwright.model.pocket.drums import DrumDecoder
from loopwright.model.pocket.encoder import PocketEncoder
from loopwright.model.pocket.family import DEFAULT_BPM
from loopwright.model.pocket.instrumentation import Instrumentation
from loopwright.model.pocket.layers import HOP, SAMPLE_RATE
from loopwright.model.pocket.tokens import NO_PROMPT, Tokens, tokenize
from loopwright.model.pocket.tones import (
    LOWEST_NOTE,
    MAX_LOUDNESS,
    NOTES,
    ROLL_CHANNELS,
    ROLLS,
    ToneDecoder,
)

HIGHEST_BASS_NOTE = 47
"""The MIDI number of the highest note of basses in training: B2; chords begin above it."""

MARGIN = 20
"""Latent frames after the last wanted one that still change it: the codec's reach."""


@dataclass(frozen=True)
class PocketConditioning(Conditioning):
    """The embedded model's conditioning on one prompt.

    Attributes:
        tokens: [MAX_TOKENS].
        bpm: Beats per minute, [].
        silent: Whether a channel is kept silent, [channels].
    """

    tokens: Tensor
    bpm: Tensor
    silent: Tensor


class PocketModel(nn.Module):
    """The embedded model; implements ``LatentModel``.

    A latent frame's first channels are drums, the others tones.

    Args:
        config: The content of ``config.json``.

    Attributes:
        latent_mean: Mean of the codec's latents, [channels]; the denoiser's have mean 0.
        latent_spread: Standard deviation of the codec's latents, [channels]; the denoiser's
            have deviation 1.
        latent_silence: Latents of silence in the denoiser's scale, [channels].
    """

    latent_silence: Tensor
    latent_mean: Tensor
    latent_spread: Tensor

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.vocabulary: Mapping[str, int] = config["vocabulary"]
        self.instrumentation = Instrumentation(self.vocabulary, frozenset(config["pitched"]))
        self.drum_channels: int = config["denoiser"]["drum_channels"]
        channels = config["denoiser"]["channels"]
        window = config["window_samples"]
        self.spec = LatentSpec(SAMPLE_RATE, window, channels, HOP, "rectified_flow")
        self.denoiser = Denoiser(**config["denoiser"])
        self.encoder = PocketEncoder(self.drum_channels)
        self.drums = DrumDecoder(self.drum_channels)
        self.tones = ToneDecoder()
        self.register_buffer("latent_mean", torch.zeros(channels))
        self.register_buffer("latent_spread", torch.ones(channels))
        self.register_buffer("latent_silence", torch.zeros(channels))

    @property
    def loudest_note(self) -> Tensor:
        """A note as loud as the loudest in training, in the denoiser's scale, []."""
        return MAX_LOUDNESS / self.latent_spread[self.drum_channels]

    def condition(self, text: TextPrompt) -> tuple[Conditioning, Conditioning]:
        """Return the conditioning on the prompt and on the negative prompt, at the same tempo.

        Parts with channels of their own (drums, basses, pitched instruments) are silent in both
        where the negative prompt names them: classifier-free guidance alone leaves a rest. The
        negative conditioning has the other words of the negative prompt, or none.
        """
        positive, negative = self._read(text.prompt, text.negative_prompt)
        silent = torch.zeros(self.spec.channels, dtype=torch.bool, device=self.latent_mean.device)
        # ``notes`` and ``drums`` are views: assigning to them sets ``silent``
        drums = silent[: self.drum_channels]
        notes = silent[self.drum_channels : self.drum_channels + ROLL_CHANNELS].view(ROLLS, NOTES)
        # basses have no channels of their own: they are the low notes
        basses = HIGHEST_BASS_NOTE + 1 - LOWEST_NOTE
        drums[:] = self.instrumentation.excludes_drums(negative)
        notes[:, :basses] = self.instrumentation.excludes_bass(negative)
        notes[:, basses:] = self.instrumentation.excludes_pitched(negative)
        bpm = torch.tensor(float(text.bpm or DEFAULT_BPM), device=silent.device)
        reduced = self.instrumentation.reduce_negative(negative)
        positive_ids = torch.tensor(positive.ids, device=silent.device)
        negative_ids = torch.tensor(reduced.ids, device=silent.device)
        return (
            PocketConditioning(positive_ids, bpm, silent),
            PocketConditioning(negative_ids, bpm, silent),
        )

    def ignored_words(self, prompt: str, negative_prompt: str | None) -> tuple[str, ...]:
        """Return the words that are not in the vocabulary, and those for which there is no room.

        Stop words, such as "the", are not among them.
        """
        positive, negative = self._read(prompt, negative_prompt)
        return tuple(dict.fromkeys((*positive.ignored, *negative.ignored)))

    def _read(self, prompt: str, negative_prompt: str | None) -> tuple[Tokens, Tokens]:
        """Return the tokens of both prompts as they condition the denoiser."""
        negative = tokenize(negative_prompt, self.vocabulary) if negative_prompt else NO_PROMPT
        positive = tokenize(prompt, self.vocabulary)
        return self.instrumentation.complete(positive, negative), negative

    def denoise(self, x: Tensor, t: Tensor, conditioning: Sequence[Conditioning]) -> Tensor:
        """Predict the velocity, noise minus data.

        Args:
            x: Noisy latents, [batch, channels, frames].
            t: Times, 0 (clean) to 1 (noise), [batch].
            conditioning: One per row of the batch.

        Returns:
            The shape of ``x``.
        """
        # for the type checker: a model is given back only what it made itself
        own = [row for row in conditioning if isinstance(row, PocketConditioning)]
        tokens = torch.stack([row.tokens for row in own])
        bpm = torch.stack([row.bpm for row in own])
        silent = torch.stack([row.silent for row in own])
        frames = x.shape[-1]
        # the denoiser takes whole patches of frames: the last one is padded with zeros
        whole = F.pad(x, (0, -frames % self.denoiser.patch)).transpose(1, 2)
        velocity: Tensor = self.denoiser(whole, t, tokens, bpm, self.loudest_note)
        velocity = velocity.transpose(1, 2)[..., :frames]
        to_silence = velocity_to(self.latent_silence[:, None], x, t)
        return torch.where(silent[..., None], to_silence, velocity)

    def encode(self, audio: Tensor, frames: int) -> Encoding:
        """Encode audio in one step, without a yield: it takes a few hundredths of a second.

        The result has no variance: the encoder predicts latents, not a distribution.
        """
        yield from ()  # makes this a generator, as the protocol asks
        heard = min(frames + MARGIN, self.spec.frames) * HOP
        missing = max(0, heard - audio.shape[1])
        padded = F.pad(audio[:, :heard], (0, missing))
        codec = self.encoder(padded[None])[0, :frames]
        latents = (codec - self.latent_mean) / self.latent_spread
        return Gaussian(latents.T, torch.zeros_like(latents.T))

    def decode(self, latents: Tensor, samples: int, generator: torch.Generator) -> Decoding:
        """Decode the first samples in one step; the generator draws the noise of the drums."""
        needed = latents[:, : -(-samples // HOP) + MARGIN]
        codec = needed.T[None] * self.latent_spread + self.latent_mean
        drums = self.drums(codec[..., : self.drum_channels], generator)
        tones = self.tones(codec[..., self.drum_channels :])
        mid, side = (drums + tones)[0]
        yield torch.stack([mid + side, mid - side])[:, :samples]


def load_pocket() -> PocketModel:
    """Load the embedded model, in float32 on the CPU.

    Raises:
        CheckpointError: A file in the package is incomplete.
    """
    with resources.as_file(resources.files("loopwright.weights") / "pocket") as folder:
        return load_pocket_from(folder)


def load_pocket_from(folder: Path) -> PocketModel:
    """Load a model from a folder with ``config.json`` and ``model.safetensors``."""
    model = PocketModel(json.loads((folder / "config.json").read_text()))
    load_strictly(model, dict(read_tensors(folder / "model.safetensors")))
    return model.eval().requires_grad_(requires_grad=False)
