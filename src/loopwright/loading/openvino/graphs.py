"""The networks of a model as OpenVINO graphs.

Knows: which network becomes which graph, and what shapes it takes (-1: any). Does not know: files,
caches, devices. Shapes: b rows, n tokens of a text, m context tokens, f latent frames, p positions
at an autoencoder's split, s samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from loopwright.model.autoencoder import decoder_split

if TYPE_CHECKING:
    from loopwright.model.config import ModelConfig
    from loopwright.model.stable_audio import StableAudioModel
    from loopwright.model.text import T5TextEncoder

GRAPHS_VERSION = 1
"""Raised when a graph changes, so that those in caches are made anew."""


@dataclass(frozen=True)
class Graph:
    """A function to be traced into a graph.

    Args:
        function: What is computed.
        examples: Inputs that it is traced with.
        sizes: The shape of each input, -1 for any size.
    """

    function: nn.Module
    examples: tuple[Tensor, ...]
    sizes: tuple[Sequence[int], ...]


class _Call(nn.Module):
    """A function as a module, since only modules are traced, with the modules it calls."""

    def __init__(self, function: Callable[..., Any], *used: nn.Module) -> None:
        super().__init__()
        self.used = nn.ModuleList(used)
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        """Call the function."""
        return self.function(*inputs)


def text(encoder: T5TextEncoder, tokens: int) -> Graph:
    """Build the text encoder: ids, mask [1, n] -> hidden states [1, n, width]."""
    ids = torch.ones(1, tokens, dtype=torch.long)
    return Graph(_Call(encoder.states, encoder.module), (ids, ids), ([1, tokens], [1, tokens]))


def conditions(model: StableAudioModel, config: ModelConfig) -> Graph:
    """Build the conditioner.

    Its inputs are states [b, n, width], mask [b, n], seconds_total []; its outputs context
    [b, m, c], the context's mask [b, m], global_cond [b, width].
    """
    tokens, width = config.conditioning.text.tokens, config.conditioning.text.hidden_width

    def call(states: Tensor, mask: Tensor, seconds_total: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        numbers = {"seconds_start": torch.zeros_like(seconds_total), "seconds_total": seconds_total}
        conditions = model.conditioner(states, mask, numbers)
        return conditions.context, conditions.mask, conditions.global_cond

    examples = torch.randn(2, tokens, width), torch.ones(2, tokens), torch.tensor(11.0)
    sizes: tuple[Sequence[int], ...] = ([-1, tokens, width], [-1, tokens], [])
    return Graph(_Call(call, model.conditioner), examples, sizes)


def keys_values(model: StableAudioModel, config: ModelConfig) -> Graph:
    """Build cross-attention's keys and values.

    Its input is context [b, m, c]; its output [layers, 2, b, heads, m, width of a head].
    """
    tokens, width = config.conditioning.tokens, config.conditioning.width
    context = torch.randn(2, tokens, width)
    function = _Call(model.denoiser.keys_values, model.denoiser)
    return Graph(function, (context,), ([-1, tokens, width],))


def denoiser(model: StableAudioModel, config: ModelConfig) -> Graph:
    """Build the denoiser.

    Its inputs are x [b, channels, f], t [b], keys_values [layers, 2, b, …], global_cond [b, width];
    its output has x's shape.
    """
    spec = config.spec
    context = torch.randn(2, config.conditioning.tokens, config.conditioning.width)
    with torch.inference_mode():
        pairs = model.denoiser.keys_values(context)
    examples = (
        torch.randn(2, spec.channels, spec.frames),
        torch.tensor([0.9, 0.3]),
        pairs.clone(),
        torch.randn(2, config.denoiser.global_width),
    )
    layers, two, _, *rest = pairs.shape
    sizes = (
        [-1, spec.channels, spec.frames],
        [-1],
        [layers, two, -1, *rest],
        [-1, config.denoiser.global_width],
    )
    return Graph(_Call(model.denoiser, model.denoiser), examples, sizes)


def encode_fine(model: StableAudioModel, config: ModelConfig) -> Graph:
    """Build the encoder's fine part: audio [1, 2, s] -> [1, c, p]."""
    audio = torch.randn(1, 2, 4 * config.spec.hop)
    function = _Call(model.autoencoder.encode_fine, model.autoencoder.encoder)
    return Graph(function, (audio,), ([1, 2, -1],))


def encode_coarse(model: StableAudioModel, config: ModelConfig) -> Graph:
    """Build the encoder's coarse part: [1, c, p] -> mean and deviation, [1, channels, f] each."""
    with torch.inference_mode():
        fine = model.autoencoder.encode_fine(torch.randn(1, 2, 4 * config.spec.hop))
    function = _Call(model.autoencoder.encode_coarse, model.autoencoder.encoder)
    # a clone made outside inference mode is an ordinary tensor, which can be traced
    return Graph(function, (fine.clone(),), ([1, fine.shape[1], -1],))


def decode_coarse(model: StableAudioModel, config: ModelConfig) -> Graph:
    """Build the decoder's coarse part: latents [1, channels, f] -> [1, c, p]."""
    latents = torch.randn(1, config.spec.channels, 4)
    function = _Call(model.autoencoder.decode_coarse, model.autoencoder.decoder)
    return Graph(function, (latents,), ([1, config.spec.channels, -1],))


def decode_fine(model: StableAudioModel, config: ModelConfig) -> Graph:
    """Build the decoder's fine part: [1, c, p] -> audio [1, 2, s]."""
    with torch.inference_mode():
        coarse = model.autoencoder.decode_coarse(torch.randn(1, config.spec.channels, 4))
    channels = coarse.shape[1]
    positions = decoder_split(config.autoencoder.decoder).positions
    example = torch.randn(1, channels, 4 * positions)
    function = _Call(model.autoencoder.decode_fine, model.autoencoder.decoder)
    return Graph(function, (example,), ([1, channels, -1],))


NETWORKS: dict[str, Callable[[StableAudioModel, ModelConfig], Graph]] = {
    "conditions": conditions,
    "keys_values": keys_values,
    "denoiser": denoiser,
    "encode_fine": encode_fine,
    "encode_coarse": encode_coarse,
    "decode_coarse": decode_coarse,
    "decode_fine": decode_fine,
}
"""Builders of all graphs but the text encoder's, which takes no model."""
