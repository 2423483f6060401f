"""Latents to tones: a small network says which notes sound, how loud, and with which harmonics; oscillators sound them.

Knows: three registers of two octaves, each with one timbre at a time, and how they are made into sound. Notes are of the
equal temperament at A = 440 Hz; what lies between them, and what is not harmonic, it cannot say.
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
REGISTERS, NOTES_A_REGISTER = 3, 24
NOTES = REGISTERS * NOTES_A_REGISTER
HARMONIC_GROUPS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 16, 20, 25, 32, 41, 61)
"""Where the groups of harmonics begin; the last is where they end. Harmonics of one group are equally loud."""
GROUPS = len(HARMONIC_GROUPS) - 1
CONTROLS = 2 * NOTES + REGISTERS * GROUPS + REGISTERS
"""What the network gives a step, in this order: presence and log level of every note, log share of every group of
harmonics in every register, width of every register."""

TIMBRE = REGISTERS * (GROUPS + 1)
TIMBRE_CHANNELS = 6 * REGISTERS
ROLLS = 2
"""Times a latent frame at which the latents say how loud every note is, evenly spaced."""
ROLL_CHANNELS = ROLLS * NOTES
TONE_CHANNELS = ROLL_CHANNELS + TIMBRE_CHANNELS
"""Of the latents: one a note, at the frame's first time, then at its second; then what says how the notes sound."""

OSCILLATORS_PER_OCTAVE = 72
"""A semitone is six, so that harmonics are at most 8 cents from where they should be."""
OSCILLATORS = 9 * OSCILLATORS_PER_OCTAVE
HIGHEST_HZ = 16000.0
SIDE_DETUNE_CENTS = 7.0
LOUDEST_NOTE = 0.92
"""What the roll says of a note that is as loud as any was in training."""
LOUDEST, QUIETEST = 0.0, -9.0
"""Bounds of a note's log level."""
DROWNED, DROWNING_STEPS = 0.06, 43
"""A note is not heard below this share of the loudest within half a second."""


@dataclass(frozen=True)
class Tones:
    """What sounds, step by step. level: a note's amplitude, 0 if silent, [rows, steps, NOTES].

    share: a group's amplitude of each harmonic, as a share of the note's, [rows, steps, REGISTERS, GROUPS].
    width: side against mid, 0…1, [rows, steps, REGISTERS].
    """

    level: Tensor
    share: Tensor
    width: Tensor


class ToneDecoder(nn.Module):
    """The networks and the oscillators they set. Of the latents' TONE_CHANNELS the first are a roll: how loud each note is.

    A note that is struck again while it sounds is silent in the roll just before.
    """

    spread: Tensor

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
        self.register_buffer("spread", _spread(), persistent=False)
        self.mid, self.side = _oscillators()

    def forward(self, latents: Tensor) -> Tensor:
        """latents: [rows, frames, TONE_CHANNELS] -> mid and side, [rows, 2, frames * HOP]."""
        return self.sound(decode_controls(self.controls(latents)))

    def controls(self, latents: Tensor) -> Tensor:
        """latents: [rows, frames, TONE_CHANNELS] -> [rows, steps, CONTROLS], steps of FINE_HOP samples."""
        rows, frames, _ = latents.shape
        timbre = self.output(self.norm(self.network(self.input(latents)))).reshape(rows, -1, TIMBRE)
        roll = (
            latents[..., :ROLL_CHANNELS]
            .reshape(rows, frames * ROLLS, NOTES)
            .clamp(max=LOUDEST_NOTE)
        )
        notes = self.notes(roll.transpose(1, 2).reshape(rows * NOTES, 1, frames * ROLLS))
        notes = notes.reshape(rows, NOTES, 2, FINE_PER_LATENT // ROLLS, frames * ROLLS)
        by_step = notes.permute(0, 4, 3, 2, 1).reshape(rows, frames * FINE_PER_LATENT, 2 * NOTES)
        return torch.cat([by_step, timbre], -1)

    def sound(self, tones: Tones) -> Tensor:
        """Steps of FINE_HOP samples -> mid and side, [rows, 2, samples]."""
        power = self.power(tones.level, tones.share)
        mid = self.mid(power.sqrt())
        width = tones.width.repeat_interleave(NOTES_A_REGISTER, -1)
        side_power = self.power(tones.level * width, tones.share)
        side = self.side(side_power.sqrt())
        return torch.stack([mid, side], 1)

    def power(self, level: Tensor, share: Tensor) -> Tensor:
        """Every oscillator's power, from all notes that have a harmonic there: [rows, steps, OSCILLATORS]."""
        by_register = by_registers(level)
        of_groups = (by_register[..., None] * share[..., None, :]).square()
        power: Tensor = of_groups.flatten(-3) @ self.spread
        return power


def decode_controls(controls: Tensor) -> Tones:
    """What the network gives, as what sounds. [rows, steps, CONTROLS].

    A note sounds if its presence is above zero and it is not drowned by the loudest of its time: what a denoiser leaves over.
    """
    presence, level, share, width = parted(controls)
    sounding = torch.exp(level.clamp(QUIETEST, LOUDEST)) * (presence > 0)
    loudest = F.max_pool1d(sounding.amax(-1)[:, None], DROWNING_STEPS, 1, DROWNING_STEPS // 2)[
        :, 0, :, None
    ]
    sounding = sounding * (sounding > DROWNED * loudest)
    return Tones(sounding, torch.exp(share.clamp(-8, 0.2)), torch.sigmoid(width))


def parted(controls: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """[..., CONTROLS] -> presence logits and log levels [..., NOTES], log shares [..., REGISTERS, GROUPS], widths' logits."""
    presence, level, share, width = torch.split(
        controls, [NOTES, NOTES, REGISTERS * GROUPS, REGISTERS], -1
    )
    return presence, level, share.reshape(*share.shape[:-1], REGISTERS, GROUPS), width


def by_registers(of_notes: Tensor) -> Tensor:
    """[..., NOTES] -> [..., REGISTERS, NOTES_A_REGISTER]"""
    return of_notes.reshape(*of_notes.shape[:-1], REGISTERS, NOTES_A_REGISTER)


def note_hz(note: int) -> float:
    """A MIDI number's frequency."""
    return float(440 * 2 ** ((note - 69) / 12))


def harmonics_of(group: int) -> range:
    """The harmonics in a group."""
    return range(HARMONIC_GROUPS[group], HARMONIC_GROUPS[group + 1])


def _oscillators() -> tuple[Oscillators, Oscillators]:
    """Of mid and of side."""
    steps = torch.arange(OSCILLATORS, dtype=torch.float64) / OSCILLATORS_PER_OCTAVE
    frequencies = radians(note_hz(LOWEST_NOTE) * 2**steps)
    phases = torch.rand(2, OSCILLATORS, generator=torch.Generator().manual_seed(1)) * (2 * math.pi)
    return Oscillators(frequencies, phases[0]), Oscillators(
        frequencies * 2 ** (SIDE_DETUNE_CENTS / 1200), phases[1]
    )


def _spread() -> Tensor:
    """[NOTES * GROUPS, OSCILLATORS]: how many harmonics of a note's group fall on an oscillator."""
    spread = torch.zeros(NOTES, GROUPS, OSCILLATORS)
    for note in range(NOTES):
        for group in range(GROUPS):
            for harmonic in harmonics_of(group):
                if harmonic * note_hz(LOWEST_NOTE + note) < HIGHEST_HZ:
                    octaves = note / 12 + math.log2(harmonic)
                    spread[note, group, round(OSCILLATORS_PER_OCTAVE * octaves)] += 1
    return spread.flatten(0, 1)
