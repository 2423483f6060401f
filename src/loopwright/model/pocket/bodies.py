"""Latents to the bodies of drums: which oscillators of a bank ring, and how loud. For kicks, toms, snares' and bells' pitches.

Knows: the oscillators, a third of a semitone apart, and the network that sets them. It sees more than half a second to
either side, since a drum keeps its pitch from hit to hit. What is too short to have a pitch is not its business.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loopwright.model.pocket.layers import FINE_PER_LATENT, blocks
from loopwright.model.pocket.oscillators import Oscillators, radians

BODIES_PER_OCTAVE = 36
LOWEST_BODY_HZ = 36.0
BODIES = 173
"""Oscillators, up to 990 Hz."""
LOUDEST, QUIETEST = 0.3, -8.0
"""Bounds of an oscillator's log amplitude."""
NEAR, NEIGHBOURS = 2, 3
"""Oscillators so near to the right one are likely as well; of so many to either side only the likeliest rings: two beat."""
STEADY = 25
"""Steps (290 ms) over which it is judged which is the likeliest, since a drum stays at its pitch. Odd."""
EASED = 3
"""Steps over which amplitudes are meaned: what is switched within one is heard far above its frequency. Odd."""
UNLIKELY = -6.0
"""The presence logit that untrained oscillators have: they are silent."""


class BodyDecoder(nn.Module):
    """The network and the oscillators it sets. channels: of the latents that are about drums."""

    def __init__(self, channels: int, width: int = 192) -> None:
        super().__init__()
        self.input = nn.Linear(channels, width)
        self.coarse = blocks(2, width, 2, 15)
        self.up = nn.Linear(width, FINE_PER_LATENT * width)
        self.fine = blocks(1, width, 2, 7)
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, 2 * BODIES)
        with torch.no_grad():
            self.output.weight *= 0.1
            self.output.bias[:BODIES] = UNLIKELY
        self.oscillators = _oscillators()

    def forward(self, latents: Tensor) -> Tensor:
        """latents: [rows, frames, channels] -> mid, [rows, frames * HOP]."""
        return self.sound(self.controls(latents))

    def controls(self, latents: Tensor) -> Tensor:
        """latents: [rows, frames, channels] -> [rows, steps, 2 * BODIES], steps of FINE_HOP samples."""
        coarse = self.up(self.coarse(self.input(latents)))
        fine = self.fine(coarse.reshape(coarse.shape[0], FINE_PER_LATENT * coarse.shape[1], -1))
        controls: Tensor = self.output(self.norm(fine))
        return controls

    def sound(self, controls: Tensor) -> Tensor:
        """controls: [rows, steps, 2 * BODIES] -> [rows, samples]."""
        sound: Tensor = self.oscillators(decode_controls(controls))
        return sound


def decode_controls(controls: Tensor) -> Tensor:
    """What the network gives, as amplitudes. controls: [rows, steps, 2 * BODIES] -> [rows, steps, BODIES].

    Something rings where it is likelier than not; it is the oscillator that is the likeliest of near ones for a while.
    """
    presence, level = controls.chunk(2, -1)
    likely = _over_time(torch.sigmoid(presence), STEADY)
    likeliest = likely == F.max_pool1d(likely, 2 * NEIGHBOURS + 1, 1, NEIGHBOURS)
    rings = F.max_pool1d(presence, 2 * NEAR + 1, 1, NEAR) > 0
    return _over_time(torch.exp(level.clamp(QUIETEST, LOUDEST)) * (likeliest & rings), EASED)


def _over_time(values: Tensor, steps: int) -> Tensor:
    """Means over so many steps: [rows, steps, numbers] -> the same shape."""
    return F.avg_pool1d(
        values.transpose(1, 2), steps, 1, steps // 2, count_include_pad=False
    ).transpose(1, 2)


def _oscillators() -> Oscillators:
    hz = LOWEST_BODY_HZ * 2 ** (torch.arange(BODIES, dtype=torch.float64) / BODIES_PER_OCTAVE)
    phases = torch.rand(BODIES, generator=torch.Generator().manual_seed(2)) * (2 * math.pi)
    return Oscillators(radians(hz), phases)
