"""Latents to tones: a network says which notes sound and how, oscillators sound them.

Knows: three registers of two octaves with one timbre each at a time. Notes are in equal
temperament at A = 440 Hz; pitches between them and inharmonic tones cannot be expressed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loopwright.model.pocket.layers import FINE_PER_LATENT, blocks
from loopwright.model.pocket.oscillators import Oscillators, radians

LOWEST_NOTE = 24
"""The MIDI number of the lowest note, C1: 32.7 Hz."""
REGISTERS, NOTES_PER_REGISTER = 3, 24
NOTES = REGISTERS * NOTES_PER_REGISTER
HARMONIC_GROUPS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 16, 20, 25, 32, 41, 61)
"""First harmonic of each group, then the end of the last; a group's harmonics are equally loud."""
GROUPS = len(HARMONIC_GROUPS) - 1
CONTROLS = 2 * NOTES + REGISTERS * GROUPS + REGISTERS
"""The network's outputs per step, in this order: presence and log level of every note, log share
of every group of harmonics in every register, width of every register."""

TIMBRE = REGISTERS * (GROUPS + 1)
TIMBRE_CHANNELS = 6 * REGISTERS
ROLLS = 2
"""Times per latent frame, evenly spaced, at which the latents give every note's loudness."""
ROLL_CHANNELS = ROLLS * NOTES
TONE_CHANNELS = ROLL_CHANNELS + TIMBRE_CHANNELS
"""All notes at the frame's first time, all notes at its second time, then the timbre."""

OSCILLATORS_PER_OCTAVE = 72
"""Six per semitone, so that a harmonic is at most 8 cents from its place."""
OSCILLATORS = 9 * OSCILLATORS_PER_OCTAVE
HIGHEST_HZ = 16000.0
SIDE_DETUNE_CENTS = 7.0
MAX_LOUDNESS = 0.92
"""The roll's value for a note as loud as the loudest in training."""
MAX_LOG_LEVEL, MIN_LOG_LEVEL = 0.0, -9.0
"""Bounds of a note's log level."""
MASKING_SHARE, MASKING_STEPS = 0.06, 43
"""A note below this share of the loudest note within half a second is masked."""


@dataclass(frozen=True)
class Tones:
    """The notes and timbres that sound, step by step.

    Attributes:
        level: A note's amplitude, 0 if silent, [batch, steps, NOTES].
        share: Amplitude of each harmonic of a group, as a share of the note's,
            [batch, steps, REGISTERS, GROUPS].
        width: Side against mid, 0 to 1, [batch, steps, REGISTERS].
    """

    level: Tensor
    share: Tensor
    width: Tensor


