"""Latents to drums: bands of noise, a short-time spectrum, and pitched bodies, added up.

Knows: how noise and spectrum become sound. Mid and side are made separately; the model turns them
into left and right at the end.
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
SPECTRA_PER_LATENT = FINE_PER_LATENT * 2

# The network's outputs per fine frame, in this order.
NOISE = 2 * 4 * NOISE_BANDS
SPECTRUM = 2 * 2 * 2 * SPECTRUM_BINS

HANN_OVERLAP_GAIN = 1.5
"""The sum of squared Hann windows that are a quarter of their length apart."""
NOISE_GAIN = NOISE_FFT**0.5 * 0.7
SPECTRUM_GAIN = 4.0


class DrumDecoder(nn.Module):
    """The decoder of drums: a network and the sound generators it controls.

    Args:
        channels: The drum channels of a latent frame.
        fine_width: Width of the network at fine frames.
        coarse_width: Width of the network at latent frames.

    Attributes:
        bands: The share of each band of noise in each bin, [NOISE_BANDS, bins].
        noise_window: [NOISE_FFT].
        spectrum_window: [SPECTRUM_FFT].
        phase_advances: Complex, [SPECTRA_PER_LATENT, SPECTRUM_BINS].
    """

    bands: Tensor
    noise_window: Tensor
    spectrum_window: Tensor
    phase_advances: Tensor

    def __init__(self, channels: int, fine_width: int = 256, coarse_width: int = 384) -> None:
        super().__init__()
        self.input = nn.Linear(channels, coarse_width)
        self.coarse = blocks(3, coarse_width, 3, 5)
        self.up = nn.Linear(coarse_width, FINE_PER_LATENT * fine_width)
        self.fine = blocks(4, fine_width, 3, 7)
        self.norm = nn.LayerNorm(fine_width)
        self.output = nn.Linear(fine_width, NOISE + SPECTRUM)
        self.bodies = BodyDecoder(channels)
        bands = mel_bands(NOISE_FFT, NOISE_BANDS, 60.0)
        # a flat set of gains must give white noise: the bands add up to 1 in every bin
        bands = bands / (bands.sum(0, keepdim=True) + 1e-6)
        # no triangle reaches the lowest and the highest bin
        bands[:, 0] = bands[:, 1]
        bands[-1, -1] = 1.0
        # a steady tone in bin k advances k quarter turns from one spectrum to the next: with these,
        # i to the power of (spectrum * bin), the network need not learn it. Modulo 4 before the
        # exponential: all powers of i are exact quarter turns
        bins = torch.arange(SPECTRUM_BINS) % 4
        quarters = (torch.arange(SPECTRA_PER_LATENT)[:, None] * bins) % 4
        phase_advances = torch.exp(1j * math.pi / 2 * quarters).to(torch.complex64)
        # computed, not learned: kept out of the checkpoint
        self.register_buffer("bands", bands, persistent=False)
        self.register_buffer("noise_window", torch.hann_window(NOISE_FFT), persistent=False)
        self.register_buffer("spectrum_window", torch.hann_window(SPECTRUM_FFT), persistent=False)
        self.register_buffer("phase_advances", phase_advances, persistent=False)

    def forward(self, latents: Tensor, generator: torch.Generator) -> Tensor:
        """Decode latents.

        Args:
            latents: [batch, frames, channels].
            generator: Draws the noise.

        Returns:
            Mid and side, [batch, 2, frames * HOP].
        """
        coarse = self.up(self.coarse(self.input(latents)))
        batch, frames, _ = coarse.shape
        fine = self.fine(coarse.reshape(batch, FINE_PER_LATENT * frames, -1))
        controls = self.output(self.norm(fine))
        noise, spectrum = torch.split(controls, [NOISE, SPECTRUM], -1)
        bodies = self.bodies(latents)
        mid_only = torch.stack([bodies, torch.zeros_like(bodies)], 1)
        return self.sound_noise(noise, generator) + self.sound_spectrum(spectrum) + mid_only

    def sound_noise(self, log_gain: Tensor, generator: torch.Generator) -> Tensor:
        """Shape noise in bands.

        Args:
            log_gain: [batch, fine frames, NOISE].
            generator: Draws the noise.

        Returns:
            Mid and side, [batch, 2, samples].
        """
        batch, fine, _ = log_gain.shape
        band_gain = torch.exp(log_gain.clamp(-10, 2)).reshape(batch, fine, 2, 4, NOISE_BANDS)
        gain = band_gain @ self.bands * NOISE_GAIN
        # drawn frame by frame, real and imaginary parts together: a shorter decoding of the same
        # seed gets the same noise for the frames it has
        drawn = torch.randn((batch, fine, 2, *gain.shape[2:]), generator=generator).to(gain)
        spectrum = torch.complex(drawn[:, :, 0], drawn[:, :, 1]) * gain
        noise = torch.fft.irfft(spectrum, n=NOISE_FFT) * self.noise_window
        pieces = noise.permute(0, 2, 1, 3, 4).reshape(batch * 2, fine * 4, NOISE_FFT)
        return (overlap_add(pieces, NOISE_HOP) / HANN_OVERLAP_GAIN).reshape(batch, 2, -1)

    def sound_spectrum(self, settings: Tensor) -> Tensor:
        """Invert and overlap-add a short-time spectrum.

        Args:
            settings: Log magnitudes and phases, [batch, fine frames, SPECTRUM].

        Returns:
            Mid and side, [batch, 2, samples].
        """
        batch, fine, _ = settings.shape
        settings = settings.reshape(batch, fine * 2, 2, 2, SPECTRUM_BINS)
        log_magnitude, phase = settings.unbind(3)
        spectrum = torch.polar(torch.exp(log_magnitude.clamp(max=5.0)), phase)
        by_latent = spectrum.reshape(batch, -1, SPECTRA_PER_LATENT, 2, SPECTRUM_BINS)
        turned = (by_latent * self.phase_advances[:, None]).reshape(spectrum.shape)
        pieces = torch.fft.irfft(turned, n=SPECTRUM_FFT) * self.spectrum_window
        mid, side = (overlap_add(pieces[:, :, channel], SPECTRUM_HOP) for channel in range(2))
        return torch.stack([mid, side], 1) / HANN_OVERLAP_GAIN * SPECTRUM_GAIN
