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
"""Samples (372 ms): separates two notes a semitone apart down to 46 Hz."""
LONG_BANDS, LONG_BANDS_PER_OCTAVE, LOWEST_LONG_HZ = 288, 36, 32.4

LONG_HARMONICS = (1 / 3, 1 / 2, 1, 2, 3, 4, 5, 6, 8, 10)
"""Multiples of a note's frequency to examine; at fractions a lower note would have its own."""
PITCH_HARMONICS = (1 / 2, 1, 2, 3, 4, 6)
NOTE_SUMMARY, NOTE_CONTEXT = 4, 16
"""Numbers per note that go to the wider network, and that come back from it."""

# Roughly the root of each Hann window's energy: spectra of all sizes come out alike.
GAIN_512, GAIN_1024, GAIN_4096, GAIN_LONG = 1 / 13.9, 1 / 19.6, 1 / 39.2, 1 / 78.4
FLOOR = 2e-3
"""Added to magnitudes before the logarithm, so that silence is finite."""


class Features(nn.Module):
    """Spectral features per fine frame.

    In this order: log mel spectrum and log pitch spectrum of mid, transients at four times the
    rate, the low bins with their phase, then the two log spectra of side.
    """

    mel: Tensor
    pitch: Tensor
    transients: Tensor
    window_512: Tensor
    window_1024: Tensor
    window_4096: Tensor

    def __init__(self) -> None:
        super().__init__()
        pitch = _pitch_bands(4096, PITCH_BANDS, PITCH_BANDS_PER_OCTAVE, LOWEST_PITCH_HZ)
        transients = mel_bands(512, TRANSIENT_BANDS, 30.0)
        self.register_buffer("mel", mel_bands(1024, MEL_BANDS, 30.0), persistent=False)
        self.register_buffer("pitch", pitch, persistent=False)
        self.register_buffer("transients", transients, persistent=False)
        for size in (512, 1024, 4096):
            self.register_buffer(f"window_{size}", torch.hann_window(size), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """Compute features of [batch, 2, samples] as [batch, samples // FINE_HOP, FEATURES]."""
        batch, _, samples = audio.shape
        left, right = audio[:, 0], audio[:, 1]
        mid, side = (left + right) * 0.5, (left - right) * 0.5
        # mid and side as rows of one batch: each spectrum is computed once for both
        both = torch.cat([mid, side])
        windowed = frames(both, 1024, FINE_HOP) * self.window_1024
        spectrum = torch.fft.rfft(windowed) * GAIN_1024
        mel = _log(spectrum.abs() @ self.mel.T)
        # a longer window tells low pitches apart, a shorter one when something is struck
        windowed = frames(both, 4096, FINE_HOP) * self.window_4096
        long = torch.fft.rfft(windowed).abs() * GAIN_4096
        pitch = _log(long @ self.pitch.T)
        windowed = frames(mid, 512, TRANSIENT_HOP) * self.window_512
        short = torch.fft.rfft(windowed).abs() * GAIN_512
        transients = _log(short @ self.transients.T).reshape(batch, samples // FINE_HOP, -1)
        side_pitch = pitch[batch:].reshape(batch, -1, PITCH_BANDS // 2, 2).mean(-1)
        # magnitudes are compressed, phases kept
        low = spectrum[:batch, :, :LOW_BINS]
        low = low / (low.abs() + 1e-2) ** 0.6
        low = torch.cat([low.real, low.imag], -1)
        return torch.cat([mel[:batch], pitch[:batch], transients, low, mel[batch:], side_pitch], -1)


class LongFeatures(nn.Module):
    """Log spectrum of mid over 372 ms, in thirds of a semitone, once per latent frame."""

    bands: Tensor
    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        bands = _pitch_bands(LONG_FFT, LONG_BANDS, LONG_BANDS_PER_OCTAVE, LOWEST_LONG_HZ)
        self.register_buffer("bands", bands, persistent=False)
        self.register_buffer("window", torch.hann_window(LONG_FFT), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """Compute levels, and how far each band stands out of those around it.

        Args:
            audio: [batch, 2, samples].

        Returns:
            [batch, samples // HOP, 2 * LONG_BANDS].
        """
        windowed = frames(audio.mean(1), LONG_FFT, HOP) * self.window
        spectrum = torch.fft.rfft(windowed).abs() * GAIN_LONG
        level = (_log(spectrum @ self.bands.T) + 3) / 1.5
        around = F.avg_pool1d(level, 25, 1, 12, count_include_pad=False)
        return torch.cat([level, level - around], -1)


class Encoder(nn.Module):
    """A network on spectral features: four fine frames become one latent frame.

    Args:
        outputs: Numbers per latent frame.
        fine_width: Width of the network at fine frames.
        coarse_width: Width of the network at latent frames.

    Attributes:
        mean: Mean of each feature in training, [FEATURES].
        std: Standard deviation of each feature in training, [FEATURES].
    """

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
        """Encode audio [batch, 2, samples] as [batch, frames, outputs]."""
        coarse = self.coarse(self.downsample(self.normalised_features(audio)))
        output: Tensor = self.output(self.norm(coarse))
        return output

    def normalised_features(self, audio: Tensor) -> Tensor:
        """Compute features with mean 0 and deviation 1, [batch, fine frames, FEATURES]."""
        features: Tensor = self.features(audio)
        return (features - self.mean) / self.std

    def downsample(self, features: Tensor) -> Tensor:
        """Run the fine half of the network: features to [batch, frames, coarse width]."""
        fine = self.fine(self.input(features))
        batch, steps, _ = fine.shape
        coarse: Tensor = self.down(fine.reshape(batch, steps // FINE_PER_LATENT, -1))
        return coarse


class PocketEncoder(Encoder):
    """The encoder that ships: separates drums from tones, and says which notes sound.

    Every note is examined by the same small network, at its own harmonics (``look``). A summary of
    each note (``found``) goes to the wider network (``tell``), which returns a context for each
    note (``told``). View and context decide (``decide``) how loud the note is (``loud``). The
    names of these modules are keys of the shipped weights.

    Args:
        drum_channels: The drum channels of a latent frame.
    """

    def __init__(self, drum_channels: int) -> None:
        super().__init__(drum_channels + TIMBRE_CHANNELS)
        self.drum_channels = drum_channels
        self.long = LongFeatures()
        self.look = HarmonicView()
        coarse_width = self.norm.normalized_shape[0]
        self.found = nn.Linear(self.look.width, NOTE_SUMMARY)
        self.tell = nn.Linear(NOTES * NOTE_SUMMARY, coarse_width)
        self.told = nn.Linear(coarse_width, NOTES * NOTE_CONTEXT)
        self.decide = nn.Linear(self.look.width + NOTE_CONTEXT, 48)
        self.loud = nn.Linear(48, ROLLS)

    def forward(self, audio: Tensor) -> Tensor:
        """Encode audio.

        Args:
            audio: [batch, 2, samples].

        Returns:
            Latents of drums, notes and timbre, [batch, frames, channels].
        """
        features = self.normalised_features(audio)
        pitch = features[..., MEL_BANDS : MEL_BANDS + PITCH_BANDS]
        views = self.look(self.long(audio), pitch)
        summary = self.tell(self.found(views).flatten(-2))
        hidden = self.norm(self.coarse(self.downsample(features) + summary))
        context = self.told(hidden).reshape(*hidden.shape[:-1], NOTES, NOTE_CONTEXT)
        informed = torch.cat([views, context], -1)
        decided = F.gelu(self.decide(informed), approximate="tanh")
        notes = self.loud(decided).transpose(-1, -2).flatten(-2)
        output = self.output(hidden)
        drums, timbre = output[..., : self.drum_channels], output[..., self.drum_channels :]
        return torch.cat([drums, notes, timbre], -1)


class HarmonicView(nn.Module):
    """The network that examines one note at its harmonics, shared by all notes.

    It also sees the harmonics of the notes that this one could be taken for. Module names are keys
    of the shipped weights: ``look`` reads the bands, ``which`` is an embedding of the note,
    ``over_time`` mixes neighbouring frames, ``think`` is the second layer.

    Args:
        width: Numbers per note and frame.
    """

    long_bands: Tensor
    long_exists: Tensor
    pitch_bands: Tensor
    pitch_exists: Tensor

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.width = width
        lowest_hz = note_hz(LOWEST_NOTE)
        first = round(LONG_BANDS_PER_OCTAVE * math.log2(lowest_hz / LOWEST_LONG_HZ))
        long = _bands_at(LONG_HARMONICS, first, LONG_BANDS_PER_OCTAVE, around=1)
        first = round(PITCH_BANDS_PER_OCTAVE * math.log2(lowest_hz / LOWEST_PITCH_HZ))
        pitch = _bands_at(PITCH_HARMONICS, first, PITCH_BANDS_PER_OCTAVE, around=0)
        for name, bands, count in (("long", long, LONG_BANDS), ("pitch", pitch, PITCH_BANDS)):
            # harmonics outside the spectrum read some band and are multiplied by 0
            exists = ((bands >= 0) & (bands < count)).float()
            self.register_buffer(f"{name}_bands", bands.clamp(0, count - 1), persistent=False)
            self.register_buffer(f"{name}_exists", exists, persistent=False)
        self.look = nn.Linear(2 * long.shape[1] + FINE_PER_LATENT * pitch.shape[1], width)
        self.which = nn.Parameter(torch.zeros(NOTES, width))
        self.over_time = nn.Conv1d(width, width, 5, padding=2, groups=width)
        self.think = nn.Linear(width, width)

    def forward(self, long: Tensor, pitch: Tensor) -> Tensor:
        """Examine every note.

        Args:
            long: As ``LongFeatures`` returns it.
            pitch: Pitch bands, [batch, fine frames, PITCH_BANDS].

        Returns:
            [batch, frames, NOTES, width].
        """
        batch, frames, _ = long.shape
        level, above = torch.split(long, LONG_BANDS, -1)
        levels = level[..., self.long_bands] * self.long_exists
        stand_out = above[..., self.long_bands] * self.long_exists
        fine = pitch[..., self.pitch_bands] * self.pitch_exists
        by_frame = fine.reshape(batch, frames, FINE_PER_LATENT, NOTES, -1)
        fine = by_frame.transpose(2, 3).flatten(-2)
        bands = torch.cat([levels, stand_out, fine], -1)
        view = F.gelu(self.look(bands) + self.which, approximate="tanh")
        by_note = view.permute(0, 2, 3, 1).reshape(batch * NOTES, self.width, frames)
        mixed = self.over_time(by_note).reshape(batch, NOTES, self.width, frames)
        mixed = mixed.permute(0, 3, 1, 2)
        refined: Tensor = view + F.gelu(self.think(view + mixed), approximate="tanh")
        return refined


def _bands_at(harmonics: tuple[float, ...], first: int, per_octave: int, around: int) -> Tensor:
    """Look up the bands at every note's harmonics; they may be outside the spectrum.

    Args:
        harmonics: Multiples of a note's frequency.
        first: The band of the lowest note.
        per_octave: Bands per octave.
        around: Further bands to either side of a harmonic.

    Returns:
        [NOTES, bands].
    """
    notes = first + torch.arange(NOTES) * per_octave // 12
    steps = torch.tensor([round(per_octave * math.log2(harmonic)) for harmonic in harmonics])
    neighbours = torch.arange(-around, around + 1)
    offsets = (steps[:, None] + neighbours).flatten()
    return notes[:, None] + offsets


def _log(magnitude: Tensor) -> Tensor:
    return torch.log(magnitude + FLOOR)


def _pitch_bands(fft_size: int, bands: int, per_octave: int, lowest_hz: float) -> Tensor:
    """Compute triangular bands on a scale of pitch, at least a bin wide.

    Returns:
        [bands, fft_size // 2 + 1], each band summing to 1.
    """
    bins = torch.linspace(0, SAMPLE_RATE / 2, fft_size // 2 + 1)
    centres = lowest_hz * 2 ** (torch.arange(bands) / per_octave)
    relative_width = 2 ** (1 / per_octave) - 1
    widths = (centres * relative_width).clamp(min=SAMPLE_RATE / fft_size)
    distance = (bins[None] - centres[:, None]).abs() / widths[:, None]
    weights = (1 - distance).clamp(min=0)
    return weights / weights.sum(1, keepdim=True)
