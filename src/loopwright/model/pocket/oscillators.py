"""A bank of oscillators of fixed frequencies, each as loud as it is told to be, step by step.

Knows: how that is made into sound without a running phase, so that any step can be made by itself.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from loopwright.model.pocket.layers import FINE_HOP, SAMPLE_RATE, overlap_add


class Oscillators(nn.Module):
    """Nothing in it is learned. frequencies: radians a sample, in double precision; phases: radians; [oscillators] each."""

    frequencies: Tensor
    waves: Tensor
    phases: Tensor

    def __init__(self, frequencies: Tensor, phases: Tensor) -> None:
        super().__init__()
        for name, value in (
            ("frequencies", frequencies),
            ("waves", _waves(frequencies)),
            ("phases", phases),
        ):
            self.register_buffer(name, value, persistent=False)

    def forward(self, amplitude: Tensor) -> Tensor:
        """amplitude: [rows, steps, oscillators], steps of FINE_HOP samples -> [rows, samples]."""
        centres = (
            torch.arange(amplitude.shape[1], dtype=torch.float64, device=amplitude.device)
            * FINE_HOP
            + FINE_HOP / 2
        )
        # in double precision, since an hour of phase in single would be off by whole turns
        angle = (
            torch.remainder(centres[:, None] * self.frequencies, 2 * math.pi).to(amplitude.dtype)
            + self.phases
        )
        pieces = (
            torch.cat([amplitude * torch.sin(angle), amplitude * torch.cos(angle)], -1) @ self.waves
        )
        return overlap_add(pieces, FINE_HOP)


def radians(hz: Tensor) -> Tensor:
    """Hz -> radians a sample."""
    return 2 * math.pi * hz / SAMPLE_RATE


def _waves(frequencies: Tensor) -> Tensor:
    """Cosines then sines of the oscillators around a step's centre, under a triangle: [2 * oscillators, 2 * FINE_HOP]."""
    offset = torch.arange(2 * FINE_HOP) - (FINE_HOP - 0.5)
    angle = frequencies[:, None] * offset
    waves: Tensor = (
        torch.cat([torch.cos(angle), torch.sin(angle)]) * (1 - offset.abs() / FINE_HOP)
    ).float()
    return waves
