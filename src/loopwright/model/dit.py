"""The denoiser: a transformer over latent frames that also looks at the prompt's tokens.

Parameters are named as in checkpoints of stable-audio-tools.
Knows: its own mathematics, for a batch in which every row has its own time.
Does not know: objectives, samplers, classifier-free guidance, where conditioning comes from.
Shapes: b rows, n tokens (1 + frames), m context tokens, h heads, d channels of a head.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loopwright.model.config import DenoiserConfig

TIME_FEATURES = 256
FEED_FORWARD_MULTIPLE = 4
ROTARY_BASE = 10_000.0
MIN_ROTARY_WIDTH = 32
HEAD_NORM_EPS = 1e-6
NORM_EPS = 1e-5

KeysValues = tuple[Tensor, Tensor]
"""Keys and values of attention, both [b, h, m, d]."""


def rotations(tokens: int, head_width: int, device: torch.device) -> Tensor:
    """Return the angle by which each pair of a head's channels turns at each position.

    Rotary position embedding (Su et al. 2021). The answer is [tokens, pairs].
    """
    rotary_width = max(head_width // 2, MIN_ROTARY_WIDTH)
    even_channels = torch.arange(0, rotary_width, 2, device=device, dtype=torch.float32)
    exponents = even_channels / rotary_width
    positions = torch.arange(tokens, device=device, dtype=torch.float32)
    return positions[:, None] / ROTARY_BASE**exponents


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Turn the first channels of each head by its position.

    Args:
        x: Queries or keys, [b, h, n, d].
        angles: [n, pairs]; channels after the pairs stay as they are.
    """
    pairs = angles.shape[-1]
    # in float32 as the reference does it, also where the weights are in half precision
    real = x[..., :pairs].float()
    imaginary = x[..., pairs : 2 * pairs].float()
    cos, sin = angles.cos(), angles.sin()
    turned_real = real * cos - imaginary * sin
    turned_imaginary = imaginary * cos + real * sin
    turned = torch.cat([turned_real, turned_imaginary], dim=-1)
    return torch.cat([turned.to(x.dtype), x[..., 2 * pairs :]], dim=-1)


