"""Latents to drums: a small network sets bands of noise and a short-time spectrum, another what rings; all are added.

Knows: how noise and spectrum are made into sound. Mid and side are made apart and become left and right at the end.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from loopwright.model.pocket.bodies import BodyDecoder
from loopwright.model.pocket.layers import FINE_HOP, FINE_PER_LATENT, blocks, mel_bands, overlap_add

NOISE_BANDS, NOISE_FFT, NOISE_HOP = 32, 512, FINE_HOP // 4
SPECTRUM_FFT, SPECTRUM_HOP = 1024, FINE_HOP // 2
SPECTRUM_BINS = SPECTRUM_FFT // 2 + 1
TURNS = FINE_PER_LATENT * 2
"""Spectra a latent frame. Bin k advances k quarter turns from one to the next, which the network need not learn."""

# What the network gives for each fine frame, in this order.
NOISE = 2 * 4 * NOISE_BANDS
SPECTRUM = 2 * 2 * 2 * SPECTRUM_BINS

HANN_OVERLAP_GAIN = 1.5
"""What Hann windows squared, at a quarter of their length apart, add up to."""
NOISE_GAIN = NOISE_FFT**0.5 * 0.7
SPECTRUM_GAIN = 4.0


class DrumDecoder(nn.Module):
    """The network and the sound makers it sets. channels: of the latents that are about drums."""

    bands: Tensor
    noise_window: Tensor
    spectrum_window: Tensor
    turns: Tensor

    def __init__(self, channels: int, fine_width: int = 256, coarse_width: int = 384) -> None:
        super().__init__()
        self.input = nn.Linear(channels, coarse_width)
        self.coarse = blocks(3, coarse_width, 3, 5)
        self.up = nn.Linear(coarse_width, FINE_PER_LATENT * fine_width)
        self.fine = blocks(4, fine_width, 3, 7)
        self.norm = nn.LayerNorm(fine_width)
        self.output = nn.Linear(fine_width, NOISE + SPECTRUM)
        self.bodies = BodyDecoder(channels)
        for name, value in _fixed().items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, latents: Tensor, generator: torch.Generator) -> Tensor:
        """latents: [rows, frames, channels] -> mid and side, [rows, 2, frames * HOP]. generator: of the noise."""
        coarse = self.up(self.coarse(self.input(latents)))
        fine = coarse.reshape(coarse.shape[0], FINE_PER_LATENT * coarse.shape[1], -1)
        noise, spectrum = torch.split(
            self.output(self.norm(self.fine(fine))), [NOISE, SPECTRUM], -1
        )
        bodies = self.bodies(latents)
        return self._noise(noise, generator) + self._spectrum(spectrum) + _as_mid(bodies)

    def _noise(self, log_gain: Tensor, generator: torch.Generator) -> Tensor:
        """[rows, fine frames, NOISE] -> [rows, 2, samples]: noise shaped in bands, mid and side."""
        rows, fine, _ = log_gain.shape
        gain = (
            torch.exp(log_gain.clamp(-10, 2)).reshape(rows, fine, 2, 4, NOISE_BANDS)
            @ self.bands
            * NOISE_GAIN
        )
        # drawn frame by frame, both parts together: fewer frames have the noise of the first of more
        parts = torch.randn((rows, fine, 2, *gain.shape[2:]), generator=generator).to(gain)
        noise = (
            torch.fft.irfft(torch.complex(parts[:, :, 0], parts[:, :, 1]) * gain, n=NOISE_FFT)
            * self.noise_window
        )
        pieces = noise.permute(0, 2, 1, 3, 4).reshape(rows * 2, fine * 4, NOISE_FFT)
        return (overlap_add(pieces, NOISE_HOP) / HANN_OVERLAP_GAIN).reshape(rows, 2, -1)

    def _spectrum(self, settings: Tensor) -> Tensor:
        """[rows, fine frames, SPECTRUM] -> [rows, 2, samples]: magnitude and phase, inverted and overlap-added."""
        rows, fine, _ = settings.shape
        settings = settings.reshape(rows, fine * 2, 2, 2, SPECTRUM_BINS)
        spectrum = torch.polar(torch.exp(settings[:, :, :, 0].clamp(max=5.0)), settings[:, :, :, 1])
        turned = spectrum.reshape(rows, -1, TURNS, 2, SPECTRUM_BINS) * self.turns[:, None]
        pieces = (
            torch.fft.irfft(turned.reshape(spectrum.shape), n=SPECTRUM_FFT) * self.spectrum_window
        )
        mid, side = (overlap_add(pieces[:, :, channel], SPECTRUM_HOP) for channel in range(2))
        return torch.stack([mid, side], 1) / HANN_OVERLAP_GAIN * SPECTRUM_GAIN


def _as_mid(sound: Tensor) -> Tensor:
    """[rows, samples] -> mid and side, [rows, 2, samples]."""
    return torch.stack([sound, torch.zeros_like(sound)], 1)


def _fixed() -> dict[str, Tensor]:
    """What is computed, not learned: noise bands, windows, turns."""
    return {
        "bands": _noise_bands(),
        "noise_window": torch.hann_window(NOISE_FFT),
        "spectrum_window": torch.hann_window(SPECTRUM_FFT),
        "turns": _quarter_turns(),
    }


def _noise_bands() -> Tensor:
    """Bands that add up to 1 in every bin; the lowest and highest bins belong to the outermost bands."""
    bands = mel_bands(NOISE_FFT, NOISE_BANDS, 60.0)
    bands = bands / (bands.sum(0, keepdim=True) + 1e-6)
    bands[:, 0] = bands[:, 1]
    bands[-1, -1] = 1.0
    return bands


def _quarter_turns() -> Tensor:
    """[TURNS, bins], complex: i to the power of (step * bin)."""
    quarter = (torch.arange(TURNS)[:, None] * (torch.arange(SPECTRUM_BINS) % 4)) % 4
    return torch.exp(1j * math.pi / 2 * quarter).to(torch.complex64)
