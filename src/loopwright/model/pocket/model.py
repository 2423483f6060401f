"""`pocket` as a model of latents: prompt, denoiser and codec put together, weights from the package."""

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
from loopwright.model.pocket.decoder import Decoder
from loopwright.model.pocket.denoiser import Denoiser
from loopwright.model.pocket.encoder import Encoder
from loopwright.model.pocket.layers import HOP, SAMPLE_RATE
from loopwright.model.pocket.tokens import DEFAULT_BPM, NOTHING, UNKNOWN, Tokens, tokenize


@dataclass(frozen=True)
class PocketConditioning(Conditioning):
    """tokens: [MAX_TOKENS]; bpm: beats per minute, []."""

    tokens: Tensor
    bpm: Tensor


class PocketModel(nn.Module):
    """Implements ``LatentModel``. latent_scale: the standard deviation of the codec's latents; the denoiser's have 1."""

    latent_scale: float

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.vocabulary: Mapping[str, int] = config["vocabulary"]
        self.latent_scale = config["latent_scale"]
        channels = config["denoiser"]["channels"]
        self.spec = LatentSpec(
            SAMPLE_RATE, config["window_samples"], channels, HOP, "rectified_flow", schedule="linear"
        )
        self.denoiser = Denoiser(**config["denoiser"])
        self.encoder = Encoder(channels)
        self.decoder = Decoder(channels)

    def condition(self, text: TextPrompt) -> tuple[Conditioning, Conditioning]:
        """The prompt's words and tempo; its opposite has the negative prompt's words, or none, at the same tempo."""
        positive = tokenize(text.prompt, self.vocabulary)
        negative = tokenize(text.negative_prompt, self.vocabulary) if text.negative_prompt else NOTHING
        bpm = text.bpm or positive.bpm or DEFAULT_BPM
        return self._conditioning(positive, bpm), self._conditioning(
            negative if _says_something(negative) else NOTHING, bpm
        )

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
        """The whole window is encoded at once: it takes a few hundredths of a second."""
        yield from ()
        window = F.pad(audio, (0, self.spec.frames * HOP - audio.shape[1]))
        mean, log_variance = (part[0, :frames].T for part in self.encoder(window[None]))
        return Gaussian(mean / self.latent_scale, torch.exp(0.5 * log_variance) / self.latent_scale)

    def decode(self, latents: Tensor, samples: int, generator: torch.Generator) -> Decoding:
        """The whole window is decoded at once; the generator gives the noise of the noise bands."""
        audio: Tensor = self.decoder(latents.T[None] * self.latent_scale, generator)
        yield audio[0, :, :samples]

    def _conditioning(self, tokens: Tokens, bpm: float) -> PocketConditioning:
        device = self.encoder.mean.device
        return PocketConditioning(torch.tensor(tokens.ids, device=device), torch.tensor(bpm, device=device))


def load_pocket() -> PocketModel:
    """The embedded model, in float32 on the CPU. Raises CheckpointError if its files are not whole."""
    with resources.as_file(resources.files("loopwright.weights") / "pocket") as folder:
        return load_pocket_from(folder)


def load_pocket_from(folder: Path) -> PocketModel:
    """A model of this kind from a folder with ``config.json`` and ``model.safetensors``."""
    model = PocketModel(json.loads((folder / "config.json").read_text()))
    load_strictly(model, read_tensors(folder / "model.safetensors"))
    return model.eval().requires_grad_(requires_grad=False)


def _says_something(tokens: Tokens) -> bool:
    return any(token > UNKNOWN for token in tokens.ids)
