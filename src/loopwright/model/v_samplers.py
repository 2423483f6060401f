"""Samplers of the v objective: the model predicts cos(πt/2) noise - sin(πt/2) data.

That is at x = cos(πt/2) data + sin(πt/2) noise (Salimans and Ho 2022). ``v_ddim`` steps through
times t; the others through noise levels sigma, with x = data + sigma noise (Karras et al. 2022).
Each is a coroutine: it yields (x [channels, frames], t) for the model to evaluate, is sent the
output, and returns the latents.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from itertools import pairwise

from torch import Tensor

from loopwright.model.base import Noise, Sampler
from loopwright.model.schedules import Schedule, exponential_sigmas

HIGHEST_SIGMA, LOWEST_SIGMA = 500.0, 0.3
"""The range of noise levels: what the model card of Stable Audio Open 1.0 recommends."""
MIN_SIGMA_RATIO = 10
"""Between the highest and the lowest sigma, where a source leaves less than the whole range."""

Denoised = Generator[tuple[Tensor, float], Tensor, Tensor]
"""Yields (x, t) for the model to evaluate, is sent its output, returns the estimate of the data."""


def noised(start_noise: Tensor, source: Tensor | None, level: float) -> Tensor:
    """Return the x to start from: the noise, or the source noised to a level in 0 … 1."""
    if source is None:
        return start_noise
    alpha, sigma = alpha_sigma(level)
    return source * alpha + start_noise * sigma


def noised_over_sigma(start_noise: Tensor, source: Tensor | None, level: float) -> Tensor:
    """Return the x to start from over sigma: noise, on top of the source where there is one."""
    noise = start_noise * _highest_sigma(level)
    return noise if source is None else source + noise


def sigma_schedule(steps: int, level: float) -> Schedule:
    """Return the noise levels from that of ``level`` in 0 … 1 down to 0."""
    highest = _highest_sigma(level)
    return exponential_sigmas(steps, highest, min(LOWEST_SIGMA, highest / MIN_SIGMA_RATIO))


def _highest_sigma(level: float) -> float:
    # at a level of 1 sigma would be infinite
    return min(math.tan(level * math.pi / 2), HIGHEST_SIGMA) if level < 1 else HIGHEST_SIGMA


def v_ddim(x: Tensor, schedule: Schedule) -> Sampler:
    """Take deterministic DDIM steps (Song et al. 2021)."""
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
    """Take Heun's second-order steps (Karras et al. 2022, algorithm 1).

    Each step takes two evaluations, but the last one takes one.
    """
    for sigma, lower in pairwise(sigmas):
        denoised = yield from _denoised(x, sigma)
        slope = (x - denoised) / sigma
        euler = x + slope * (lower - sigma)
        if lower > 0:
            denoised_there = yield from _denoised(euler, lower)
            slope_there = (euler - denoised_there) / lower
            slope = (slope + slope_there) / 2
        x = x + slope * (lower - sigma)
    return x


def dpmpp_2m(x: Tensor, sigmas: Schedule) -> Sampler:
    """Take DPM-Solver++ (2M) steps (Lu et al. 2022)."""
    previous: tuple[Tensor, float] | None = None
    for sigma, lower in pairwise(sigmas):
        denoised = yield from _denoised(x, sigma)
        if lower == 0:  # h would be infinite: the last step ends at the estimate
            return denoised
        h = math.log(sigma / lower)
        target = denoised
        if previous is not None:
            previous_denoised, previous_h = previous
            target = denoised + (denoised - previous_denoised) * (h / (2 * previous_h))
        x = (lower / sigma) * x - math.expm1(-h) * target
        previous = denoised, h
    return x


def dpmpp_2m_sde(x: Tensor, sigmas: Schedule, noise: Noise) -> Sampler:
    """Take DPM-Solver++ (2M) SDE steps by the midpoint rule (Lu et al. 2022).

    The noise of each step is fresh: increments of a Brownian path are independent.
    """
    previous: tuple[Tensor, float] | None = None
    for sigma, lower in pairwise(sigmas):
        denoised = yield from _denoised(x, sigma)
        if lower == 0:  # h would be infinite: the last step ends at the estimate
            return denoised
        h = math.log(sigma / lower)
        towards = -math.expm1(-2 * h)
        x = math.exp(-2 * h) * x + towards * denoised
        if previous is not None:
            previous_denoised, previous_h = previous
            x = x + (denoised - previous_denoised) * (0.5 * towards * h / previous_h)
        x = x + noise() * (lower * math.sqrt(towards))
        previous = denoised, h
    return x


def dpmpp_3m_sde(x: Tensor, sigmas: Schedule, noise: Noise) -> Sampler:
    """Take DPM-Solver++ (3M) SDE steps, from up to two earlier estimates."""
    earlier: list[tuple[Tensor, float]] = []
    for sigma, lower in pairwise(sigmas):
        denoised = yield from _denoised(x, sigma)
        if lower == 0:  # h would be infinite: the last step ends at the estimate
            return denoised
        h = math.log(sigma / lower)
        towards = -math.expm1(-2 * h)
        x = math.exp(-2 * h) * x + towards * denoised
        x = x + _higher_orders(denoised, h, earlier)
        x = x + noise() * (lower * math.sqrt(towards))
        earlier = [(denoised, h), *earlier[:1]]
    return x


def _higher_orders(
    denoised: Tensor, h: float, earlier: list[tuple[Tensor, float]]
) -> Tensor | float:
    """Return what the second and third order add, from divided differences of the estimates.

    ``earlier`` has the estimates of the steps before and their h, the newest first.
    """
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
    """Return the estimate of the data at x = data + sigma noise, by the model's scale and time."""
    scale = math.hypot(sigma, 1)
    v = yield x / scale, math.atan(sigma) * 2 / math.pi
    return x / scale**2 - v * (sigma / scale)


def alpha_sigma(t: float) -> tuple[float, float]:
    """Return the shares of data and of noise at a time."""
    angle = t * math.pi / 2
    return math.cos(angle), math.sin(angle)
