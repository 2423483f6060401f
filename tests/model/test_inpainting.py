"""Latent guidance to a source, on latents that are numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from loopwright.model.flow_samplers import euler
from loopwright.model.inpainting import guide_latents
from loopwright.model.schedules import linear_times


def run(mask: Tensor, strength: float = 1.0) -> Tensor:
    """Where the model knows only that the data is normal, and the source is 5."""
    noise = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    sampler = guide_latents(
        euler(noise, linear_times(50, 1.0)), torch.full((2, 4), 5.0), mask, strength
    )
    x, t = next(sampler)
    while True:
        denoised = (1 - t) / ((1 - t) ** 2 + t**2) * x
        try:
            x, t = sampler.send((x - denoised) / t)
        except StopIteration as end:
            latents: Tensor = end.value
            return latents


def test_free_where_the_mask_is_0_and_led_where_it_is_1() -> None:
    latents = run(torch.tensor([0.0, 0.0, 1.0, 1.0]))
    assert latents[:, :2].max() < 2
    assert latents[:, 2:].min() > 3


def test_the_mask_and_the_strength_say_how_much() -> None:
    means = [run(torch.full((4,), weight)).mean().item() for weight in (0.0, 0.2, 0.5, 1.0)]
    assert means == sorted(means)
    assert run(torch.ones(4), 0.05).mean() < run(torch.ones(4), 1.0).mean()
    assert torch.equal(run(torch.ones(4), 0.0), run(torch.zeros(4), 1.0))
    assert (
        run(torch.ones(4), 10.0).max() <= 6
    )  # no further than the source, but for the model's own last touch
