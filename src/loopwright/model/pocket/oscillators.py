"""A bank of oscillators with fixed frequencies and an amplitude per step.

Knows: how to sound without a running phase, so that any step can be computed by itself.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from loopwright.model.pocket.layers import FINE_HOP, SAMPLE_RATE, overlap_add


class Oscillators(nn.Module):
    """A bank of sine oscillators; it has no learned parameters.

    Args:
        frequencies: Radians per sample, in double precision, [oscillators].
        phases: Radians at sample 0, [oscillators].

    Attributes:
        waves: Each oscillator's course around a step's centre, under a triangle: cosines, then
            sines, [2 * oscillators, 2 * FINE_HOP].
    """

    frequencies: Tensor
    waves: Tensor
    phases: Tensor

    def __init__(self, frequencies: Tensor, phases: Tensor) -> None:
        super().__init__()
        offset = torch.arange(2 * FINE_HOP) - (FINE_HOP - 0.5)
        angle = frequencies[:, None] * offset
        # triangles of neighbouring steps add up to 1: amplitudes are interpolated linearly
        triangle = 1 - offset.abs() / FINE_HOP
        waves = torch.cat([torch.cos(angle), torch.sin(angle)]) * triangle
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.register_buffer("waves", waves.float(), persistent=False)
        self.register_buffer("phases", phases, persistent=False)

    def forward(self, amplitude: Tensor) -> Tensor:
        """Sound the oscillators.

        Args:
            amplitude: [batch, steps, oscillators], steps of FINE_HOP samples.

        Returns:
            [batch, steps * FINE_HOP].
        """
        # in double precision, since an hour of phase in single precision is off by whole turns
        steps = torch.arange(amplitude.shape[1], dtype=torch.float64, device=amplitude.device)
        centres = steps * FINE_HOP + FINE_HOP / 2
        angle = torch.remainder(centres[:, None] * self.frequencies, 2 * math.pi)
        angle = angle.to(amplitude.dtype) + self.phases
        # sin(a + b) = sin a cos b + cos a sin b: a is the phase at a step's centre, b the fixed
        # course around it, so that all oscillators of a step are one matrix product
        sine, cosine = amplitude * torch.sin(angle), amplitude * torch.cos(angle)
        pieces = torch.cat([sine, cosine], -1) @ self.waves
        return overlap_add(pieces, FINE_HOP)


def radians(hz: Tensor) -> Tensor:
    """Convert Hz to radians per sample."""
    return 2 * math.pi * hz / SAMPLE_RATE
