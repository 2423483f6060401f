"""Latent guidance: a run is led to a source's latents where a mask says, and free elsewhere.

For rectified flows only.
"""

from __future__ import annotations

from torch import Tensor

from loopwright.model.base import Sampler

GUIDE_FROM, GUIDE_TO = 0.999, 0.2
"""The times within which a run is guided.

Pure noise is not, and the last steps are the model's own.
"""


def guide_latents(sampler: Sampler, source: Tensor, mask: Tensor, strength: float) -> Sampler:
    """Move a sampler's estimates of the data towards a source.

    The share of the way is mask² · strength · (1 - t) / t, at most all of it: it grows as noise
    gives way to data, as in pseudoinverse guidance of flows (Pokle et al. 2023).

    Args:
        sampler: What asks for evaluations.
        source: The source's latents, [channels, frames].
        mask: [frames], from 0 (free) to 1 (kept).
        strength: At least 0.
    """
    x, t = next(sampler)
    while True:
        output = yield x, t
        if GUIDE_TO <= t <= GUIDE_FROM:
            pull = strength * (1 - t) / t
            share = (mask.square() * pull).clamp(max=1)
            denoised = x - t * output
            # a flow's output is (x - data) / t: this is what it would be for the moved estimate
            output = output - share * (source - denoised) / t
        try:
            x, t = sampler.send(output)
        except StopIteration as end:
            latents: Tensor = end.value
            return latents
