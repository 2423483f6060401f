"""The autoencoder: stereo audio to latents (a distribution) and back, by strided convolutions.

Both halves are cut in two where the rate is ``FINE_PER_FRAME`` positions a latent frame or more: the coarse part, with most of
the weights and little of the work, and the fine part, whose activations are large and whose receptive field is short.

Knows: its own mathematics, on plain convolutions: the weight norm they were trained with is folded before they are loaded
(``fold_weight_norm``). Parameters are otherwise named as in checkpoints of stable-audio-tools.
Does not know: randomness, files. Inference only: activations are computed in place.
Shapes: b rows, c channels, s samples at the layer's rate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loopwright.model.config import AutoencoderConfig, OobleckConfig

DILATIONS = (1, 3, 9)
UNIT_REACH = 3 * sum(DILATIONS)
"""How far a level's residual units look to each side, in samples at its rate."""
END_REACH = 3
"""How far a half's first convolution, and the decoder's last, look to each side."""
LATENT_REACH = 1
"""How far the encoder's last convolution looks to each side."""
FINE_PER_FRAME = 32
"""Positions of the cut in a latent frame, at least: an overlap of tiles is then a small part of a frame."""
MIN_STD = 1e-4
SNAKE_EPS = 1e-9


def fold_weight_norm(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Replace every direction and length (``weight_v`` [c, …], ``weight_g`` [c, 1, 1]) by their ``weight``.

    A pair that doesn't fit together is left as it is, for the loader to complain of.
    """
    folded = dict(tensors)
    for name, direction in tensors.items():
        stem = name.removesuffix("_v")
        length = tensors.get(f"{stem}_g")
        if stem == name or length is None or length.shape != (direction.shape[0], 1, 1):
            continue
        # torch's own operation, to the last bit what the reference computes: the encoder amplifies rounding a thousandfold
        folded[stem] = torch._weight_norm(
            folded.pop(name).float(), folded.pop(f"{stem}_g").float(), 0
        )
    return folded


class Snake(nn.Module):
    """A line with a sine on it: x + sin²(a x) / b, both learned by channel, stored as logarithms."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """x: [b, c, s] -> [b, c, s]."""
        wave = (x * self.alpha.exp()[:, None]).sin_().square_()
        return wave.mul_(1 / (self.beta.exp()[:, None] + SNAKE_EPS)).add_(x)


class ResidualUnit(nn.Module):
    """A wide look (7 samples, dilated) added to its input."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Snake(channels),
            nn.Conv1d(channels, channels, 7, dilation=dilation, padding=3 * dilation),
            Snake(channels),
            nn.Conv1d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: [b, c, s] -> [b, c, s]."""
        out: Tensor = self.layers(x)
        return out.add_(x)


class Level(nn.Module):
    """Some layers in a row, at one or two rates."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """x: [b, c, s] -> [b, c', s']."""
        out: Tensor = self.layers(x)
        return out


def encoder_level(channels: int, out_channels: int, stride: int) -> Level:
    """[b, channels, s] -> [b, out_channels, s / stride], for an even stride."""
    down = nn.Conv1d(channels, out_channels, 2 * stride, stride, padding=stride // 2)
    return Level(
        *(ResidualUnit(channels, dilation) for dilation in DILATIONS), Snake(channels), down
    )


def decoder_level(channels: int, out_channels: int, stride: int) -> Level:
    """[b, channels, s] -> [b, out_channels, s * stride], for an even stride."""
    up = nn.ConvTranspose1d(channels, out_channels, 2 * stride, stride, padding=stride // 2)
    return Level(
        Snake(channels), up, *(ResidualUnit(out_channels, dilation) for dilation in DILATIONS)
    )


def encoder(config: OobleckConfig) -> Level:
    """[b, audio channels, s] -> [b, latent channels, s / hop]."""
    widths = [config.channels * multiple for multiple in (1, *config.multiples)]
    levels = zip(widths, widths[1:], config.strides, strict=False)
    return Level(
        nn.Conv1d(config.audio_channels, widths[0], 7, padding=3),
        *(encoder_level(*level) for level in levels),
        Snake(widths[-1]),
        nn.Conv1d(widths[-1], config.latent_channels, 3, padding=1),
    )


def decoder(config: OobleckConfig) -> Level:
    """[b, latent channels, frames] -> [b, audio channels, frames * hop]."""
    widths = [config.channels * multiple for multiple in (1, *config.multiples)][::-1]
    levels = zip(widths, widths[1:], config.strides[::-1], strict=False)
    return Level(
        nn.Conv1d(config.latent_channels, widths[0], 7, padding=3),
        *(decoder_level(*level) for level in levels),
        Snake(widths[-1]),
        nn.Conv1d(widths[-1], config.audio_channels, 7, padding=3, bias=False),
    )


@dataclass(frozen=True)
class Split:
    """Where a half is cut: its ``levels`` at the audio's end are the fine part, the others the coarse one.

    positions: of the cut, in a latent frame; samples: of audio, in a position. fine_reach, coarse_reach: how far each part
    looks to both sides, in positions, but the decoder's coarse part in latent frames.
    """

    levels: int
    positions: int
    samples: int
    fine_reach: int
    coarse_reach: int


def encoder_split(config: OobleckConfig) -> Split:
    """The cut of the encoder, and the receptive fields it makes."""
    levels, samples = _cut(config)
    fine = encoder_reach(config.strides[:levels], 0) + END_REACH
    coarse = encoder_reach(config.strides[levels:], LATENT_REACH)
    return Split(levels, math.prod(config.strides) // samples, samples, -(-fine // samples), coarse)


def decoder_split(config: OobleckConfig) -> Split:
    """The cut of the decoder, and the receptive fields it makes."""
    levels, samples = _cut(config)
    fine = decoder_reach(config.strides[:levels], END_REACH)
    coarse = decoder_reach(config.strides[levels:], 0) + END_REACH
    return Split(levels, math.prod(config.strides) // samples, samples, fine, coarse)


def _cut(config: OobleckConfig) -> tuple[int, int]:
    """Levels of the fine part, and samples a position: the coarsest cut that is not too coarse."""
    hop, products = math.prod(config.strides), list(accumulate(config.strides, lambda a, b: a * b))
    levels = max(sum(hop // samples >= FINE_PER_FRAME for samples in products), 1)
    return levels, products[levels - 1]


def encoder_reach(strides: Sequence[int], reach: int) -> int:
    """How far levels look beyond the samples that belong to their output, if what follows looks ``reach`` beyond its own."""
    for stride in reversed(strides):
        reach = reach * stride + stride // 2 + UNIT_REACH
    return reach


def decoder_reach(strides: Sequence[int], reach: int) -> int:
    """The same for levels of the decoder, counted from the audio's end: in positions of what goes in."""
    for stride in strides:
        reach = -(-(reach + UNIT_REACH + stride // 2) // stride)
    return reach


class Autoencoder(nn.Module):
    """A variational autoencoder of audio, in its weights' precision between float32 audio and float32 latents.

    Shapes: p positions at the cut, f latent frames.
    """

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.scale = config.scale
        self.tanh = config.tanh
        self.encoder = encoder(config.encoder)
        self.decoder = decoder(config.decoder)
        self._encoder_cut = 1 + encoder_split(config.encoder).levels
        self._decoder_cut = -2 - decoder_split(config.decoder).levels

    def encode_fine(self, audio: Tensor) -> Tensor:
        """audio: [b, 2, s] -> [b, c, p]."""
        out: Tensor = self.encoder.layers[: self._encoder_cut](audio.to(self._dtype))
        return out

    def encode_coarse(self, fine: Tensor) -> tuple[Tensor, Tensor]:
        """fine: [b, c, p] -> mean and standard deviation of the latents, [b, channels, f] each."""
        mean, spread = self.encoder.layers[self._encoder_cut :](fine).float().chunk(2, dim=1)
        return mean / self.scale, (F.softplus(spread) + MIN_STD) / self.scale

    def decode_coarse(self, latents: Tensor) -> Tensor:
        """latents: [b, channels, f] -> [b, c, p]."""
        out: Tensor = self.decoder.layers[: self._decoder_cut](
            (latents * self.scale).to(self._dtype)
        )
        return out

    def decode_fine(self, coarse: Tensor) -> Tensor:
        """coarse: [b, c, p] -> audio, [b, 2, s]."""
        audio: Tensor = self.decoder.layers[self._decoder_cut :](coarse).float()
        return audio.tanh() if self.tanh else audio

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype
