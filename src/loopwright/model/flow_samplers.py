"""Samplers of rectified flows, as coroutines: x = (1 - t) data + t noise, and the model predicts noise - data.

Each takes x [channels, frames] and a schedule of descending times that ends with 0, yields (x, t) where it wants the model's
output, is sent it, and returns the latents. Randomness comes in as ``noise``. Nothing is known of text, guidance, devices.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

from torch import Tensor

from loopwright.model.base import Sampler
from loopwright.model.schedules import Schedule

Noise = Callable[[], Tensor]
"""Draws standard normal noise, [channels, frames]."""


def euler(x: Tensor, schedule: Schedule) -> Sampler:
    """First-order steps along the flow."""
    for t, t_next in pairwise(schedule):
        x = x + (t_next - t) * (yield x, t)
    return x


def rk4(x: Tensor, schedule: Schedule) -> Sampler:
    """Classical fourth-order Runge-Kutta steps; four evaluations each."""
    for t, t_next in pairwise(schedule):
        dt = t_next - t
        k1 = yield x, t
        k2 = yield x + dt / 2 * k1, t + dt / 2
        k3 = yield x + dt / 2 * k2, t + dt / 2
        k4 = yield x + dt * k3, t_next
        x = x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return x


def pingpong(x: Tensor, schedule: Schedule, noise: Noise) -> Sampler:
    """All the way to the estimate of the data, then back up with fresh noise: for distilled models (SAO small's own)."""
    for t, t_next in pairwise(schedule):
        denoised = x - t * (yield x, t)
        x = (1 - t_next) * denoised + t_next * noise()
    return x


def dpmpp(x: Tensor, schedule: Schedule) -> Sampler:
    """DPM-Solver++ (2M) (Lu et al. 2022), in the log signal-to-noise ratio of the flow."""
    before: tuple[Tensor, float] | None = None
    for t, t_next in pairwise(schedule):
        denoised = x - t * (yield x, t)
        h = _log_snr(t_next) - _log_snr(t)
        target = denoised
        if before is not None and t_next > 0:
            denoised_before, h_before = before
            target = denoised + (denoised - denoised_before) * (h / (2 * h_before))
        x = (t_next / t) * x - (1 - t_next) * math.expm1(-h) * target
        before = denoised, h
    return x


def _log_snr(t: float) -> float:
    if t >= 1:
        return -math.inf
    return math.log((1 - t) / t) if t > 0 else math.inf
