"""Latents to tones: a small network says which notes sound, how loud, and with which harmonics; oscillators sound them.

Knows: three registers of two octaves, each with one timbre at a time, and how they are made into sound. Notes are of the
equal temperament at A = 440 Hz; what lies between them, and what is not harmonic, it cannot say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from loopwright.model.pocket.layers import FINE_HOP, FINE_PER_LATENT, SAMPLE_RATE, blocks, overlap_add

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

OSCILLATORS_PER_OCTAVE = 72
"""A semitone is six, so that harmonics are at most 8 cents from where they should be."""
OSCILLATORS = 9 * OSCILLATORS_PER_OCTAVE
HIGHEST_HZ = 16000.0
SIDE_DETUNE_CENTS = 7.0
LOUDEST, QUIETEST = 0.0, -9.0
"""Bounds of a note's log level."""


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
    """The network and the oscillators it sets. channels: of the latents that are about tones."""

    spread: Tensor
    frequencies: Tensor
    side_frequencies: Tensor
    waves: Tensor
    side_waves: Tensor
    phases: Tensor

    def __init__(self, channels: int, width: int = 256) -> None:
        super().__init__()
        self.input = nn.Linear(channels, width)
        self.network = blocks(3, width, 2, 5)
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, FINE_PER_LATENT * CONTROLS)
        for name, value in _fixed().items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, latents: Tensor) -> Tensor:
        """latents: [rows, frames, channels] -> mid and side, [rows, 2, frames * HOP]."""
        return self.sound(settled(self.controls(latents)))

    def controls(self, latents: Tensor) -> Tensor:
        """latents: [rows, frames, channels] -> [rows, steps, CONTROLS], steps of FINE_HOP samples."""
        hidden = self.norm(self.network(self.input(latents)))
        controls: Tensor = self.output(hidden)
        return controls.reshape(latents.shape[0], FINE_PER_LATENT * latents.shape[1], CONTROLS)

    def sound(self, tones: Tones) -> Tensor:
        """Steps of FINE_HOP samples -> mid and side, [rows, 2, samples]."""
        power = self._power(tones.level, tones.share)
        mid = self._sound(power.sqrt(), self.frequencies, self.waves, self.phases[0])
        width = tones.width.repeat_interleave(NOTES_A_REGISTER, -1)
        side_power = self._power(tones.level * width, tones.share)
        side = self._sound(side_power.sqrt(), self.side_frequencies, self.side_waves, self.phases[1])
        return torch.stack([mid, side], 1)

    def _power(self, level: Tensor, share: Tensor) -> Tensor:
        """Every oscillator's power, from all notes that have a harmonic there: [rows, steps, OSCILLATORS]."""
        by_register = by_registers(level)
        of_groups = (by_register[..., None] * share[..., None, :]).square()
        power: Tensor = of_groups.flatten(-3) @ self.spread
        return power

    def _sound(self, amplitude: Tensor, frequencies: Tensor, waves: Tensor, phases: Tensor) -> Tensor:
        """amplitude: [rows, steps, oscillators] -> [rows, samples]."""
        centres = (
            torch.arange(amplitude.shape[1], dtype=torch.float64, device=amplitude.device) * FINE_HOP + FINE_HOP / 2
        )
        # in double precision, since an hour of phase in single would be off by whole turns
        angle = torch.remainder(centres[:, None] * frequencies, 2 * math.pi).to(amplitude.dtype) + phases
        pieces = torch.cat([amplitude * torch.sin(angle), amplitude * torch.cos(angle)], -1) @ waves
        return overlap_add(pieces, FINE_HOP)


def settled(controls: Tensor) -> Tones:
    """What the network gives, as what sounds: a note sounds if its presence is above zero. [rows, steps, CONTROLS]."""
    presence, level, share, width = parted(controls)
    sounding = torch.exp(level.clamp(QUIETEST, LOUDEST)) * (presence > 0)
    return Tones(sounding, torch.exp(share.clamp(-8, 0.2)), torch.sigmoid(width))


def parted(controls: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """[..., CONTROLS] -> presence logits and log levels [..., NOTES], log shares [..., REGISTERS, GROUPS], widths' logits."""
    presence, level, share, width = torch.split(controls, [NOTES, NOTES, REGISTERS * GROUPS, REGISTERS], -1)
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


def _fixed() -> dict[str, Tensor]:
    """What is computed, not learned."""
    steps = torch.arange(OSCILLATORS, dtype=torch.float64) / OSCILLATORS_PER_OCTAVE
    frequencies = 2 * math.pi * note_hz(LOWEST_NOTE) * 2**steps / SAMPLE_RATE
    side = frequencies * 2 ** (SIDE_DETUNE_CENTS / 1200)
    return {
        "spread": _spread(),
        "frequencies": frequencies,
        "side_frequencies": side,
        "waves": _waves(frequencies),
        "side_waves": _waves(side),
        "phases": torch.rand(2, OSCILLATORS, generator=torch.Generator().manual_seed(1)) * (2 * math.pi),
    }


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


def _waves(frequencies: Tensor) -> Tensor:
    """Cosines then sines of the oscillators around a step's centre, under a triangle: [2 * oscillators, 2 * FINE_HOP]."""
    offset = torch.arange(2 * FINE_HOP) - (FINE_HOP - 0.5)
    angle = frequencies[:, None] * offset
    waves: Tensor = (torch.cat([torch.cos(angle), torch.sin(angle)]) * (1 - offset.abs() / FINE_HOP)).float()
    return waves
