"""A spectral loss: short-time magnitudes at several sizes, and log mel spectra."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from loopwright.model.pocket.layers import SAMPLE_RATE, mel_bands

SIZES = (128, 256, 512, 1024, 2048, 4096)
FLOOR = 2e-3
SIDE_WEIGHT = 0.4
MEL_FFT, MEL_BANDS, MEL_FLOOR = 2048, 96, 1e-3
MEL_WEIGHT = 0.35


class SpectralDistance(nn.Module):
    """Log magnitude and spectral convergence (Yamamoto et al. 2020), both as L1.

    Each bin is weighted by about 1 / its width in mel.
    """

    mel: Tensor

    def __init__(self) -> None:
        super().__init__()
        for size in SIZES:
            self.register_buffer(f"window_{size}", torch.hann_window(size))
            weight = 1 / (torch.linspace(0, SAMPLE_RATE / 2, size // 2 + 1) + 700)
            self.register_buffer(f"weight_{size}", weight / weight.mean())
        self.register_buffer("mel", mel_bands(MEL_FFT, MEL_BANDS, 20.0))

    def forward(self, made: Tensor, target: Tensor, sizes: tuple[int, ...] = SIZES) -> Tensor:
        """Compute the distance of two sounds, about 1 for unlike ones.

        Args:
            made: Mid and side, [batch, 2, samples].
            target: The same shape.
            sizes: Sizes of the spectra to compare; of SIZES.
        """
        rows, _, samples = made.shape
        both = torch.cat([made.reshape(rows * 2, samples), target.reshape(rows * 2, samples)])
        channel = torch.tensor([1.0, SIDE_WEIGHT]).repeat(rows)[:, None, None]
        total = torch.zeros(())
        for size in sizes:
            one, other = self._magnitudes(both, size).chunk(2)
            weight = getattr(self, f"weight_{size}") * channel
            apart = (torch.log(one + FLOOR) - torch.log(other + FLOOR)).abs() * weight
            converged = ((one - other).abs() * weight).sum((1, 2)) / (
                (other * weight).sum((1, 2)) + 0.02 * other[0].numel()
            )
            total = total + (apart.mean() + converged.mean()) / len(sizes)
        return total + MEL_WEIGHT * self._mel_distance(both, channel)

    def _mel_distance(self, both: Tensor, channel: Tensor) -> Tensor:
        magnitude = self._magnitudes(both, MEL_FFT) * math.sqrt(MEL_FFT * 0.375)
        level = torch.log((magnitude.square() @ self.mel.T * 0.05) + MEL_FLOOR**2)
        one, other = level.chunk(2)
        return ((one - other).abs() * channel).mean() * 0.5

    def _magnitudes(self, signal: Tensor, size: int) -> Tensor:
        """Compute magnitudes, scaled so that noise has the same level at every size.

        Args:
            signal: [batch, samples].
            size: Samples per spectrum.

        Returns:
            [batch, frames, size // 2 + 1].
        """
        spectrum = torch.stft(
            signal,
            size,
            size // 4,
            window=getattr(self, f"window_{size}"),
            pad_mode="constant",
            return_complex=True,
        )
        power = torch.view_as_real(spectrum).square().sum(-1)
        return (power / (size * 0.375) + 1e-9).sqrt().transpose(1, 2)
