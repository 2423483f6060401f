"""The autoencoder: stereo audio to latents (a distribution) and back, by strided convolutions.

Both halves are cut in two where the rate is at least ``FINE_PER_FRAME`` positions per latent frame:
the coarse part has most of the weights and little of the work; the fine part has large activations
and a short receptive field.
Convolutions are plain: the weight norm they were trained with is folded before they are loaded
(``fold_weight_norm``). Parameters are otherwise named as in checkpoints of stable-audio-tools.
Inference only: activations are computed in place.
Knows: its own mathematics. Does not know: randomness, files.
Shapes: b rows, c channels, s samples at the layer's rate.
"""

from __future__ import annotations

import math
import operator
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
"""The least positions of the cut per latent frame.

Tiles then overlap by a small part of a frame.
"""
MIN_STD = 1e-4
SNAKE_EPS = 1e-9


def fold_weight_norm(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Replace directions (``weight_v`` [c, …]) and lengths (``weight_g`` [c, 1, 1]) by weights.

    A pair that does not fit together is left as it is: the loader refuses it by name.
    """
    folded = dict(tensors)
    for name, direction in tensors.items():
        stem = name.removesuffix("_v")
        length = tensors.get(f"{stem}_g")
        if stem == name or length is None or length.shape != (direction.shape[0], 1, 1):
            continue
        del folded[name], folded[f"{stem}_g"]
        # torch's own operation computes to the last bit what the reference does: the encoder
        # amplifies rounding a thousandfold
        folded[stem] = torch._weight_norm(direction.float(), length.float(), 0)
    return folded


class Snake(nn.Module):
    """An activation, x + sin²(a x) / b, whose a and b are learned by channel as logarithms.

    Args:
        channels: Channels of its input.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map x, [b, c, s] -> [b, c, s]."""
        # in place: these are the largest tensors of a run
        wave = (x * self.alpha.exp()[:, None]).sin_().square_()
        b = self.beta.exp()[:, None]
        return wave.mul_(1 / (b + SNAKE_EPS)).add_(x)


class ResidualUnit(nn.Module):
    """A dilated convolution of 7 samples, added to its input.

    Args:
        channels: Channels of its input and output.
        dilation: Samples from one tap to the next.
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Snake(channels),
            nn.Conv1d(channels, channels, 7, dilation=dilation, padding=3 * dilation),
            Snake(channels),
            nn.Conv1d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map x, [b, c, s] -> [b, c, s]."""
        out: Tensor = self.layers(x)
        return out.add_(x)


class Level(nn.Module):
    """A sequence of layers, at one rate or two.

    Args:
        layers: In their order.
    """

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map x, [b, c, s] -> [b, c', s']."""
        out: Tensor = self.layers(x)
        return out


def encoder_level(channels: int, out_channels: int, stride: int) -> Level:
    """Make a level of the encoder: [b, channels, s] -> [b, out_channels, s / stride].

    The stride must be even.
    """
    # this padding makes exactly s / stride samples of an even stride
    down = nn.Conv1d(channels, out_channels, 2 * stride, stride, padding=stride // 2)
    return Level(
        *(ResidualUnit(channels, dilation) for dilation in DILATIONS), Snake(channels), down
    )


def decoder_level(channels: int, out_channels: int, stride: int) -> Level:
    """Make a level of the decoder: [b, channels, s] -> [b, out_channels, s * stride].

    The stride must be even.
    """
    # this padding makes exactly s * stride samples of an even stride
    up = nn.ConvTranspose1d(channels, out_channels, 2 * stride, stride, padding=stride // 2)
    return Level(
        Snake(channels), up, *(ResidualUnit(out_channels, dilation) for dilation in DILATIONS)
    )


def encoder(config: OobleckConfig) -> Level:
    """Make the encoder: [b, audio channels, s] -> [b, latent channels, s / hop]."""
    widths = [config.channels * multiple for multiple in (1, *config.multiples)]
    levels = zip(widths, widths[1:], config.strides, strict=False)
    return Level(
        nn.Conv1d(config.audio_channels, widths[0], 7, padding=3),
        *(encoder_level(*level) for level in levels),
        Snake(widths[-1]),
        nn.Conv1d(widths[-1], config.latent_channels, 3, padding=1),
    )


def decoder(config: OobleckConfig) -> Level:
    """Make the decoder: [b, latent channels, frames] -> [b, audio channels, frames * hop]."""
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
    """Where a half of the autoencoder is cut in a fine and a coarse part.

    Attributes:
        levels: How many levels, counted from the audio's end, are the fine part.
        positions: Positions at the cut per latent frame.
        samples: Samples of audio per position.
        fine_reach: How far the fine part looks to both sides, in positions.
        coarse_reach: How far the coarse part looks to both sides, in positions, or in latent frames
            for the decoder's.
    """

    levels: int
    positions: int
    samples: int
    fine_reach: int
    coarse_reach: int


def encoder_split(config: OobleckConfig) -> Split:
    """Return the cut of the encoder, and the receptive fields it makes."""
    levels, samples, positions = _cut(config)
    reach_in_samples = encoder_reach(config.strides[:levels], 0) + END_REACH
    fine_reach = -(-reach_in_samples // samples)
    coarse_reach = encoder_reach(config.strides[levels:], LATENT_REACH)
    return Split(levels, positions, samples, fine_reach, coarse_reach)


def decoder_split(config: OobleckConfig) -> Split:
    """Return the cut of the decoder, and the receptive fields it makes."""
    levels, samples, positions = _cut(config)
    fine_reach = decoder_reach(config.strides[:levels], END_REACH)
    coarse_reach = decoder_reach(config.strides[levels:], 0) + END_REACH
    return Split(levels, positions, samples, fine_reach, coarse_reach)


def _cut(config: OobleckConfig) -> tuple[int, int, int]:
    """Return the fine part's levels, samples per position and positions per latent frame.

    The fine part has all levels whose rate is high enough for the cut, and at least one.
    """
    hop = math.prod(config.strides)
    samples_after = list(accumulate(config.strides, operator.mul))
    is_fine = [hop // samples >= FINE_PER_FRAME for samples in samples_after]
    levels = max(sum(is_fine), 1)
    samples = samples_after[levels - 1]
    return levels, samples, hop // samples


def encoder_reach(strides: Sequence[int], reach: int) -> int:
    """Return how far levels of the encoder look beyond the samples that belong to their output.

    Args:
        strides: Strides of the levels, from the audio's end.
        reach: How far the layers that follow look, in positions of the levels' output.
    """
    # from the end back: each strided convolution has 2 * stride taps, centred on its stride samples
    for stride in reversed(strides):
        reach = reach * stride + stride // 2 + UNIT_REACH
    return reach


def decoder_reach(strides: Sequence[int], reach: int) -> int:
    """Return how far levels of the decoder look, in positions of their input.

    Args:
        strides: Strides of the levels, from the audio's end.
        reach: How far the layers that follow look, in samples.
    """
    for stride in strides:
        reach = -(-(reach + UNIT_REACH + stride // 2) // stride)
    return reach


class Autoencoder(nn.Module):
    """A variational autoencoder of audio.

    Audio and latents are float32; what is between is in the weights' precision.
    Shapes: p positions at the cut, f latent frames.

    Args:
        config: Configuration of both halves.
    """

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.scale = config.scale
        self.tanh = config.tanh
        self.encoder = encoder(config.encoder)
        self.decoder = decoder(config.decoder)
        # indices of the layers: the encoder has one convolution before its levels, the decoder an
        # activation and a convolution after them
        self._encoder_cut = 1 + encoder_split(config.encoder).levels
        self._decoder_cut = -2 - decoder_split(config.decoder).levels

    def encode_fine(self, audio: Tensor) -> Tensor:
        """Compute the encoder's fine part: audio [b, 2, s] -> [b, c, p]."""
        out: Tensor = self.encoder.layers[: self._encoder_cut](audio.to(self._dtype))
        return out

    def encode_coarse(self, fine: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the encoder's coarse part.

        Args:
            fine: [b, c, p].

        Returns:
            Mean and standard deviation of the latents, [b, channels, f] each.
        """
        out: Tensor = self.encoder.layers[self._encoder_cut :](fine)
        mean, spread = out.float().chunk(2, dim=1)
        std = F.softplus(spread) + MIN_STD
        return mean / self.scale, std / self.scale

    def decode_coarse(self, latents: Tensor) -> Tensor:
        """Compute the decoder's coarse part: latents [b, channels, f] -> [b, c, p]."""
        scaled = (latents * self.scale).to(self._dtype)
        out: Tensor = self.decoder.layers[: self._decoder_cut](scaled)
        return out

    def decode_fine(self, coarse: Tensor) -> Tensor:
        """Compute the decoder's fine part: [b, c, p] -> audio, [b, 2, s]."""
        audio: Tensor = self.decoder.layers[self._decoder_cut :](coarse).float()
        return audio.tanh() if self.tanh else audio

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype
