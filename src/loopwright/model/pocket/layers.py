"""Building blocks of the embedded codec: framing, overlap-add, mel bands, ConvNeXt blocks."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SAMPLE_RATE = 44100
HOP = 2048
"""Samples per latent frame."""
FINE_HOP = 512
"""Samples per fine frame ("step"), the time resolution at which the decoders set their controls."""
FINE_PER_LATENT = HOP // FINE_HOP


def frames(signal: Tensor, size: int, hop: int) -> Tensor:
    """Cut a signal into overlapping frames; frame j is centred at ``hop * j + hop / 2``.

    Args:
        signal: [batch, samples].
        size: Samples per frame.
        hop: Samples between two frames.

    Returns:
        [batch, samples // hop, size].
    """
    # half a frame of silence at both ends, so that the first and the last frame are centred too
    pad = (size - hop) // 2
    padded = F.pad(signal, (pad, pad))
    count = signal.shape[-1] // hop
    return padded.unfold(-1, size, hop)[:, :count]


def overlap_add(pieces: Tensor, hop: int) -> Tensor:
    """Add up overlapping pieces, centred as ``frames`` cuts them.

    Args:
        pieces: [batch, count, size].
        hop: Samples between two pieces; divides ``size``.

    Returns:
        [batch, count * hop].
    """
    batch, count, size = pieces.shape
    overlap = size // hop
    # shifting whole slices of ``hop`` samples needs ``overlap`` additions, whatever the count is
    slices = pieces.reshape(batch, count, overlap, hop)
    total = torch.zeros(())
    for i in range(overlap):
        total = total + F.pad(slices[:, :, i], (0, 0, i, overlap - 1 - i))
    start = (size - hop) // 2
    return total.reshape(batch, -1)[:, start : start + count * hop]


def mel_bands(fft_size: int, bands: int, lowest_hz: float) -> Tensor:
    """Compute triangular bands, equally spaced in mel = 2595 log10(1 + f / 700).

    Returns:
        [bands, fft_size // 2 + 1], each band summing to 1.
    """
    bins = torch.linspace(0, SAMPLE_RATE / 2, fft_size // 2 + 1)
    lowest, highest = _mel(lowest_hz), _mel(SAMPLE_RATE / 2)
    edges_in_mel = torch.linspace(lowest, highest, bands + 2)
    edges = 700 * (10 ** (edges_in_mel / 2595) - 1)
    # a band's triangle rises from the band before's centre and falls to the next one's
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (bins - low) / (centre - low)
    falling = (high - bins) / (high - centre)
    weights = torch.minimum(rising, falling).clamp(min=0)
    for band in range(bands):
        # a band narrower than a bin may fall between two bins: it takes the nearest one
        if weights[band].sum() < 1e-3:
            nearest = (bins - edges[band + 1]).abs().argmin()
            weights[band, nearest] = 1.0
    return weights / weights.sum(1, keepdim=True)


def _mel(hz: float) -> float:
    return 2595 * math.log10(1 + hz / 700)


class ConvNeXt(nn.Module):
    """A ConvNeXt block: depthwise convolution over time, then a residual two-layer network.

    Source: Liu et al. 2022, "A ConvNet for the 2020s".

    Args:
        width: Channels.
        widening: Width of the hidden layer, as a multiple of ``width``.
        kernel: Frames under the convolution; odd.
    """

    def __init__(self, width: int, widening: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, width * widening)
        self.narrow = nn.Linear(width * widening, width)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to [batch, frames, width]; the shape stays."""
        mixed = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        hidden = F.gelu(self.widen(self.norm(mixed)), approximate="tanh")
        out: Tensor = self.narrow(hidden)
        return x + out


def blocks(count: int, width: int, widening: int, kernel: int) -> nn.Sequential:
    """Stack ``count`` ConvNeXt blocks."""
    return nn.Sequential(*(ConvNeXt(width, widening, kernel) for _ in range(count)))
