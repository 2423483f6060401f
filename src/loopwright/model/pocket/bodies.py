"""The pitched bodies of drums: latents to the amplitudes of a bank of oscillators.

Serves kicks, toms, and the pitched part of snares and bells. The oscillators are a third of a
semitone apart. The network sees more than half a second to either side, since a drum keeps its
pitch from hit to hit.

Does not know: drums that are too short to have a pitch (``drums`` makes those).
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
"""Oscillators in the bank, up to 990 Hz."""
MAX_LOG_LEVEL, MIN_LOG_LEVEL = 0.3, -8.0
"""Bounds of an oscillator's log amplitude."""
MATCH_REACH = 2
"""Oscillators to either side of the right one that training accepts as right."""
PEAK_REACH = 3
"""Oscillators to either side of which only the likeliest rings: two neighbours would beat."""
PRESENCE_STEPS = 25
"""Steps (290 ms) over which presence is averaged, since a drum stays at its pitch. Odd."""
LEVEL_STEPS = 3
"""Steps over which amplitudes are averaged: a switch within one step is a click. Odd."""
UNTRAINED_PRESENCE = -6.0
"""Presence logit of an untrained network: silence."""


class BodyDecoder(nn.Module):
    """The network that sets the oscillators of drum bodies, and the oscillators.

    Args:
        channels: The drum channels of a latent frame.
        width: Width of the network.
    """

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
            self.output.bias[:BODIES] = UNTRAINED_PRESENCE
        steps = torch.arange(BODIES, dtype=torch.float64) / BODIES_PER_OCTAVE
        # the seed is part of the model: other phases would change every seed's audio
        generator = torch.Generator().manual_seed(2)
        phases = torch.rand(BODIES, generator=generator) * (2 * math.pi)
        self.oscillators = Oscillators(radians(LOWEST_BODY_HZ * 2**steps), phases)

    def forward(self, latents: Tensor) -> Tensor:
        """Decode latents [batch, frames, channels] to the mid signal [batch, frames * HOP]."""
        return self.sound(self.controls(latents))

    def controls(self, latents: Tensor) -> Tensor:
        """Predict presence logits and log amplitudes of all oscillators.

        Args:
            latents: [batch, frames, channels].

        Returns:
            [batch, steps, 2 * BODIES], steps of FINE_HOP samples.
        """
        coarse = self.up(self.coarse(self.input(latents)))
        batch, frames, _ = coarse.shape
        fine = self.fine(coarse.reshape(batch, FINE_PER_LATENT * frames, -1))
        controls: Tensor = self.output(self.norm(fine))
        return controls

    def sound(self, controls: Tensor) -> Tensor:
        """Sound controls [batch, steps, 2 * BODIES] as [batch, samples]."""
        sound: Tensor = self.oscillators(decode_controls(controls))
        return sound


def decode_controls(controls: Tensor) -> Tensor:
    """Turn the network's output into amplitudes.

    An oscillator rings where its presence, or a near one's, is above zero, and where it is the
    likeliest of its neighbours over PRESENCE_STEPS.

    Args:
        controls: Presence logits, then log amplitudes, [batch, steps, 2 * BODIES].

    Returns:
        [batch, steps, BODIES].
    """
    presence, level = controls.chunk(2, -1)
    likelihood = _moving_average(torch.sigmoid(presence), PRESENCE_STEPS)
    neighbourhood = F.max_pool1d(likelihood, 2 * PEAK_REACH + 1, 1, PEAK_REACH)
    is_peak = likelihood == neighbourhood
    rings = F.max_pool1d(presence, 2 * MATCH_REACH + 1, 1, MATCH_REACH) > 0
    amplitude = torch.exp(level.clamp(MIN_LOG_LEVEL, MAX_LOG_LEVEL)) * (is_peak & rings)
    return _moving_average(amplitude, LEVEL_STEPS)


def _moving_average(values: Tensor, steps: int) -> Tensor:
    """Average [batch, steps, channels] over a centred window of ``steps``; the shape stays."""
    over_time = values.transpose(1, 2)
    average = F.avg_pool1d(over_time, steps, 1, steps // 2, count_include_pad=False)
    return average.transpose(1, 2)
