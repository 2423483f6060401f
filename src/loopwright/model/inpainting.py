"""Latent guidance: a run is pulled to a source's latents where a mask says, and free elsewhere. Rectified flows only."""

from __future__ import annotations

from torch import Tensor

from loopwright.model.base import Sampler

PULL_FROM, PULL_TO = 0.999, 0.2
"""Times within which there is a pull: not on pure noise, and the last touch is the model's own."""


def guide_latents(sampler: Sampler, source: Tensor, mask: Tensor, strength: float) -> Sampler:
    """A sampler whose estimate of the data is moved to the source by mask² · strength · (1 - t) / t, at most all the way.

    source: [channels, frames]; mask: [frames], 0 free … 1 kept. The share grows as noise gives way to data, as in
    pseudoinverse guidance of flows (Pokle et al. 2023).
    """
    x, t = next(sampler)
    while True:
        output = yield x, t
        if PULL_TO <= t <= PULL_FROM:
            share = (mask.square() * (strength * (1 - t) / t)).clamp(max=1)
            denoised = x - t * output
            output = output - share * (source - denoised) / t
        try:
            x, t = sampler.send(output)
        except StopIteration as end:
            latents: Tensor = end.value
            return latents
