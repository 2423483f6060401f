"""The embedded model's denoiser: a diffusion transformer that is told where in the bar each frame is.

Knows: latents, tokens, tempo. The position in periods of ¼ … 16 beats, as sines and cosines beside the latents, is what
puts onsets on the grid. Words are few and their order says nothing, so they are added up. Predicts the velocity of a
rectified flow (Liu et al. 2022): noise minus data.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loopwright.model.pocket.layers import HOP, SAMPLE_RATE
from training.model.tokens import PAD

PERIODS_IN_BEATS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
POSITION_CHANNELS = 2 * len(PERIODS_IN_BEATS)
TIME_FEATURES = 64
TEMPO_FEATURES = 16
ROTARY_BASE = 200
HIGHEST_TIME_FREQUENCY = 1000
CONDITION = 128
"""Width of what time, tempo and words come to; a narrow one, since every block has a matrix of its own on it."""


def musical_position(bpm: Tensor, frames: int) -> Tensor:
    """bpm: [rows] -> [rows, frames, POSITION_CHANNELS], at the centre of each latent frame; the first downbeat is at 0."""
    seconds = (torch.arange(frames, device=bpm.device) + 0.5) * (HOP / SAMPLE_RATE)
    beats = seconds * bpm[:, None] / 60
    angles = [2 * math.pi * beats / period for period in PERIODS_IN_BEATS]
    return torch.stack([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], -1)


def rotary(positions: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary position embedding (Su et al. 2021), each [positions, width // 2]."""
    frequencies = 1.0 / ROTARY_BASE ** (torch.arange(0, width, 2, device=device) / width)
    angles = torch.arange(positions, device=device)[:, None] * frequencies
    return angles.cos(), angles.sin()


class Block(nn.Module):
    """Attention over time, then a network per frame; the condition scales, shifts and gates both (Peebles and Xie 2023)."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads = heads
        self.self_norm = nn.LayerNorm(width, elementwise_affine=False)
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.query_norm = nn.LayerNorm(width // heads)
        self.key_norm = nn.LayerNorm(width // heads)
        self.self_output = nn.Linear(width, width)
        self.inner_norm = nn.LayerNorm(width, elementwise_affine=False)
        self.mix = nn.Conv1d(width, width, 3, padding=1, groups=width)
        self.widen = nn.Linear(width, inner)
        self.narrow = nn.Linear(inner, width)
        self.modulation = nn.Linear(CONDITION, 6 * width)

    def forward(self, x: Tensor, condition: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        """x: [rows, patches, width], condition: [rows, CONDITION]."""
        modulation = self.modulation(condition)[:, None].chunk(6, -1)
        x = x + (1 + modulation[2]) * self._attend(self.self_norm(x) * (1 + modulation[0]) + modulation[1], turn) * 0.5
        inner = self.inner_norm(x) * (1 + modulation[3]) + modulation[4]
        inner = inner + self.mix(inner.transpose(1, 2)).transpose(1, 2)
        out: Tensor = self.narrow(F.gelu(self.widen(inner), approximate="tanh"))
        gated: Tensor = x + (1 + modulation[5]) * out * 0.5
        return gated

    def _attend(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        rows, patches, width = x.shape
        shape = (rows, patches, 3, self.heads, width // self.heads)
        query, key, value = self.query_key_value(x).reshape(shape).permute(2, 0, 3, 1, 4)
        query, key = _turned(self.query_norm(query), turn), _turned(self.key_norm(key), turn)
        attended = F.scaled_dot_product_attention(query, key, value)
        output: Tensor = self.self_output(attended.transpose(1, 2).reshape(x.shape))
        return output


class Denoiser(nn.Module):
    """The whole denoiser. words: tokens in the vocabulary; patch: latent frames taken together as one position."""

    def __init__(self, words: int, channels: int, width: int, depth: int, heads: int, inner: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.head_width = width // heads
        self.input = nn.Linear(patch * (channels + POSITION_CHANNELS), width)
        self.words = nn.Embedding(words, width)
        self.time = nn.Sequential(nn.Linear(2 * TIME_FEATURES, width), nn.SiLU(), nn.Linear(width, width))
        self.tempo = nn.Sequential(nn.Linear(2 * TEMPO_FEATURES, width), nn.SiLU(), nn.Linear(width, width))
        self.said = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.condition = nn.Linear(width, CONDITION)
        self.blocks = nn.ModuleList([Block(width, heads, inner) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, patch * channels)

    def forward(self, x: Tensor, t: Tensor, tokens: Tensor, bpm: Tensor) -> Tensor:
        """x: [rows, frames, channels], frames a multiple of the patch; t: [rows]; tokens: [rows, MAX_TOKENS]; bpm: [rows]."""
        rows, frames, channels = x.shape
        placed = torch.cat([x, musical_position(bpm, frames)], -1)
        condition = self._condition(t, tokens, bpm)
        hidden = self.input(placed.reshape(rows, frames // self.patch, -1)) + condition[:, None]
        narrow = F.silu(self.condition(F.silu(condition)))
        turn = rotary(hidden.shape[1], self.head_width, x.device)
        for block in self.blocks:
            hidden = block(hidden, narrow, turn)
        output: Tensor = self.output(self.norm(hidden))
        return output.reshape(rows, frames, channels)

    def _condition(self, t: Tensor, tokens: Tensor, bpm: Tensor) -> Tensor:
        """Time, tempo and the sum of the words, [rows, width]."""
        said = (self.words(tokens) * (tokens != PAD)[..., None]).sum(1)
        frequencies = torch.exp(torch.linspace(0, math.log(HIGHEST_TIME_FREQUENCY), TIME_FEATURES, device=t.device))
        octaves = torch.log2(bpm / 60)[:, None] * torch.arange(1, TEMPO_FEATURES + 1, device=t.device) * (math.pi / 2)
        total: Tensor = self.time(_waves(t[:, None] * frequencies)) + self.tempo(_waves(octaves)) + self.said(said)
        return total


def _waves(angle: Tensor) -> Tensor:
    return torch.cat([angle.sin(), angle.cos()], -1)


def _turned(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """x: [..., patches, width], even and odd channels as pairs -> turned pairs, evens then odds."""
    cosine, sine = turn
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.cat([even * cosine - odd * sine, even * sine + odd * cosine], -1)
