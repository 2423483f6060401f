"""Models of the stable-audio family as models of latents: conditioner, denoiser and autoencoder put together.

Knows: how a ``model_config.json`` and its tensors become such a model. Does not know: devices, where files come from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from loopwright.errors import CheckpointError
from loopwright.model.autoencoder import Autoencoder, fold_weight_norm
from loopwright.model.base import Conditioning, Gaussian, LatentSpec, TextPrompt
from loopwright.model.checkpoint import Tensors, load_strictly, read_tensors
from loopwright.model.conditioning import Conditioner, Conditions
from loopwright.model.config import ModelConfig, parse_config
from loopwright.model.dit import DiffusionTransformer, KeysValues
from loopwright.model.files import files_in
from loopwright.model.text import TextEncoder

NAMES = (
    (r"^model\.model\.", "denoiser."),
    (r"^pretransform\.model\.", "autoencoder."),
    (r"^conditioner\.conditioners\.prompt\.proj_out\.", "conditioner.text."),
    (r"^conditioner\.conditioners\.(\w+)\.embedder\.embedding\.0\.weights$", r"conditioner.numbers.\1.frequencies"),
    (r"^conditioner\.conditioners\.(\w+)\.embedder\.embedding\.1\.", r"conditioner.numbers.\1.project."),
)
"""What parts are called in checkpoints of stable-audio-tools, and here."""

DERIVED = "denoiser.transformer.rotary_pos_emb.inv_freq"
"""Stored in checkpoints, but computed from the configuration."""


@dataclass(frozen=True)
class StableAudioConditioning(Conditioning):
    """keys_values: of cross-attention, a pair [heads, tokens, head width] a layer. global_cond: [global width]."""

    keys_values: Sequence[KeysValues]
    global_cond: Tensor


class StableAudioModel(nn.Module):
    """Implements ``LatentModel``."""

    def __init__(self, config: ModelConfig, text_encoder: TextEncoder) -> None:
        super().__init__()
        self.spec: LatentSpec = config.spec
        self.text_encoder = text_encoder
        self.conditioner = Conditioner(config.conditioning)
        self.denoiser = DiffusionTransformer(config.denoiser)
        self.autoencoder = Autoencoder(config.autoencoder)

    def condition(self, text: TextPrompt) -> tuple[Conditioning, Conditioning]:
        """The prompt, and its opposite: the negative prompt, or nothing (zeros) without one. Both with the same length."""
        texts = [text.prompt] if text.negative_prompt is None else [text.prompt, text.negative_prompt]
        numbers = {"seconds_start": 0.0, "seconds_total": text.seconds_total}
        return self.guidance_pair(self.conditioner(*self.text_encoder(texts), numbers))

    def guidance_pair(self, said: Conditions) -> tuple[Conditioning, Conditioning]:
        """said: of the prompt and, in a second row, of the negative prompt where there is one."""
        nothing = torch.zeros_like(said.context[:1])
        opposite = said.as_negative()[1:2] if len(said.context) > 1 else nothing
        pairs = self.denoiser.keys_values(torch.cat([said.context[:1], opposite]))
        positive, negative = (
            StableAudioConditioning([(keys[row], values[row]) for keys, values in pairs], said.global_cond[0])
            for row in range(2)
        )
        return positive, negative

    def denoise(self, x: Tensor, t: Tensor, conditioning: Sequence[Conditioning]) -> Tensor:
        """x: [rows, channels, frames], t: [rows], one conditioning a row -> what the objective predicts, x's shape."""
        own = [one for one in conditioning if isinstance(one, StableAudioConditioning)]
        layers = zip(*(one.keys_values for one in own), strict=True)
        pairs = [(torch.stack([k for k, _ in layer]), torch.stack([v for _, v in layer])) for layer in layers]
        out: Tensor = self.denoiser(x, t, pairs, torch.stack([one.global_cond for one in own]))
        return out

    def encode(self, audio: Tensor) -> Gaussian:
        """audio: [2, samples], whole hops -> the latents' distribution, [channels, frames]."""
        mean, std = self.autoencoder.encode(audio[None])
        return Gaussian(mean[0], std[0])

    def decode(self, latents: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG002 - this decoder needs no noise
        """latents: [channels, frames] -> [2, frames * hop]."""
        return self.autoencoder.decode(latents[None])[0]


def read_config(path: Path) -> ModelConfig:
    """The configuration in a file. Raises CheckpointError naming what it holds that is not supported."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, Mapping):
            raise ValueError("it must be an object")
        return parse_config(values)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path.name}: {error}") from None


def load_stable_audio(config: ModelConfig, tensors: Tensors, text_encoder: TextEncoder) -> StableAudioModel:
    """A model with these weights, in float32 on the CPU. Raises CheckpointError where they do not fit."""
    with torch.device("meta"):
        model = StableAudioModel(config, text_encoder)
    load_strictly(model, _by_our_names(fold_weight_norm(tensors)))
    return model.eval().requires_grad_(requires_grad=False)


def load_folder(folder: Path, text_encoder: TextEncoder) -> StableAudioModel:
    """A model from a folder of stable-audio-tools: ``model_config.json`` and ``model.safetensors`` or ``model.ckpt``."""
    files = files_in(folder)
    return load_stable_audio(read_config(files.config), read_tensors(files.weights), text_encoder)


def _by_our_names(tensors: Tensors) -> dict[str, Tensor]:
    ours = {_our_name(name): tensor for name, tensor in tensors.items()}
    ours.pop(DERIVED, None)
    return ours


def _our_name(name: str) -> str:
    for theirs, our in NAMES:
        name = re.sub(theirs, our, name)
    return name
