"""Audio to latents: fixed spectral features, then a small network. Mid and side are kept apart."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loopwright.model.pocket.layers import (
    FINE_HOP,
    FINE_PER_LATENT,
    HOP,
    SAMPLE_RATE,
    blocks,
    frames,
    mel_bands,
)
from loopwright.model.pocket.tones import LOWEST_NOTE, NOTES, ROLLS, TIMBRE_CHANNELS, note_hz

MEL_BANDS = 96
TRANSIENT_BANDS = 32
TRANSIENT_HOP = FINE_HOP // 4
PITCH_BANDS, PITCH_BANDS_PER_OCTAVE, LOWEST_PITCH_HZ = 168, 24, 65.4
LOW_BINS = 41
"""Bins of the 1024-sample spectrum, up to 1.7 kHz, whose phase is a feature too."""
FEATURES = (
    MEL_BANDS + PITCH_BANDS + 4 * TRANSIENT_BANDS + 2 * LOW_BINS + MEL_BANDS + PITCH_BANDS // 2
)

LONG_FFT = 16384
"""372 ms: tells a semitone from the next down to 46 Hz."""
LONG_BANDS, LONG_BANDS_PER_OCTAVE, LOWEST_LONG_HZ = 288, 36, 32.4

LONG_HARMONICS = (1 / 3, 1 / 2, 1, 2, 3, 4, 5, 6, 8, 10)
QUICK_HARMONICS = (1 / 2, 1, 2, 3, 4, 6)
FOUND, TOLD = 4, 16
"""Numbers a note that go to the wider network, and that come from it."""

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
        spectrum = (
            torch.fft.rfft(frames(audio.mean(1), LONG_FFT, HOP) * self.window).abs() * GAIN_LONG
        )
        level = (_log(spectrum @ self.bands.T) + 3) / 1.5
        around = F.avg_pool1d(level, 25, 1, 12, count_include_pad=False)
        return torch.cat([level, level - around], -1)


class Encoder(nn.Module):
    """The features of four fine frames become one latent frame. outputs: numbers a latent frame."""

    mean: Tensor
    std: Tensor

    def __init__(self, outputs: int, fine_width: int = 256, coarse_width: int = 384) -> None:
        super().__init__()
        self.features = Features()
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("std", torch.ones(FEATURES))
        self.input = nn.Linear(FEATURES, fine_width)
        self.fine = blocks(2, fine_width, 2, 7)
        self.down = nn.Linear(FINE_PER_LATENT * fine_width, coarse_width)
        self.coarse = blocks(3, coarse_width, 2, 5)
        self.norm = nn.LayerNorm(coarse_width)
        self.output = nn.Linear(coarse_width, outputs)

    def forward(self, audio: Tensor) -> Tensor:
        """audio: [rows, 2, samples] -> [rows, frames, outputs]."""
        output: Tensor = self.output(self.norm(self.coarse(self.joined(self.heard(audio)))))
        return output

    def heard(self, audio: Tensor) -> Tensor:
        """The features, each with mean 0 and spread 1: [rows, fine frames, FEATURES]."""
        features: Tensor = self.features(audio)
        return (features - self.mean) / self.std

    def joined(self, heard: Tensor) -> Tensor:
        """What the fine half of the network makes of them: [rows, frames, coarse width]."""
        fine = self.fine(self.input(heard))
        joined: Tensor = self.down(
            fine.reshape(fine.shape[0], fine.shape[1] // FINE_PER_LATENT, -1)
        )
        return joined


class PocketEncoder(Encoder):
    """The encoder that ships: it tells drums from tones, and which notes the tones are.

    Every note is looked at by the same small network, at its own harmonics; the wider network hears what they found and
    tells them what it heard.
    """

    def __init__(self, drum_channels: int) -> None:
        super().__init__(drum_channels + TIMBRE_CHANNELS)
        self.drum_channels = drum_channels
        self.long = LongFeatures()
        self.look = HarmonicView()
        coarse_width = self.norm.normalized_shape[0]
        self.found = nn.Linear(self.look.width, FOUND)
        self.tell = nn.Linear(NOTES * FOUND, coarse_width)
        self.told = nn.Linear(coarse_width, NOTES * TOLD)
        self.decide = nn.Linear(self.look.width + TOLD, 48)
        self.loud = nn.Linear(48, ROLLS)

    def forward(self, audio: Tensor) -> Tensor:
        """audio: [rows, 2, samples] -> latents, [rows, frames, channels]: of drums, notes, timbre."""
        heard = self.heard(audio)
        looks = self.look(self.long(audio), heard[..., MEL_BANDS : MEL_BANDS + PITCH_BANDS])
        hidden = self.norm(
            self.coarse(self.joined(heard) + self.tell(self.found(looks).flatten(-2)))
        )
        told = self.told(hidden).reshape(*hidden.shape[:-1], NOTES, TOLD)
        decided = F.gelu(self.decide(torch.cat([looks, told], -1)), approximate="tanh")
        notes = self.loud(decided).transpose(-1, -2).flatten(-2)
        output = self.output(hidden)
        return torch.cat(
            [output[..., : self.drum_channels], notes, output[..., self.drum_channels :]], -1
        )


class HarmonicView(nn.Module):
    """What is at a note's harmonics, and at those of the notes it could be taken for."""

    near: Tensor
    near_there: Tensor
    quick: Tensor
    quick_there: Tensor

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.width = width
        lowest = LOWEST_LONG_HZ, note_hz(LOWEST_NOTE)
        above = round(LONG_BANDS_PER_OCTAVE * math.log2(lowest[1] / lowest[0]))
        near = _bands_at(LONG_HARMONICS, above, LONG_BANDS_PER_OCTAVE, around=1)
        above = round(PITCH_BANDS_PER_OCTAVE * math.log2(lowest[1] / LOWEST_PITCH_HZ))
        quick = _bands_at(QUICK_HARMONICS, above, PITCH_BANDS_PER_OCTAVE, around=0)
        for name, bands, count in (("near", near, LONG_BANDS), ("quick", quick, PITCH_BANDS)):
            self.register_buffer(name, bands.clamp(0, count - 1), persistent=False)
            self.register_buffer(
                f"{name}_there", ((bands >= 0) & (bands < count)).float(), persistent=False
            )
        self.look = nn.Linear(2 * near.shape[1] + FINE_PER_LATENT * quick.shape[1], width)
        self.which = nn.Parameter(torch.zeros(NOTES, width))
        self.over_time = nn.Conv1d(width, width, 5, padding=2, groups=width)
        self.think = nn.Linear(width, width)

    def forward(self, long: Tensor, quick: Tensor) -> Tensor:
        """long: as ``LongFeatures`` gives; quick: pitch bands, [rows, fine frames, PITCH_BANDS].

        Returns what it sees of every note, [rows, frames, NOTES, width].
        """
        rows, frames, _ = long.shape
        level, above = torch.split(long, LONG_BANDS, -1)
        fine = quick[..., self.quick] * self.quick_there
        of_frames = (
            fine.reshape(rows, frames, FINE_PER_LATENT, NOTES, -1).transpose(2, 3).flatten(-2)
        )
        given = torch.cat(
            [
                level[..., self.near] * self.near_there,
                above[..., self.near] * self.near_there,
                of_frames,
            ],
            -1,
        )
        looks = F.gelu(self.look(given) + self.which, approximate="tanh")
        by_note = looks.permute(0, 2, 3, 1).reshape(rows * NOTES, self.width, frames)
        lasting = (
            self.over_time(by_note).reshape(rows, NOTES, self.width, frames).permute(0, 3, 1, 2)
        )
        thought: Tensor = looks + F.gelu(self.think(looks + lasting), approximate="tanh")
        return thought


def _bands_at(harmonics: tuple[float, ...], first: int, per_octave: int, around: int) -> Tensor:
    """Of every note, the bands at its harmonics and so many to either side: [NOTES, bands]. May be outside the spectrum."""
    notes = first + torch.arange(NOTES) * per_octave // 12
    steps = torch.tensor([round(per_octave * math.log2(one)) for one in harmonics])
    sides = torch.arange(-around, around + 1)
    return notes[:, None] + (steps[:, None] + sides).flatten()


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