def split_heads(x: Tensor, head_width: int) -> Tensor:
    """Part channels by head: [b, n, h * d] -> [b, h, n, d]."""
    rows, tokens, width = x.shape
    return x.reshape(rows, tokens, width // head_width, head_width).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """Put the channels of all heads together: [b, h, n, d] -> [b, n, h * d]."""
    return x.transpose(1, 2).flatten(2)


class ScaleNorm(nn.Module):
    """Layer norm with a learned scale; its offset is stored, but was never learned.

    Args:
        width: Width of its input.
    """

    beta: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))
        self.register_buffer("beta", torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x, [..., width] -> the same shape."""
        return F.layer_norm(x, x.shape[-1:], self.gamma, self.beta, NORM_EPS)


def head_norm(config: DenoiserConfig) -> nn.Module:
    """Make the norm of queries or keys over a head's channels."""
    if not config.normalise_heads:
        return nn.Identity()
    return nn.LayerNorm(config.head_width, eps=HEAD_NORM_EPS)


class SelfAttention(nn.Module):
    """Attention of every token to every token, with rotary positions.

    Args:
        config: Configuration of the transformer.
    """

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.head_width = config.head_width
        self.to_qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.to_out = nn.Linear(config.width, config.width, bias=False)
        self.q_norm = head_norm(config)
        self.k_norm = head_norm(config)

    def forward(self, x: Tensor, angles: Tensor) -> Tensor:
        """Attend: x [b, n, width], angles [n, pairs] -> [b, n, width]."""
        projected = self.to_qkv(x).chunk(3, dim=-1)
        q, k, v = (split_heads(part, self.head_width) for part in projected)
        q = rotate(self.q_norm(q), angles)
        k = rotate(self.k_norm(k), angles)
        attended = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.to_out(merge_heads(attended))
        return out


class CrossAttention(nn.Module):
    """Attention of every token to the context.

    The context's keys and values do not depend on the tokens: the caller computes them once.

    Args:
        config: Configuration of the transformer.
    """

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        context_width = config.inner_context_width
        self.head_width = config.head_width
        self.heads_per_key = config.heads // (context_width // config.head_width)
        self.to_q = nn.Linear(config.width, config.width, bias=False)
        self.to_kv = nn.Linear(context_width, 2 * context_width, bias=False)
        self.to_out = nn.Linear(config.width, config.width, bias=False)
        self.q_norm = head_norm(config)
        self.k_norm = head_norm(config)

    def keys_values(self, context: Tensor) -> KeysValues:
        """Compute keys and values: context [b, m, context width] -> [b, h, m, d] each."""
        projected = self.to_kv(context).chunk(2, dim=-1)
        k, v = (split_heads(part, self.head_width) for part in projected)
        # a narrow context has fewer heads: each serves several heads of the queries
        k = self.k_norm(k).repeat_interleave(self.heads_per_key, 1)
        v = v.repeat_interleave(self.heads_per_key, 1)
        return k, v

    def forward(self, x: Tensor, keys_values: KeysValues) -> Tensor:
        """Attend: x [b, n, width] -> [b, n, width]."""
        q = self.q_norm(split_heads(self.to_q(x), self.head_width))
        attended = F.scaled_dot_product_attention(q, *keys_values)
        out: Tensor = self.to_out(merge_heads(attended))
        return out


class Gated(nn.Module):
    """Two projections, one multiplied by the SiLU of the other.

    Args:
        width: Width of its input.
        out_width: Width of its output.
    """

    def __init__(self, width: int, out_width: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, 2 * out_width)

    def forward(self, x: Tensor) -> Tensor:
        """Map x, [..., width] -> [..., out_width]."""
        value, gate = torch.chunk(self.proj(x), 2, dim=-1)
        return value * F.silu(gate)


class FeedForward(nn.Module):
    """The feed-forward layer, for each token on its own.

    Args:
        width: Width of a token.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = FEED_FORWARD_MULTIPLE * width
        # a layer without weights holds a place, so that names are those of checkpoints
        self.ff = nn.Sequential(Gated(width, inner), nn.Identity(), nn.Linear(inner, width))

    def forward(self, x: Tensor) -> Tensor:
        """Map x, [b, n, width] -> [b, n, width]."""
        out: Tensor = self.ff(x)
        return out


class Block(nn.Module):
    """A layer of the transformer.

    Args:
        config: Configuration of the transformer.
    """

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.pre_norm = ScaleNorm(config.width)
        self.self_attn = SelfAttention(config)
        self.cross_attend_norm = ScaleNorm(config.width)
        self.cross_attn = CrossAttention(config)
        self.ff_norm = ScaleNorm(config.width)
        self.ff = FeedForward(config.width)

    def forward(self, x: Tensor, angles: Tensor, keys_values: KeysValues) -> Tensor:
        """Map x, [b, n, width] -> [b, n, width]."""
        x = x + self.self_attn(self.pre_norm(x), angles)
        x = x + self.cross_attn(self.cross_attend_norm(x), keys_values)
        out: Tensor = x + self.ff(self.ff_norm(x))
        return out


class Transformer(nn.Module):
    """A transformer over a first token, the time and global conditioning, and the latent frames.

    Args:
        config: Configuration of the transformer.
    """

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.head_width = config.head_width
        self.project_in = nn.Linear(config.channels, config.width, bias=False)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.project_out = nn.Linear(config.width, config.channels, bias=False)

    def keys_values(self, context: Tensor) -> Tensor:
        """Compute all layers' keys and values of a context.

        Args:
            context: [b, m, inner context width].

        Returns:
            [layers, 2, b, h, m, d].
        """
        blocks = (layer for layer in self.layers if isinstance(layer, Block))
        pairs = [torch.stack(block.cross_attn.keys_values(context)) for block in blocks]
        return torch.stack(pairs)

    def forward(self, frames: Tensor, first: Tensor, keys_values: Tensor) -> Tensor:
        """Map frames.

        Args:
            frames: [b, frames, channels].
            first: The first token, [b, width].
            keys_values: As ``keys_values`` returns them.

        Returns:
            [b, frames, channels].
        """
        x = torch.cat([first[:, None], self.project_in(frames)], dim=1)
        angles = rotations(x.shape[1], self.head_width, x.device)
        for layer, pair in zip(self.layers, keys_values.unbind(), strict=True):
            x = layer(x, angles, pair.unbind())
        # the first token is there to be looked at, and predicts nothing
        out: Tensor = self.project_out(x[:, 1:])
        return out


class TimeFeatures(nn.Module):
    """A time as cosines and sines of learned frequencies."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(TIME_FEATURES // 2, 1))

    def forward(self, t: Tensor) -> Tensor:
        """Embed times: [b] -> [b, TIME_FEATURES], in the weight's precision; angles are float32."""
        frequencies = self.weight.float().T
        angles = 2 * math.pi * t.float()[:, None] * frequencies
        features = torch.cat([angles.cos(), angles.sin()], dim=-1)
        return features.to(self.weight.dtype)


def two_linear(width: int, out_width: int, bias: bool) -> nn.Sequential:
    """Make a perceptron of two layers."""
    return nn.Sequential(
        nn.Linear(width, out_width, bias), nn.SiLU(), nn.Linear(out_width, out_width, bias)
    )


class DiffusionTransformer(nn.Module):
    """A denoiser: noisy latents, a time and conditioning to the objective's prediction.

    Args:
        config: Configuration of its layers.
    """

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        global_width = config.width if config.project_global else config.global_width
        self.timestep_features = TimeFeatures()
        self.to_timestep_embed = two_linear(TIME_FEATURES, config.width, bias=True)
        self.to_cond_embed = two_linear(
            config.context_width, config.inner_context_width, bias=False
        )
        self.to_global_embed = two_linear(config.global_width, global_width, bias=False)
        self.preprocess_conv = nn.Conv1d(config.channels, config.channels, 1, bias=False)
        self.transformer = Transformer(config)
        self.postprocess_conv = nn.Conv1d(config.channels, config.channels, 1, bias=False)

    def keys_values(self, context: Tensor) -> Tensor:
        """Compute the part that depends on the context alone, once for a whole run.

        Args:
            context: [b, m, context width].

        Returns:
            Keys and values of all layers, [layers, 2, b, h, m, d].
        """
        return self.transformer.keys_values(self.to_cond_embed(context))

    def forward(self, x: Tensor, t: Tensor, keys_values: Tensor, global_cond: Tensor) -> Tensor:
        """Predict what the objective asks for.

        Args:
            x: Noisy latents, [b, channels, frames].
            t: The time of each row, [b].
            keys_values: As ``keys_values`` returns them.
            global_cond: [b, global width].

        Returns:
            [b, channels, frames].
        """
        time = self.to_timestep_embed(self.timestep_features(t))
        first = self.to_global_embed(global_cond) + time
        x = x + self.preprocess_conv(x)
        x = self.transformer(x.transpose(1, 2), first, keys_values).transpose(1, 2)
        out: Tensor = x + self.postprocess_conv(x)
        return out
