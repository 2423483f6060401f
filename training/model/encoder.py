"""Audio to latents: fixed spectral features, then a small network. Mid and side are kept apart."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loopwright.model.pocket.layers import FINE_HOP, FINE_PER_LATENT, HOP, SAMPLE_RATE, blocks, frames, mel_bands

MEL_BANDS = 96
TRANSIENT_BANDS = 32
TRANSIENT_HOP = FINE_HOP // 4
PITCH_BANDS, PITCH_BANDS_PER_OCTAVE, LOWEST_PITCH_HZ = 168, 24, 65.4
LOW_BINS = 41
"""Bins of the 1024-sample spectrum, up to 1.7 kHz, whose phase is a feature too."""
FEATURES = MEL_BANDS + PITCH_BANDS + 4 * TRANSIENT_BANDS + 2 * LOW_BINS + MEL_BANDS + PITCH_BANDS // 2

LONG_FFT = 16384
"""372 ms: tells a semitone from the next down to 46 Hz."""
LONG_BANDS, LONG_BANDS_PER_OCTAVE, LOWEST_LONG_HZ = 288, 36, 32.4

# Roughly the root of each Hann window's energy: spectra of all sizes come out alike.
GAIN_512, GAIN_1024, GAIN_4096, GAIN_LONG = 1 / 13.9, 1 / 19.6, 1 / 39.2, 1 / 78.4
FLOOR = 2e-3


class Features(nn.Module):
    """Log mel spectrum, log pitch spectrum, transients at four times the rate, and the low bins with their phase."""

    mel: Tensor
    pitch: Tensor
    transients: Tensor
    window_512: Tensor
    window_1024: Tensor
    window_4096: Tensor

    def __init__(self) -> None:
        super().__init__()
        fixed = {
            "mel": mel_bands(1024, MEL_BANDS, 30.0),
            "pitch": _pitch_bands(4096, PITCH_BANDS, PITCH_BANDS_PER_OCTAVE, LOWEST_PITCH_HZ),
            "transients": mel_bands(512, TRANSIENT_BANDS, 30.0),
            "window_512": torch.hann_window(512),
            "window_1024": torch.hann_window(1024),
            "window_4096": torch.hann_window(4096),
        }
        for name, value in fixed.items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """audio: [rows, 2, samples] -> [rows, samples // FINE_HOP, FEATURES]."""
        rows, _, samples = audio.shape
        mid, side = (audio[:, 0] + audio[:, 1]) * 0.5, (audio[:, 0] - audio[:, 1]) * 0.5
        both = torch.cat([mid, side])
        spectrum = torch.fft.rfft(frames(both, 1024, FINE_HOP) * self.window_1024) * GAIN_1024
        mel = _log(spectrum.abs() @ self.mel.T)
        long = torch.fft.rfft(frames(both, 4096, FINE_HOP) * self.window_4096).abs() * GAIN_4096
        pitch = _log(long @ self.pitch.T)
        short = torch.fft.rfft(frames(mid, 512, TRANSIENT_HOP) * self.window_512).abs() * GAIN_512
        transients = _log(short @ self.transients.T).reshape(rows, samples // FINE_HOP, -1)
        side_pitch = pitch[rows:].reshape(rows, -1, PITCH_BANDS // 2, 2).mean(-1)
        low = _compressed(spectrum[:rows, :, :LOW_BINS])
        return torch.cat([mel[:rows], pitch[:rows], transients, low, mel[rows:], side_pitch], -1)


class LongFeatures(nn.Module):
    """Log spectrum of mid in sixths of a tone, once a latent frame, as far above its mean as the ear would say."""

    bands: Tensor
    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        bands = _pitch_bands(LONG_FFT, LONG_BANDS, LONG_BANDS_PER_OCTAVE, LOWEST_LONG_HZ)
        self.register_buffer("bands", bands, persistent=False)
        self.register_buffer("window", torch.hann_window(LONG_FFT), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """audio: [rows, 2, samples] -> [rows, samples // HOP, 2 * LONG_BANDS]: levels, and how far bands stand out."""
        spectrum = torch.fft.rfft(frames(audio.mean(1), LONG_FFT, HOP) * self.window).abs() * GAIN_LONG
        level = (_log(spectrum @ self.bands.T) + 3) / 1.5
        around = F.avg_pool1d(level, 25, 1, 12, count_include_pad=False)
        return torch.cat([level, level - around], -1)


class Encoder(nn.Module):
    """The features of four fine frames become one latent frame.

    outputs: numbers a latent frame. hears_pitch: whether it has the long features too.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, outputs: int, fine_width: int = 256, coarse_width: int = 384, *, hears_pitch: bool = True
    ) -> None:
        super().__init__()
        self.features = Features()
        self.long = LongFeatures() if hears_pitch else None
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("std", torch.ones(FEATURES))
        self.input = nn.Linear(FEATURES, fine_width)
        self.fine = blocks(2, fine_width, 2, 7)
        self.down = nn.Linear(FINE_PER_LATENT * fine_width, coarse_width)
        if hears_pitch:
            self.pitches = nn.Linear(2 * LONG_BANDS, coarse_width)
        self.coarse = blocks(3, coarse_width, 2, 5)
        self.norm = nn.LayerNorm(coarse_width)
        self.output = nn.Linear(coarse_width, outputs)

    def forward(self, audio: Tensor) -> Tensor:
        """audio: [rows, 2, samples] -> [rows, frames, outputs]."""
        fine = self.fine(self.input((self.features(audio) - self.mean) / self.std))
        joined = self.down(fine.reshape(fine.shape[0], fine.shape[1] // FINE_PER_LATENT, -1))
        if self.long is not None:
            joined = joined + self.pitches(self.long(audio))
        output: Tensor = self.output(self.norm(self.coarse(joined)))
        return output


def _log(magnitude: Tensor) -> Tensor:
    return torch.log(magnitude + FLOOR)


def _compressed(spectrum: Tensor) -> Tensor:
    """Complex bins with their magnitude's range compressed, as real and imaginary parts side by side."""
    compressed = spectrum / (spectrum.abs() + 1e-2) ** 0.6
    return torch.cat([compressed.real, compressed.imag], -1)


def _pitch_bands(fft_size: int, bands: int, per_octave: int, lowest_hz: float) -> Tensor:
    """Triangular bands on a scale of pitch, at least a bin wide, each summing to 1: [bands, fft_size // 2 + 1]."""
    bins = torch.linspace(0, SAMPLE_RATE / 2, fft_size // 2 + 1)
    centres = lowest_hz * 2 ** (torch.arange(bands) / per_octave)
    widths = (centres * (2 ** (1 / per_octave) - 1)).clamp(min=SAMPLE_RATE / fft_size)
    weights = (1 - (bins[None] - centres[:, None]).abs() / widths[:, None]).clamp(min=0)
    return weights / weights.sum(1, keepdim=True)
