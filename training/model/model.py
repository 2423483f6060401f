"""`pocket` as a model of latents: prompt, denoiser and codec put together, weights from the package."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loopwright.model.base import Conditioning, Decoding, Encoding, Gaussian, LatentSpec, TextPrompt
from loopwright.model.checkpoint import load_strictly, read_tensors
from loopwright.model.pocket.layers import HOP, SAMPLE_RATE
from training.model.denoiser import Denoiser
from training.model.drums import DrumDecoder
from training.model.encoder import Encoder
from training.model.tokens import DEFAULT_BPM, NOTHING, Tokens, tokenize
from training.model.tones import ToneDecoder

MARGIN = 16
"""Latent frames after the last one wanted that may still change it: the networks' and the longest window's reach."""


@dataclass(frozen=True)
class PocketConditioning(Conditioning):
    """tokens: [MAX_TOKENS]; bpm: beats per minute, []."""

    tokens: Tensor
    bpm: Tensor


class PocketModel(nn.Module):
    """Implements ``LatentModel``. A latent frame's first channels are about drums, the others about tones.

    latent_mean, latent_spread: of the codec's latents, [channels]; the denoiser's have mean 0 and spread 1.
    """

    latent_mean: Tensor
    latent_spread: Tensor

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.vocabulary: Mapping[str, int] = config["vocabulary"]
        self.drum_channels: int = config["drum_channels"]
        channels = config["denoiser"]["channels"]
        self.spec = LatentSpec(
            SAMPLE_RATE, config["window_samples"], channels, HOP, "rectified_flow", schedule="log_snr"
        )
        self.denoiser = Denoiser(**config["denoiser"])
        self.encoder = Encoder(channels)
        self.drums = DrumDecoder(self.drum_channels)
        self.tones = ToneDecoder(channels - self.drum_channels)
        self.register_buffer("latent_mean", torch.zeros(channels))
        self.register_buffer("latent_spread", torch.ones(channels))

    def condition(self, text: TextPrompt) -> tuple[Conditioning, Conditioning]:
        """The prompt's words and tempo; its opposite has the negative prompt's words, or none, at the same tempo."""
        positive = tokenize(text.prompt, self.vocabulary)
        negative = tokenize(text.negative_prompt, self.vocabulary) if text.negative_prompt else NOTHING
        bpm = text.bpm or positive.bpm or DEFAULT_BPM
        return self._conditioning(positive, bpm), self._conditioning(negative, bpm)

    def unknown_words(self, prompt: str) -> tuple[str, ...]:
        """The words of a prompt that the model has never seen."""
        return tokenize(prompt, self.vocabulary).unknown

    def denoise(self, x: Tensor, t: Tensor, conditioning: Sequence[Conditioning]) -> Tensor:
        """The velocity, noise minus data. x: [rows, channels, frames], t: [rows] -> [rows, channels, frames]."""
        own = [one for one in conditioning if isinstance(one, PocketConditioning)]
        tokens, bpm = torch.stack([one.tokens for one in own]), torch.stack([one.bpm for one in own])
        frames = x.shape[-1]
        whole = F.pad(x, (0, -frames % self.denoiser.patch)).transpose(1, 2)
        velocity: Tensor = self.denoiser(whole, t, tokens, bpm)
        return velocity.transpose(1, 2)[..., :frames]

    def encode(self, audio: Tensor, frames: int) -> Encoding:
        """At once: it takes a few hundredths of a second. The encoder is sure of its latents."""
        yield from ()
        heard = min(frames + MARGIN, self.spec.frames) * HOP
        padded = F.pad(audio[:, :heard], (0, max(0, heard - audio.shape[1])))
        latents = (self.encoder(padded[None])[0, :frames] - self.latent_mean) / self.latent_spread
        return Gaussian(latents.T, torch.zeros_like(latents.T))

    def decode(self, latents: Tensor, samples: int, generator: torch.Generator) -> Decoding:
        """At once, as far as it is wanted; the generator gives the noise of the drums."""
        wanted = latents[:, : -(-samples // HOP) + MARGIN]
        codec = wanted.T[None] * self.latent_spread + self.latent_mean
        about_drums, about_tones = codec[..., : self.drum_channels], codec[..., self.drum_channels :]
        mid, side = (self.drums(about_drums, generator) + self.tones(about_tones))[0]
        yield torch.stack([mid + side, mid - side])[:, :samples]

    def _conditioning(self, tokens: Tokens, bpm: float) -> PocketConditioning:
        device = self.latent_mean.device
        return PocketConditioning(torch.tensor(tokens.ids, device=device), torch.tensor(bpm, device=device))


def load_pocket_from(folder: Path) -> PocketModel:
    """A model of this kind from a folder with ``config.json`` and ``model.safetensors``."""
    model = PocketModel(json.loads((folder / "config.json").read_text()))
    load_strictly(model, dict(read_tensors(folder / "model.safetensors")))
    return model.eval().requires_grad_(requires_grad=False)