class ToneDecoder(nn.Module):
    """The decoder of tones: two networks and the oscillators they set.

    Its latents begin with the roll: how loud each note is. A note that is struck again while it
    sounds is silent in the roll just before.

    Args:
        note_width: Width of the network that every note passes through by itself.
        timbre_width: Width of the network that sees all channels.
    """

    harmonics: Tensor

    def __init__(self, note_width: int = 48, timbre_width: int = 160) -> None:
        super().__init__()
        self.notes = nn.Sequential(
            nn.Conv1d(1, note_width, 5, padding=2), nn.GELU(approximate="tanh"),
            nn.Conv1d(note_width, note_width, 3, padding=1), nn.GELU(approximate="tanh"),
            nn.Conv1d(note_width, 2 * FINE_PER_LATENT // ROLLS, 1),
        )  # fmt: skip
        self.input = nn.Linear(TONE_CHANNELS, timbre_width)
        self.network = blocks(2, timbre_width, 2, 5)
        self.norm = nn.LayerNorm(timbre_width)
        self.output = nn.Linear(timbre_width, FINE_PER_LATENT * TIMBRE)
        self.register_buffer("harmonics", _harmonics_per_oscillator(), persistent=False)
        steps = torch.arange(OSCILLATORS, dtype=torch.float64) / OSCILLATORS_PER_OCTAVE
        mid = radians(note_hz(LOWEST_NOTE) * 2**steps)
        # a little higher than mid: the two beat slowly, which is heard as width
        side = mid * 2 ** (SIDE_DETUNE_CENTS / 1200)
        # the seed is part of the model: other phases would change every seed's audio
        generator = torch.Generator().manual_seed(1)
        phases = torch.rand(2, OSCILLATORS, generator=generator) * (2 * math.pi)
        self.mid = Oscillators(mid, phases[0])
        self.side = Oscillators(side, phases[1])

    def forward(self, latents: Tensor) -> Tensor:
        """Decode latents [batch, frames, TONE_CHANNELS] to mid and side, [batch, 2, samples]."""
        return self.sound(decode_controls(self.controls(latents)))

    def controls(self, latents: Tensor) -> Tensor:
        """Predict the controls of all notes and registers.

        Args:
            latents: [batch, frames, TONE_CHANNELS].

        Returns:
            [batch, steps, CONTROLS], steps of FINE_HOP samples.
        """
        batch, frames, _ = latents.shape
        times, steps = frames * ROLLS, frames * FINE_PER_LATENT
        hidden = self.norm(self.network(self.input(latents)))
        timbre = self.output(hidden).reshape(batch, steps, TIMBRE)
        roll = latents[..., :ROLL_CHANNELS].reshape(batch, times, NOTES).clamp(max=MAX_LOUDNESS)
        # notes become rows of the batch: one small network serves all of them
        rolls = roll.transpose(1, 2).reshape(batch * NOTES, 1, times)
        notes = self.notes(rolls)
        notes = notes.reshape(batch, NOTES, 2, FINE_PER_LATENT // ROLLS, times)
        by_step = notes.permute(0, 4, 3, 2, 1).reshape(batch, steps, 2 * NOTES)
        return torch.cat([by_step, timbre], -1)

    def sound(self, tones: Tones) -> Tensor:
        """Sound steps of FINE_HOP samples as mid and side, [batch, 2, samples]."""
        mid = self.mid(self.power(tones.level, tones.share).sqrt())
        width = tones.width.repeat_interleave(NOTES_PER_REGISTER, -1)
        side = self.side(self.power(tones.level * width, tones.share).sqrt())
        return torch.stack([mid, side], 1)

    def power(self, level: Tensor, share: Tensor) -> Tensor:
        """Add up every oscillator's power from all notes that have a harmonic there.

        Args:
            level: As in ``Tones``.
            share: As in ``Tones``.

        Returns:
            [batch, steps, OSCILLATORS].
        """
        # powers, since harmonics of different notes have unrelated phases
        amplitude = split_registers(level)[..., None] * share[..., None, :]
        power: Tensor = amplitude.square().flatten(-3) @ self.harmonics
        return power


def decode_controls(controls: Tensor) -> Tones:
    """Turn the network's output into tones.

    A note sounds if its presence is above zero and if no louder note masks it: what a denoiser
    leaves over is faint notes beside the music.

    Args:
        controls: [batch, steps, CONTROLS].
    """
    presence, level, share, width = split_controls(controls)
    amplitude = torch.exp(level.clamp(MIN_LOG_LEVEL, MAX_LOG_LEVEL)) * (presence > 0)
    loudest = amplitude.amax(-1)[:, None]
    loudest = F.max_pool1d(loudest, MASKING_STEPS, 1, MASKING_STEPS // 2)[:, 0, :, None]
    audible = amplitude * (amplitude > MASKING_SHARE * loudest)
    return Tones(audible, torch.exp(share.clamp(-8, 0.2)), torch.sigmoid(width))


def split_controls(controls: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Split controls [..., CONTROLS] into their parts.

    Returns:
        Presence logits and log levels, each [..., NOTES]; log shares, [..., REGISTERS, GROUPS];
        width logits, [..., REGISTERS].
    """
    sizes = [NOTES, NOTES, REGISTERS * GROUPS, REGISTERS]
    presence, level, share, width = torch.split(controls, sizes, -1)
    return presence, level, share.reshape(*share.shape[:-1], REGISTERS, GROUPS), width


def split_registers(notes: Tensor) -> Tensor:
    """Reshape [..., NOTES] to [..., REGISTERS, NOTES_PER_REGISTER]."""
    return notes.reshape(*notes.shape[:-1], REGISTERS, NOTES_PER_REGISTER)


def note_hz(note: int) -> float:
    """Return the frequency of a MIDI note number."""
    return float(440 * 2 ** ((note - 69) / 12))


def harmonics_of(group: int) -> range:
    """Return the harmonics in a group."""
    return range(HARMONIC_GROUPS[group], HARMONIC_GROUPS[group + 1])


def _harmonics_per_oscillator() -> Tensor:
    """Count the harmonics of each note's group that fall on each oscillator.

    Returns:
        [NOTES * GROUPS, OSCILLATORS].
    """
    counts = torch.zeros(NOTES, GROUPS, OSCILLATORS)
    for note in range(NOTES):
        for group in range(GROUPS):
            for harmonic in harmonics_of(group):
                if harmonic * note_hz(LOWEST_NOTE + note) < HIGHEST_HZ:
                    octaves = note / 12 + math.log2(harmonic)
                    counts[note, group, round(OSCILLATORS_PER_OCTAVE * octaves)] += 1
    return counts.flatten(0, 1)
