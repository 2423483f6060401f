"""Samplers of rectified flows: x = (1 - t) data + t noise, and the model predicts noise - data.

Each is a coroutine. It takes x [channels, frames] and a schedule of descending times that ends
with 0, yields (x, t) for the model to evaluate, is sent the output, and returns the latents.
``noise`` is where randomness comes from.
Does not know: text, classifier-free guidance, devices.
"""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor

from loopwright.model.base import Noise, Sampler
from loopwright.model.schedules import Schedule


def noised(start_noise: Tensor, source: Tensor | None, level: float) -> Tensor:
    """Return the x to start from: the noise, or the source noised to a level in 0 … 1."""
    if source is None:
        return start_noise
    return source * (1 - level) + start_noise * level


def euler(x: Tensor, schedule: Schedule) -> Sampler:
    """Take first-order steps along the flow."""
    for t, t_next in pairwise(schedule):
        x = x + (t_next - t) * (yield x, t)
    return x


def rk4(x: Tensor, schedule: Schedule) -> Sampler:
    """Take classical fourth-order Runge-Kutta steps of four evaluations."""
    for t, t_next in pairwise(schedule):
        dt = t_next - t
        half = dt / 2
        k1 = yield x, t
        k2 = yield x + half * k1, t + half
        k3 = yield x + half * k2, t + half
        k4 = yield x + dt * k3, t_next
        x = x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return x


def pingpong(x: Tensor, schedule: Schedule, noise: Noise) -> Sampler:
    """Step all the way to the estimate of the data, then back up with fresh noise.

    Made for distilled models: it is stable-audio-open-small's own.
    """
    for t, t_next in pairwise(schedule):
        denoised = x - t * (yield x, t)
        x = (1 - t_next) * denoised + t_next * noise()
    return x


def dpmpp(x: Tensor, schedule: Schedule) -> Sampler:
    """Take DPM-Solver++ (2M) steps in the flow's log signal-to-noise ratio (Lu et al. 2022)."""
    previous: tuple[Tensor, float] | None = None
    for t, t_next in pairwise(schedule):
        denoised = x - t * (yield x, t)
        h = _log_snr(t_next) - _log_snr(t)
        target = denoised
        # first order where an h is infinite: to t = 0 by this condition, and after pure noise
        # because dividing by the previous h leaves nothing to add
        if previous is not None and t_next > 0:
            previous_denoised, previous_h = previous
            target = denoised + (denoised - previous_denoised) * (h / (2 * previous_h))
        towards = -(1 - t_next) * math.expm1(-h)
        x = (t_next / t) * x + towards * target
        previous = denoised, h
    return x


def _log_snr(t: float) -> float:
    # infinite at the ends, where expm1(-h) of a step is exactly -1
    if t >= 1:
        return -math.inf
    return math.log((1 - t) / t) if t > 0 else math.inf
