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
from loopwright.model.pocket.denoiser import Denoiser, velocity_to
from loopwright.model.pocket.drums import DrumDecoder
from loopwright.model.pocket.encoder import PocketEncoder
from loopwright.model.pocket.family import DEFAULT_BPM
from loopwright.model.pocket.layers import HOP, SAMPLE_RATE
from loopwright.model.pocket.playing import Playing
from loopwright.model.pocket.tokens import NOTHING, Tokens, tokenize
from loopwright.model.pocket.tones import (
    LOUDEST_NOTE,
    LOWEST_NOTE,
    NOTES,
    ROLL_CHANNELS,
    ROLLS,
    ToneDecoder,
)

HIGHEST_BASS_NOTE = 47
"""The MIDI number of the highest note that basses had in training: B2; chords begin above it."""

MARGIN = 20
"""Latent frames after the last one wanted that may still change it: the networks' and the longest window's reach."""


@dataclass(frozen=True)
class PocketConditioning(Conditioning):
    """tokens: [MAX_TOKENS]; bpm: beats per minute, []; silent: channels that are to say nothing, [channels]."""

    tokens: Tensor
    bpm: Tensor
    silent: Tensor


class PocketModel(nn.Module):
    """Implements ``LatentModel``. A latent frame's first channels are about drums, the others about tones.

    latent_mean, latent_spread: of the codec's latents, [channels]; the denoiser's have mean 0 and spread 1.
    latent_silence: the latents of silence, in the denoiser's scale, [channels].
    """

    latent_silence: Tensor

    latent_mean: Tensor
    latent_spread: Tensor

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.vocabulary: Mapping[str, int] = config["vocabulary"]
        self.playing = Playing(self.vocabulary, frozenset(config["pitched"]))
        self.drum_channels: int = config["denoiser"]["drum_channels"]
        channels = config["denoiser"]["channels"]
        self.spec = LatentSpec(
            SAMPLE_RATE, config["window_samples"], channels, HOP, "rectified_flow"
        )
        self.denoiser = Denoiser(**config["denoiser"])
        self.encoder = PocketEncoder(self.drum_channels)
        self.drums = DrumDecoder(self.drum_channels)
        self.tones = ToneDecoder()
        self.register_buffer("latent_mean", torch.zeros(channels))
        self.register_buffer("latent_spread", torch.ones(channels))
        self.register_buffer("latent_silence", torch.zeros(channels))

    @property
    def loudest_note(self) -> Tensor:
        """A note as loud as any was in training, as the denoiser has it, []."""
        return LOUDEST_NOTE / self.latent_spread[self.drum_channels]

    def condition(self, text: TextPrompt) -> tuple[Conditioning, Conditioning]:
        """Return the prompt's words and tempo, and its opposite's, at the same tempo.

        What has channels of its own is silent in both where the negative prompt names it: guidance alone
        leaves some of it. The opposite has the other words of the negative prompt, or none.
        """
        positive, negative = self._read(text.prompt, text.negative_prompt)
        bpm, silent = text.bpm or DEFAULT_BPM, self._silent(negative)
        return self._conditioning(positive, bpm, silent), self._conditioning(
            self.playing.led_from(negative), bpm, silent
        )

    def ignored_words(self, prompt: str, negative_prompt: str | None) -> tuple[str, ...]:
        """Return the words of no meaning it knows, and those beyond the tokens it has room for.

        Words that say nothing, such as `the`, are not among them.
        """
        positive, negative = self._read(prompt, negative_prompt)
        return tuple(dict.fromkeys((*positive.ignored, *negative.ignored)))

    def _read(self, prompt: str, negative_prompt: str | None) -> tuple[Tokens, Tokens]:
        """Return the tokens of both prompts as they condition the denoiser."""
        negative = tokenize(negative_prompt, self.vocabulary) if negative_prompt else NOTHING
        return self.playing.completed(tokenize(prompt, self.vocabulary), negative), negative

    def denoise(self, x: Tensor, t: Tensor, conditioning: Sequence[Conditioning]) -> Tensor:
        """The velocity, noise minus data. x: [rows, channels, frames], t: [rows] -> [rows, channels, frames]."""
        own = [one for one in conditioning if isinstance(one, PocketConditioning)]
        tokens, bpm = (
            torch.stack([one.tokens for one in own]),
            torch.stack([one.bpm for one in own]),
        )
        frames = x.shape[-1]
        whole = F.pad(x, (0, -frames % self.denoiser.patch)).transpose(1, 2)
        velocity: Tensor = self.denoiser(whole, t, tokens, bpm, self.loudest_note).transpose(1, 2)[
            ..., :frames
        ]
        to_silence = velocity_to(self.latent_silence[:, None], x, t)
        return torch.where(
            torch.stack([one.silent for one in own])[..., None], to_silence, velocity
        )

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
        about_drums, about_tones = (
            codec[..., : self.drum_channels],
            codec[..., self.drum_channels :],
        )
        mid, side = (self.drums(about_drums, generator) + self.tones(about_tones))[0]
        yield torch.stack([mid + side, mid - side])[:, :samples]

    def _silent(self, negative: Tokens) -> Tensor:
        """Channels of what the negative prompt names as a whole: drums, basses (by their range), all that is pitched."""
        silent = torch.zeros(self.spec.channels, dtype=torch.bool, device=self.latent_mean.device)
        notes = silent[self.drum_channels : self.drum_channels + ROLL_CHANNELS].view(ROLLS, NOTES)
        silent[: self.drum_channels] = self.playing.without_drums(negative)
        notes[:, : HIGHEST_BASS_NOTE + 1 - LOWEST_NOTE] = self.playing.without_bass(negative)
        notes[:, HIGHEST_BASS_NOTE + 1 - LOWEST_NOTE :] = self.playing.without_pitched(negative)
        return silent

    def _conditioning(self, tokens: Tokens, bpm: float, silent: Tensor) -> PocketConditioning:
        device = self.latent_mean.device
        return PocketConditioning(
            torch.tensor(tokens.ids, device=device), torch.tensor(float(bpm), device=device), silent
        )


def load_pocket() -> PocketModel:
    """The embedded model, in float32 on the CPU. Raises CheckpointError if its files are not whole."""
    with resources.as_file(resources.files("loopwright.weights") / "pocket") as folder:
        return load_pocket_from(folder)


def load_pocket_from(folder: Path) -> PocketModel:
    """A model of this kind from a folder with ``config.json`` and ``model.safetensors``."""
    model = PocketModel(json.loads((folder / "config.json").read_text()))
    load_strictly(model, dict(read_tensors(folder / "model.safetensors")))
    return model.eval().requires_grad_(requires_grad=False)
