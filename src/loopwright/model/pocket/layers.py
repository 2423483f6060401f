"""What the embedded model's encoder and decoder share: frames of a signal, their overlap-add, mel bands, one block."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SAMPLE_RATE = 44100
HOP = 2048
"""Samples per latent frame."""
FINE_HOP = 512
"""Samples per frame of the networks' finer half."""
FINE_PER_LATENT = HOP // FINE_HOP


def frames(signal: Tensor, size: int, hop: int) -> Tensor:
    """signal: [rows, samples] -> [rows, samples // hop, size]; frame j is centred at hop * j + hop / 2."""
    pad = (size - hop) // 2
    return F.pad(signal, (pad, pad)).unfold(-1, size, hop)[:, : signal.shape[-1] // hop]


def overlap_add(pieces: Tensor, hop: int) -> Tensor:
    """pieces: [rows, count, size], centred as ``frames`` cuts them -> [rows, count * hop]. hop must divide size."""
    rows, count, size = pieces.shape
    overlap = size // hop
    parts = pieces.reshape(rows, count, overlap, hop)
    total = sum(
        (F.pad(parts[:, :, i], (0, 0, i, overlap - 1 - i)) for i in range(overlap)), torch.zeros(())
    )
    start = (size - hop) // 2
    return total.reshape(rows, -1)[:, start : start + count * hop]


def mel_bands(fft_size: int, bands: int, lowest_hz: float) -> Tensor:
    """Triangular bands, equally spaced in mel = 2595 log10(1 + f / 700), each summing to 1: [bands, fft_size // 2 + 1]."""
    bins = torch.linspace(0, SAMPLE_RATE / 2, fft_size // 2 + 1)
    lowest, highest = _mel(lowest_hz), _mel(SAMPLE_RATE / 2)
    edges = 700 * (10 ** (torch.linspace(lowest, highest, bands + 2) / 2595) - 1)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    weights = torch.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)).clamp(
        min=0
    )
    for band in range(bands):  # a band narrower than a bin takes the nearest bin
        if weights[band].sum() < 1e-3:
            weights[band, (bins - edges[band + 1]).abs().argmin()] = 1.0
    return weights / weights.sum(1, keepdim=True)


def _mel(hz: float) -> float:
    return 2595 * math.log10(1 + hz / 700)


class ConvNeXt(nn.Module):
    """Depthwise convolution over time, then a two-layer network per frame, added (Liu et al. 2022, ConvNeXt)."""

    def __init__(self, width: int, widening: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, width * widening)
        self.narrow = nn.Linear(width * widening, width)

    def forward(self, x: Tensor) -> Tensor:
        """x: [rows, frames, width] -> the same shape."""
        mixed = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        out: Tensor = self.narrow(F.gelu(self.widen(self.norm(mixed)), approximate="tanh"))
        return x + out


def blocks(count: int, width: int, widening: int, kernel: int) -> nn.Sequential:
    """So many ConvNeXt blocks, one after the other."""
    return nn.Sequential(*(ConvNeXt(width, widening, kernel) for _ in range(count)))
