"""Classifier-free guidance, CFG (Ho and Salimans 2022).

Each evaluation a sampler asks for becomes two, with the positive and with the negative
conditioning, whose outputs are combined.
"""

from __future__ import annotations

from torch import Tensor

from loopwright.model.base import Conditioning, Denoising, Row, Sampler

CFG_OFF = 1.0
"""The ``cfg_scale`` that leaves the positive output as it is."""


def apply_cfg(
    sampler: Sampler, positive: Conditioning, negative: Conditioning, cfg_scale: float
) -> Denoising:
    """Drive a sampler with outputs extrapolated from the negative conditioning to the positive.

    Args:
        sampler: What asks for evaluations.
        positive: The conditioning of the prompt.
        negative: The conditioning of the negative prompt, or of no prompt.
        cfg_scale: How far to go from the negative output to the positive: 0 is the negative
            output, ``CFG_OFF`` the positive, and evaluates one row per step instead of two.
    """
    x, t = next(sampler)
    while True:
        if cfg_scale == CFG_OFF:
            # the negative output would count for nothing
            (output,) = yield (Row(x, t, positive),)
        else:
            positive_output, negative_output = yield Row(x, t, positive), Row(x, t, negative)
            output = negative_output + (positive_output - negative_output) * cfg_scale
        try:
            x, t = sampler.send(output)
        except StopIteration as end:
            latents: Tensor = end.value
            return latents
