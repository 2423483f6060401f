"""Samplers of the v objective, as coroutines: x = cos(πt/2) data + sin(πt/2) noise, and the model predicts
cos(πt/2) noise - sin(πt/2) data (Salimans and Ho 2022).

``v_ddim`` walks over times; the others over noise levels sigma, with x = data + sigma noise (Karras et al. 2022).
Each yields (x [channels, frames], t) where it wants the model's output, is sent it, and returns the latents.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from itertools import pairwise

from torch import Tensor

from loopwright.model.base import Sampler
from loopwright.model.flow_samplers import Noise
from loopwright.model.schedules import Schedule

Denoised = Generator[tuple[Tensor, float], Tensor, Tensor]


def v_ddim(x: Tensor, schedule: Schedule) -> Sampler:
    """Deterministic DDIM steps (Song et al. 2021)."""
    data = x
    for t, t_next in pairwise(schedule):
        v = yield x, t
        alpha, sigma = alpha_sigma(t)
        data = x * alpha - v * sigma
        noise = x * sigma + v * alpha
        alpha, sigma = alpha_sigma(t_next)
        x = data * alpha + noise * sigma
    return data


def heun(x: Tensor, sigmas: Schedule) -> Sampler:
    """Heun's second-order steps (Karras et al. 2022, algorithm 1); two evaluations each but the last."""
    for sigma, lower in pairwise(sigmas):
        slope = (x - (yield from _denoised(x, sigma))) / sigma
        there = x + slope * (lower - sigma)
        if lower > 0:
            slope = (slope + (there - (yield from _denoised(there, lower))) / lower) / 2
        x = x + slope * (lower - sigma)
    return x


def dpmpp_2m(x: Tensor, sigmas: Schedule) -> Sampler:
    """DPM-Solver++ (2M) (Lu et al. 2022)."""
    before: tuple[Tensor, float] | None = None
    for sigma, lower in pairwise(sigmas):
        denoised = yield from _denoised(x, sigma)
        if lower == 0:
            return denoised
        h = math.log(sigma / lower)
        target = denoised
        if before is not None:
            denoised_before, h_before = before
            target = denoised + (denoised - denoised_before) * (h / (2 * h_before))
        x = (lower / sigma) * x - math.expm1(-h) * target
        before = denoised, h
    return x


def dpmpp_2m_sde(x: Tensor, sigmas: Schedule, noise: Noise) -> Sampler:
    """DPM-Solver++ (2M) SDE, midpoint rule. Fresh noise a step: increments of a Brownian path are independent."""
    before: tuple[Tensor, float] | None = None
    for sigma, lower in pairwise(sigmas):
        denoised = yield from _denoised(x, sigma)
        if lower == 0:
            return denoised
        h = math.log(sigma / lower)
        towards = -math.expm1(-2 * h)
        x = math.exp(-2 * h) * x + towards * denoised
        if before is not None:
            denoised_before, h_before = before
            x = x + (denoised - denoised_before) * (0.5 * towards * h / h_before)
        x = x + noise() * (lower * math.sqrt(towards))
        before = denoised, h
    return x


def dpmpp_3m_sde(x: Tensor, sigmas: Schedule, noise: Noise) -> Sampler:
    """DPM-Solver++ (3M) SDE: as many earlier estimates as there are, up to two."""
    earlier: list[tuple[Tensor, float]] = []
    for sigma, lower in pairwise(sigmas):
        denoised = yield from _denoised(x, sigma)
        if lower == 0:
            return denoised
        h = math.log(sigma / lower)
        towards = -math.expm1(-2 * h)
        x = math.exp(-2 * h) * x + towards * denoised + _higher_orders(denoised, h, earlier)
        x = x + noise() * (lower * math.sqrt(towards))
        earlier = [(denoised, h), *earlier[:1]]
    return x


def _higher_orders(
    denoised: Tensor, h: float, earlier: list[tuple[Tensor, float]]
) -> Tensor | float:
    """What the second and third order add, from divided differences of the estimates; newest of ``earlier`` first."""
    if not earlier:
        return 0.0
    phi_2 = 1 - -math.expm1(-2 * h) / (2 * h)
    phi_3 = phi_2 / (2 * h) - 0.5
    denoised_1, h_1 = earlier[0]
    first = (denoised - denoised_1) * (h / h_1)
    if len(earlier) == 1:
        return phi_2 * first
    denoised_2, h_2 = earlier[1]
    r0, r1 = h_1 / h, h_2 / h
    bend = (first - (denoised_1 - denoised_2) / r1) / (r0 + r1)
    return phi_2 * (first + bend * r0) - phi_3 * bend


def _denoised(x: Tensor, sigma: float) -> Denoised:
    """The model's estimate of the data at x = data + sigma noise, through its own scale and time."""
    scale = math.hypot(sigma, 1)
    v = yield x / scale, math.atan(sigma) * 2 / math.pi
    return x / scale**2 - v * (sigma / scale)


def alpha_sigma(t: float) -> tuple[float, float]:
    """How much data and how much noise there is at a time."""
    return math.cos(t * math.pi / 2), math.sin(t * math.pi / 2)
