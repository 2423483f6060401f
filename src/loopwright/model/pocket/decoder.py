"""Latents to audio: a small network sets a bank of oscillators, bands of noise and a short-time spectrum, which are added.

Knows: how each of the three is made into sound. Mid and side are made apart and become left and right at the end.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from loopwright.model.pocket.layers import FINE_HOP, FINE_PER_LATENT, SAMPLE_RATE, blocks, mel_bands, overlap_add

OSCILLATORS, OSCILLATORS_PER_OCTAVE, LOWEST_HZ = 252, 36, 65.406
MID_HOP, SIDE_HOP = FINE_HOP // 2, FINE_HOP
"""Samples between settings of the oscillators."""
NOISE_BANDS, NOISE_FFT, NOISE_HOP = 32, 512, FINE_HOP // 4
SPECTRUM_FFT, SPECTRUM_HOP = 1024, FINE_HOP // 2
SPECTRUM_BINS = SPECTRUM_FFT // 2 + 1
TURNS = FINE_PER_LATENT * 2
"""Spectra a latent frame. Bin k advances k quarter turns from one to the next, which the network need not learn."""

# What the network gives for each fine frame, in this order.
MID_TONES, SIDE_TONES = 2 * OSCILLATORS, OSCILLATORS
NOISE = 2 * 4 * NOISE_BANDS
SPECTRUM = 2 * 2 * 2 * SPECTRUM_BINS

HANN_OVERLAP_GAIN = 1.5
"""What Hann windows squared, at a quarter of their length apart, add up to."""
NOISE_GAIN = NOISE_FFT**0.5 * 0.7
SPECTRUM_GAIN = 4.0


class Decoder(nn.Module):
    """The network and the sound makers it sets."""

    phases: Tensor
    frequencies: Tensor
    mid_waves: Tensor
    side_waves: Tensor
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
        self.output = nn.Linear(fine_width, MID_TONES + SIDE_TONES + NOISE + SPECTRUM)
        self.register_buffer("phases", torch.zeros(2, OSCILLATORS))
        for name, value in _fixed().items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, latents: Tensor, generator: torch.Generator) -> Tensor:
        """latents: [rows, frames, channels] -> [rows, 2, frames * HOP]. generator: of the noise bands' noise."""
        settings = self._settings(latents)
        mid_tones, side_tones, noise, spectrum = torch.split(settings, [MID_TONES, SIDE_TONES, NOISE, SPECTRUM], -1)
        mid_and_side = torch.stack([self._mid(mid_tones), self._side(side_tones)], 1)
        mid_and_side = mid_and_side + self._noise(noise, generator) + self._spectrum(spectrum)
        mid, side = mid_and_side.unbind(1)
        return torch.stack([mid + side, mid - side], 1)

    def _settings(self, latents: Tensor) -> Tensor:
        """[rows, frames, channels] -> [rows, fine frames, settings]."""
        coarse = self.up(self.coarse(self.input(latents)))
        fine = coarse.reshape(coarse.shape[0], FINE_PER_LATENT * coarse.shape[1], -1)
        settings: Tensor = self.output(self.norm(self.fine(fine)))
        return settings

    def _mid(self, log_amplitude: Tensor) -> Tensor:
        amplitude = torch.exp(log_amplitude.clamp(-12, 1))
        amplitude = amplitude.reshape(amplitude.shape[0], -1, OSCILLATORS)
        return self._tones(amplitude, MID_HOP, self.mid_waves, self.phases[0])

    def _side(self, log_amplitude: Tensor) -> Tensor:
        return self._tones(torch.exp(log_amplitude.clamp(-12, 1)), SIDE_HOP, self.side_waves, self.phases[1])

    def _tones(self, amplitude: Tensor, hop: int, waves: Tensor, phases: Tensor) -> Tensor:
        """amplitude: [rows, steps, oscillators], ``hop`` samples a step -> [rows, steps * hop]."""
        centres = torch.arange(amplitude.shape[1], dtype=torch.float64, device=amplitude.device) * hop + hop / 2
        # in double precision, since an hour of phase in single would be off by whole turns
        angle = torch.remainder(centres[:, None] * self.frequencies, 2 * math.pi).to(amplitude.dtype) + phases
        return overlap_add(torch.cat([amplitude * torch.sin(angle), amplitude * torch.cos(angle)], -1) @ waves, hop)

    def _noise(self, log_gain: Tensor, generator: torch.Generator) -> Tensor:
        """[rows, fine frames, NOISE] -> [rows, 2, samples]: noise shaped in bands, mid and side."""
        rows, fine, _ = log_gain.shape
        gain = torch.exp(log_gain.clamp(-10, 2)).reshape(rows, fine, 2, 4, NOISE_BANDS) @ self.bands * NOISE_GAIN
        real, imaginary = (torch.randn(gain.shape, generator=generator).to(gain) for _ in range(2))
        noise = torch.fft.irfft(torch.complex(real, imaginary) * gain, n=NOISE_FFT) * self.noise_window
        pieces = noise.permute(0, 2, 1, 3, 4).reshape(rows * 2, fine * 4, NOISE_FFT)
        return (overlap_add(pieces, NOISE_HOP) / HANN_OVERLAP_GAIN).reshape(rows, 2, -1)

    def _spectrum(self, settings: Tensor) -> Tensor:
        """[rows, fine frames, SPECTRUM] -> [rows, 2, samples]: magnitude and phase, inverted and overlap-added."""
        rows, fine, _ = settings.shape
        settings = settings.reshape(rows, fine * 2, 2, 2, SPECTRUM_BINS)
        spectrum = torch.polar(torch.exp(settings[:, :, :, 0].clamp(max=5.0)), settings[:, :, :, 1])
        turned = spectrum.reshape(rows, -1, TURNS, 2, SPECTRUM_BINS) * self.turns[:, None]
        pieces = torch.fft.irfft(turned.reshape(spectrum.shape), n=SPECTRUM_FFT) * self.spectrum_window
        mid, side = (overlap_add(pieces[:, :, channel], SPECTRUM_HOP) for channel in range(2))
        return torch.stack([mid, side], 1) / HANN_OVERLAP_GAIN * SPECTRUM_GAIN


def _fixed() -> dict[str, Tensor]:
    """What is computed, not learned: oscillator waves, noise bands, windows."""
    frequencies = 2 * math.pi * LOWEST_HZ * 2 ** (torch.arange(OSCILLATORS) / OSCILLATORS_PER_OCTAVE) / SAMPLE_RATE
    return {
        "frequencies": frequencies.double(),
        "mid_waves": _waves(frequencies, MID_HOP),
        "side_waves": _waves(frequencies, SIDE_HOP),
        "bands": _noise_bands(),
        "noise_window": torch.hann_window(NOISE_FFT),
        "spectrum_window": torch.hann_window(SPECTRUM_FFT),
        "turns": _quarter_turns(),
    }


def _waves(frequencies: Tensor, hop: int) -> Tensor:
    """Cosines then sines of the oscillators around a step's centre, under a triangle: [2 * oscillators, 2 * hop]."""
    offset = torch.arange(2 * hop) - (hop - 0.5)
    angle = frequencies[:, None] * offset
    return torch.cat([torch.cos(angle), torch.sin(angle)]) * (1 - offset.abs() / hop)


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
