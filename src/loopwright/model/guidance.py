"""Classifier-free guidance (Ho and Salimans 2022): where a sampler wants one evaluation, two are asked for and combined."""

from __future__ import annotations

from torch import Tensor

from loopwright.model.base import Conditioning, Denoising, Row, Sampler

NO_CFG = 1.0


def guided(
    sampler: Sampler, positive: Conditioning, negative: Conditioning, scale: float
) -> Denoising:
    """Drive a sampler with outputs led from the negative conditioning to the positive, ``scale`` times the way.

    A scale of 1 is the positive alone, and asks for one row a step instead of two.
    """
    x, t = next(sampler)
    while True:
        if scale == NO_CFG:
            (output,) = yield (Row(x, t, positive),)
        else:
            wanted, unwanted = yield Row(x, t, positive), Row(x, t, negative)
            output = unwanted + (wanted - unwanted) * scale
        try:
            x, t = sampler.send(output)
        except StopIteration as end:
            latents: Tensor = end.value
            return latents
