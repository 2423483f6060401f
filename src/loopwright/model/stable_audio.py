"""Models of the stable-audio family as models of latents: conditioner, denoiser and autoencoder put together.

Only the work that is needed is done: a text is read once, cross-attention's keys and values are computed once a run, and the
autoencoder's costly parts only for the audio that is wanted, with their receptive field around it.
Knows: how a ``model_config.json`` and its tensors become such a model. Does not know: devices, where files come from.
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
from loopwright.model.checkpoint import Tensors, load_strictly, read_tensors
from loopwright.model.conditioning import Conditioner, Conditions
from loopwright.model.config import ModelConfig, parse_config
from loopwright.model.dit import DiffusionTransformer
from loopwright.model.files import files_in
from loopwright.model.text import TextEncoder
from loopwright.model.tile_pool import TilePool
from loopwright.model.tiling import Tile, tiles

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
"""Texts whose hidden states are kept; the negative prompts of loop types are always the same two."""

DERIVED = "denoiser.transformer.rotary_pos_emb.inv_freq"
"""Stored in checkpoints, but computed from the configuration."""


@dataclass(frozen=True)
class StableAudioConditioning(Conditioning):
    """keys_values: of cross-attention, [layers, 2, heads, tokens, head width]. global_cond: [global width]."""

    keys_values: Tensor
    global_cond: Tensor


class AutoencoderNetworks(Protocol):
    """The parts of an autoencoder, as ``Autoencoder`` has them: c channels, p positions at the cut, f frames, s samples."""

    def encode_fine(self, audio: Tensor) -> Tensor:
        """audio: [1, 2, s] -> [1, c, p]."""
        ...

    def encode_coarse(self, fine: Tensor) -> tuple[Tensor, Tensor]:
        """fine: [1, c, p] -> mean and standard deviation of the latents, [1, channels, f] each."""
        ...

    def decode_coarse(self, latents: Tensor) -> Tensor:
        """latents: [1, channels, f] -> [1, c, p]."""
        ...

    def decode_fine(self, coarse: Tensor) -> Tensor:
        """coarse: [1, c, p] -> [1, 2, s]."""
        ...


class StableAudio(ABC):
    """Implements ``LatentModel`` over networks that a subclass computes, in torch or otherwise.

    tile_frames: latent frames in a tile of the autoencoder's fine parts; crew: who computes them.
    """

    autoencoder: AutoencoderNetworks
    tile_frames = 8

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.tile_pool = TilePool(1)
        self.spec: LatentSpec = config.spec
        self._encoder_split = encoder_split(config.autoencoder.encoder)
        self._decoder_split = decoder_split(config.autoencoder.decoder)
        self._read = lru_cache(TEXTS_REMEMBERED)(self.read)

    @abstractmethod
    def read(self, text: str) -> tuple[Tensor, Tensor]:
        """A text's hidden states, [1, tokens, width], and which tokens are words, [1, tokens]."""

    @abstractmethod
    def characters_read(self, text: str) -> int:
        """Return how many characters of a text ``read`` takes in before it is cut off."""

    @abstractmethod
    def conditions(self, states: Tensor, mask: Tensor, seconds_total: float) -> Conditions:
        """What texts and a length say, from ``read``'s answers for all of them."""

    @abstractmethod
    def keys_values(self, context: Tensor) -> Tensor:
        """context: [b, tokens, width] -> [layers, 2, b, heads, tokens, head width]."""

    @abstractmethod
    def predict(self, x: Tensor, t: Tensor, keys_values: Tensor, global_cond: Tensor) -> Tensor:
        """One forward of the denoiser. x: [b, channels, frames], t: [b], global_cond: [b, global width] -> x's shape."""

    def condition(self, text: TextPrompt) -> tuple[Conditioning, Conditioning]:
        """The prompt, and its opposite: the negative prompt, or nothing (zeros) without one. Both with the same length."""
        texts = (
            [text.prompt] if text.negative_prompt is None else [text.prompt, text.negative_prompt]
        )
        states, masks = zip(*(self._read(one) for one in texts), strict=True)
        return self.guidance_pair(
            self.conditions(torch.cat(states), torch.cat(masks), text.seconds_total)
        )

    def guidance_pair(self, said: Conditions) -> tuple[Conditioning, Conditioning]:
        """said: of the prompt and, in a second row, of the negative prompt where there is one."""
        nothing = torch.zeros_like(said.context[:1])
        opposite = said.as_negative()[1:2] if len(said.context) > 1 else nothing
        pair = self.keys_values(torch.cat([said.context[:1], opposite]))
        positive, negative = (
            StableAudioConditioning(pair[:, :, row], said.global_cond[0]) for row in range(2)
        )
        return positive, negative

    def ignored_words(self, prompt: str, negative_prompt: str | None) -> tuple[str, ...]:
        """Return the words that the text encoder cuts off, wholly or in part."""
        texts = [prompt] if negative_prompt is None else [prompt, negative_prompt]
        return tuple(dict.fromkeys(word for one in texts for word in self._cut_off(one)))

    def _cut_off(self, text: str) -> list[str]:
        """Return the words of a text that are not read to their ends."""
        read = self.characters_read(text)
        return [word[0] for word in re.finditer(r"[^\s,.;:!?]+", text) if word.end() > read]

    def denoise(self, x: Tensor, t: Tensor, conditioning: Sequence[Conditioning]) -> Tensor:
        """x: [rows, channels, frames], t: [rows], one conditioning a row -> what the objective predicts, x's shape."""
        own = [one for one in conditioning if isinstance(one, StableAudioConditioning)]
        keys_values = torch.stack([one.keys_values for one in own], dim=2)
        return self.predict(x, t, keys_values, torch.stack([one.global_cond for one in own]))

    def encode(self, audio: Tensor, frames: int) -> Encoding:
        """The first frames of a window that begins with this audio and is silent after it; tile by tile."""
        cut = self._encoder_split
        needed = min(frames - (-cut.coarse_reach // cut.positions), self.spec.frames)
        whole = self.spec.frames * cut.positions
        silence: list[Tensor] = []
        fine: list[Tensor] = []

        def fine_of(tile: Tile) -> Tensor:
            heard = stretch(audio, tile.start * cut.samples, tile.stop * cut.samples)
            is_silence = (
                tile.start > 0 and tile.stop < whole and not heard.any()
            )  # of which all tiles are alike
            computed = (
                silence[0] if is_silence and silence else self.autoencoder.encode_fine(heard[None])
            )
            if is_silence:
                silence.append(computed)
            return computed[..., tile.kept(1)]

        for pieces in self.tile_pool.each(
            fine_of,
            list(
                tiles(
                    needed * cut.positions, self.tile_frames * cut.positions, cut.fine_reach, whole
                )
            ),
        ):
            fine += pieces
            yield
        mean, std = self.autoencoder.encode_coarse(torch.cat(fine, -1))
        return Gaussian(mean[0, :, :frames], std[0, :, :frames])

    def decode(self, latents: Tensor, samples: int, generator: torch.Generator) -> Decoding:  # noqa: ARG002 - needs no noise
        """latents: [channels, frames] -> the first samples of [2, frames * hop], a few tiles at a time."""
        cut = self._decoder_split
        wanted = -(-samples // cut.samples)
        limit = min(wanted + cut.fine_reach, latents.shape[-1] * cut.positions)
        needed = -(-limit // cut.positions) + cut.coarse_reach
        coarse = self.autoencoder.decode_coarse(latents[None, :, :needed])[..., :limit]

        def audio_of(tile: Tile) -> Tensor:
            audio = self.autoencoder.decode_fine(coarse[..., tile.start : tile.stop])[
                0, :, tile.kept(cut.samples)
            ]
            return audio[:, : samples - tile.keep_from * cut.samples]

        some = list(tiles(wanted, self.tile_frames * cut.positions, cut.fine_reach, limit))
        for pieces in self.tile_pool.each(audio_of, some):
            yield torch.cat(pieces, -1)


def stretch(audio: Tensor, start: int, stop: int) -> Tensor:
    """audio: [2, samples] -> [2, stop - start], silent where there is none."""
    there = audio[:, start:stop]
    return F.pad(there, (0, stop - start - there.shape[1]))


class StableAudioModel(StableAudio, nn.Module):
    """The networks in torch, the denoiser and the autoencoder in any precision. denoise_with: what computes the denoiser."""

    autoencoder: Autoencoder

    def __init__(self, config: ModelConfig, text_encoder: TextEncoder) -> None:
        super().__init__(config)
        self.text_encoder = text_encoder
        self.conditioner = Conditioner(config.conditioning)
        self.denoiser = DiffusionTransformer(config.denoiser)
        self.denoise_with: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] | None = None
        self.autoencoder = Autoencoder(config.autoencoder)

    def read(self, text: str) -> tuple[Tensor, Tensor]:
        """See ``StableAudio``, and so for all that follow."""
        return self.text_encoder([text])

    def characters_read(self, text: str) -> int:  # noqa: D102
        return self.text_encoder.characters_read(text)

    def conditions(self, states: Tensor, mask: Tensor, seconds_total: float) -> Conditions:  # noqa: D102
        numbers = {
            "seconds_start": states.new_tensor(0.0),
            "seconds_total": states.new_tensor(seconds_total),
        }
        said: Conditions = self.conditioner(states, mask, numbers)
        return said

    def keys_values(self, context: Tensor) -> Tensor:  # noqa: D102
        return self.denoiser.keys_values(context.to(self.denoiser.preprocess_conv.weight.dtype))

    def predict(self, x: Tensor, t: Tensor, keys_values: Tensor, global_cond: Tensor) -> Tensor:  # noqa: D102
        own = self.denoiser.preprocess_conv.weight.dtype
        denoise = self.denoise_with or self.denoiser
        return denoise(x.to(own), t.to(own), keys_values.to(own), global_cond.to(own)).to(x.dtype)


def read_config(path: Path) -> ModelConfig:
    """The configuration in a file. Raises CheckpointError naming what it holds that is not supported."""
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
