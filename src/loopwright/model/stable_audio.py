"""Models of the stable-audio family: conditioner, denoiser and autoencoder put together.

Only what is needed is computed: a text is encoded once, cross-attention's keys and values are
computed once per run, and the autoencoder's costly parts only for the audio that is asked for, with
their receptive field around it.
Knows: how a ``model_config.json`` and its tensors become such a model.
Does not know: devices, where files come from.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loopwright.errors import CheckpointError
from loopwright.model.autoencoder import Autoencoder, decoder_split, encoder_split, fold_weight_norm
from loopwright.model.base import Conditioning, Decoding, Encoding, Gaussian, LatentSpec, TextPrompt
from loopwright.model.checkpoint import Tensors, load_strictly
from loopwright.model.conditioning import Conditioner, Conditions
from loopwright.model.config import ModelConfig, parse_config
from loopwright.model.dit import DiffusionTransformer
from loopwright.model.text import TextEncoder
from loopwright.model.tile_pool import TilePool
from loopwright.model.tiling import Tile, tiles
from loopwright.system.measurements import CacheAsked, report

NAMES = (
    (r"^model\.model\.", "denoiser."),
    (r"^pretransform\.model\.", "autoencoder."),
    (r"^conditioner\.conditioners\.prompt\.proj_out\.", "conditioner.text."),
    (
        r"^conditioner\.conditioners\.(\w+)\.embedder\.embedding\.0\.weights$",
        r"conditioner.numbers.\1.frequencies",
    ),
    (
        r"^conditioner\.conditioners\.(\w+)\.embedder\.embedding\.1\.",
        r"conditioner.numbers.\1.project.",
    ),
)
"""What parts are called in checkpoints of stable-audio-tools, and here."""

TEXTS_REMEMBERED = 64
"""Texts whose hidden states are kept. Loop types have always the same two negative prompts."""

DERIVED = "denoiser.transformer.rotary_pos_emb.inv_freq"
"""Stored in checkpoints, but computed from the configuration."""


@dataclass(frozen=True)
class StableAudioConditioning(Conditioning):
    """The conditioning of a row, as far as it can be computed before the run.

    Attributes:
        keys_values: Those of cross-attention, [layers, 2, heads, tokens, head width].
        global_cond: [global width].
    """

    keys_values: Tensor
    global_cond: Tensor


class AutoencoderNetworks(Protocol):
    """The parts of an autoencoder, as ``Autoencoder`` has them.

    Shapes: c channels, p positions at the cut, f latent frames, s samples.
    """

    def encode_fine(self, audio: Tensor) -> Tensor:
        """Compute the encoder's fine part: [1, 2, s] -> [1, c, p]."""
        ...

    def encode_coarse(self, fine: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the encoder's coarse part: [1, c, p] -> mean and std, [1, channels, f] each."""
        ...

    def decode_coarse(self, latents: Tensor) -> Tensor:
        """Compute the decoder's coarse part: [1, channels, f] -> [1, c, p]."""
        ...

    def decode_fine(self, coarse: Tensor) -> Tensor:
        """Compute the decoder's fine part: [1, c, p] -> audio, [1, 2, s]."""
        ...


class StableAudio(ABC):
    """A ``LatentModel`` over networks that a subclass computes, in torch or otherwise.

    Args:
        config: Configuration of the model.

    Attributes:
        autoencoder: The networks of the autoencoder.
        tile_frames: Latent frames per tile of the autoencoder's fine parts.
        tile_pool: The threads that compute tiles.
        spec: The fixed facts.
    """

    autoencoder: AutoencoderNetworks
    tile_frames = 8

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.tile_pool = TilePool(1)
        self.spec: LatentSpec = config.spec
        self._encoder_split = encoder_split(config.autoencoder.encoder)
        self._decoder_split = decoder_split(config.autoencoder.decoder)
        # not a decorator of the method: a cache of the class would keep dropped models in memory
        self._read = lru_cache(TEXTS_REMEMBERED)(self.read)

    @abstractmethod
    def read(self, text: str) -> tuple[Tensor, Tensor]:
        """Return a text's hidden states, [1, tokens, width], and its mask, [1, tokens], bool."""

    @abstractmethod
    def characters_read(self, text: str) -> int:
        """Return how many characters of a text ``read`` takes in before it is cut off."""

    @abstractmethod
    def conditions(self, states: Tensor, mask: Tensor, seconds_total: float) -> Conditions:
        """Return what texts and a length condition on.

        Args:
            states: Hidden states of the texts, [b, tokens, width].
            mask: Which of their tokens are words, not padding, [b, tokens], bool.
            seconds_total: The length, the same for all texts.
        """

    @abstractmethod
    def keys_values(self, context: Tensor) -> Tensor:
        """Return the keys and values of cross-attention.

        Args:
            context: [b, tokens, width].

        Returns:
            [layers, 2, b, heads, tokens, head width].
        """

    @abstractmethod
    def predict(self, x: Tensor, t: Tensor, keys_values: Tensor, global_cond: Tensor) -> Tensor:
        """Evaluate the denoiser once.

        Args:
            x: Noisy latents, [b, channels, frames].
            t: The time of each, [b].
            keys_values: As ``keys_values`` returns them.
            global_cond: [b, global width].

        Returns:
            What the objective predicts, [b, channels, frames].
        """

    def condition(self, text: TextPrompt) -> tuple[Conditioning, Conditioning]:
        """Return the positive and the negative conditioning of a prompt, as ``LatentModel`` does.

        Both have the prompt's length. Without a negative prompt the negative context is zeros.
        """
        texts = [text.prompt]
        if text.negative_prompt is not None:
            texts.append(text.negative_prompt)
        states, masks = zip(*map(self._remember, texts), strict=True)
        conditions = self.conditions(torch.cat(states), torch.cat(masks), text.seconds_total)
        return self.conditioning_pair(conditions)

    def _remember(self, text: str) -> tuple[Tensor, Tensor]:
        """Return what ``read`` does, from memory where the text was read lately."""
        misses = self._read.cache_info().misses
        states_and_mask = self._read(text)
        report(CacheAsked("texts", is_hit=self._read.cache_info().misses == misses))
        return states_and_mask

    def conditioning_pair(self, conditions: Conditions) -> tuple[Conditioning, Conditioning]:
        """Return the positive and the negative conditioning.

        Args:
            conditions: Those of the prompt and, in a second row, of the negative prompt.
        """
        positive_context = conditions.context[:1]
        if len(conditions.context) > 1:
            negative_context = conditions.as_negative()[1:2]
        else:
            negative_context = torch.zeros_like(positive_context)
        keys_values = self.keys_values(torch.cat([positive_context, negative_context]))
        # both have the length of the prompt: only their words differ
        global_cond = conditions.global_cond[0]
        positive = StableAudioConditioning(keys_values[:, :, 0], global_cond)
        negative = StableAudioConditioning(keys_values[:, :, 1], global_cond)
        return positive, negative

    def ignored_words(self, prompt: str, negative_prompt: str | None) -> tuple[str, ...]:
        """Return the words that the text encoder cuts off, wholly or in part, each once."""
        ignored: list[str] = []
        for text in filter(None, (prompt, negative_prompt)):
            read = self.characters_read(text)
            words = re.finditer(r"[^\s,.;:!?]+", text)
            ignored += (word[0] for word in words if word.end() > read)
        return tuple(dict.fromkeys(ignored))

    def denoise(self, x: Tensor, t: Tensor, conditioning: Sequence[Conditioning]) -> Tensor:
        """Evaluate the denoiser once, as ``LatentModel`` says."""
        # for the type checker: a model is given back only what it made itself
        own = [row for row in conditioning if isinstance(row, StableAudioConditioning)]
        keys_values = torch.stack([row.keys_values for row in own], dim=2)
        global_cond = torch.stack([row.global_cond for row in own])
        return self.predict(x, t, keys_values, global_cond)

    def encode(self, audio: Tensor, frames: int) -> Encoding:
        """Encode the beginning of a window tile by tile, as ``LatentModel`` says."""
        split = self._encoder_split
        # the last frames also hear what follows them, as far as the coarse part reaches
        needed_frames = frames - (-split.coarse_reach // split.positions)
        needed = min(needed_frames, self.spec.frames) * split.positions
        whole = self.spec.frames * split.positions
        silence: list[Tensor] = []

        def encode_tile(tile: Tile) -> Tensor:
            heard = padded_slice(audio, tile.start * split.samples, tile.stop * split.samples)
            # silent tiles are alike, but at the window's ends, where convolutions pad: compute one
            is_silence = tile.start > 0 and tile.stop < whole and not heard.any()
            if is_silence and silence:
                fine = silence[0]
            else:
                fine = self.autoencoder.encode_fine(heard[None])
            if is_silence:
                silence.append(fine)
            return fine[..., tile.kept(1)]

        size = self.tile_frames * split.positions
        pieces: list[Tensor] = []
        all_tiles = list(tiles(needed, size, split.fine_reach, whole))
        for batch in self.tile_pool.each(encode_tile, all_tiles):
            pieces += batch
            yield  # so that other runs get a turn
        mean, std = self.autoencoder.encode_coarse(torch.cat(pieces, -1))
        return Gaussian(mean[0, :, :frames], std[0, :, :frames])

    def decode(
        self,
        latents: Tensor,
        samples: int,
        generator: torch.Generator,  # noqa: ARG002 - this decoder needs no noise
    ) -> Decoding:
        """Decode latents, some tiles at a time, as ``LatentModel`` says."""
        split = self._decoder_split
        needed = -(-samples // split.samples)
        # beyond the limit no position reaches a sample that is asked for
        limit = min(needed + split.fine_reach, latents.shape[-1] * split.positions)
        frames = -(-limit // split.positions) + split.coarse_reach
        coarse = self.autoencoder.decode_coarse(latents[None, :, :frames])[..., :limit]

        def decode_tile(tile: Tile) -> Tensor:
            audio = self.autoencoder.decode_fine(coarse[..., tile.start : tile.stop])
            kept = audio[0, :, tile.kept(split.samples)]
            # the last tile may end past the samples that are asked for
            return kept[:, : samples - tile.keep_from * split.samples]

        size = self.tile_frames * split.positions
        all_tiles = list(tiles(needed, size, split.fine_reach, limit))
        for batch in self.tile_pool.each(decode_tile, all_tiles):
            yield torch.cat(batch, -1)


def padded_slice(audio: Tensor, start: int, stop: int) -> Tensor:
    """Return a slice of audio [2, samples], padded with silence after its end to its length."""
    present = audio[:, start:stop]
    return F.pad(present, (0, stop - start - present.shape[1]))


class StableAudioModel(StableAudio, nn.Module):
    """The networks in torch, the denoiser and the autoencoder in any precision.

    Args:
        config: Configuration of the model.
        text_encoder: Encodes prompts.

    Attributes:
        denoise_with: Computes the denoiser in its stead, such as a compiled one; None: itself.
    """

    autoencoder: Autoencoder

    def __init__(self, config: ModelConfig, text_encoder: TextEncoder) -> None:
        super().__init__(config)
        self.text_encoder = text_encoder
        self.conditioner = Conditioner(config.conditioning)
        self.denoiser = DiffusionTransformer(config.denoiser)
        self.denoise_with: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] | None = None
        self.autoencoder = Autoencoder(config.autoencoder)

    def read(self, text: str) -> tuple[Tensor, Tensor]:
        """Encode a text, as ``StableAudio`` says."""
        return self.text_encoder([text])

    def characters_read(self, text: str) -> int:
        """Return how many characters of a text are encoded."""
        return self.text_encoder.characters_read(text)

    def conditions(self, states: Tensor, mask: Tensor, seconds_total: float) -> Conditions:
        """Return what texts and a length condition on, as ``StableAudio`` says."""
        numbers = {
            "seconds_start": states.new_tensor(0.0),
            "seconds_total": states.new_tensor(seconds_total),
        }
        conditions: Conditions = self.conditioner(states, mask, numbers)
        return conditions

    def keys_values(self, context: Tensor) -> Tensor:
        """Return the keys and values of cross-attention, in the denoiser's precision."""
        own = self.denoiser.preprocess_conv.weight.dtype
        return self.denoiser.keys_values(context.to(own))

    def predict(self, x: Tensor, t: Tensor, keys_values: Tensor, global_cond: Tensor) -> Tensor:
        """Evaluate the denoiser once in its own precision; the answer has that of ``x``."""
        own = self.denoiser.preprocess_conv.weight.dtype
        denoise = self.denoise_with or self.denoiser
        output = denoise(x.to(own), t.to(own), keys_values.to(own), global_cond.to(own))
        return output.to(x.dtype)


def read_config(path: Path) -> ModelConfig:
    """Read a ``model_config.json``.

    Raises:
        CheckpointError: It cannot be read, or names the field whose value is not supported.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, Mapping):
            raise ValueError("it must be an object")
        return parse_config(values)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path.name}: {error}") from None


def load_stable_audio(
    config: ModelConfig, tensors: Tensors, text_encoder: TextEncoder
) -> StableAudioModel:
    """Make a model with these weights, in float32 on the CPU.

    Raises:
        CheckpointError: The weights do not fit the configuration.
    """
    # on the meta device parameters take no memory: the weights replace them
    with torch.device("meta"):
        model = StableAudioModel(config, text_encoder)
    load_strictly(model, _renamed(fold_weight_norm(tensors)))
    return model.eval().requires_grad_(requires_grad=False)


def _renamed(tensors: Tensors) -> dict[str, Tensor]:
    """Name a checkpoint's tensors as the model's modules are named."""
    renamed = {}
    for name, tensor in tensors.items():
        new_name = name
        for pattern, replacement in NAMES:
            new_name = re.sub(pattern, replacement, new_name)
        renamed[new_name] = tensor
    renamed.pop(DERIVED, None)
    return renamed
