"""Which samplers there are for which objective, and how one is started.

Knows: how start noise and init audio become the first x of a sampler. Does not know: models, guidance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from loopwright.errors import shown
from loopwright.model import flow_samplers as flow
from loopwright.model import v_samplers as v
from loopwright.model.base import LatentSpec, Objective, Sampler
from loopwright.model.flow_samplers import Noise
from loopwright.model.schedules import (
    Schedule,
    exponential_sigmas,
    linear_times,
    log_snr_times,
    shifted,
)

SAMPLERS: Mapping[Objective, tuple[str, ...]] = {
    "rf_denoiser": ("pingpong", "euler", "dpmpp", "rk4"),
    "rectified_flow": ("euler", "dpmpp", "rk4", "pingpong"),
    "v": ("dpmpp-3m-sde", "dpmpp-2m-sde", "dpmpp-2m", "k-heun", "v-ddim"),
}
"""Those that fit an objective, its default first."""

HIGHEST_SIGMA, LOWEST_SIGMA = 500.0, 0.3
"""The range of noise levels of the samplers over sigma: what the model card of Stable Audio Open 1.0 recommends."""


MIN_SIGMA_RATIO = 10
"""Between the highest and the lowest, where a source leaves less than the whole range."""


def evaluations(sampler: str, steps: int) -> int:
    """How many evaluations of the model so many steps of a sampler take."""
    return {"rk4": 4 * steps, "k-heun": 2 * steps - 1}.get(sampler, steps)


def start(
    sampler: str,
    spec: LatentSpec,
    steps: int,
    start_noise: Tensor,
    noise: Noise,
    init: Tensor | None = None,
    init_noise_level: float = 1.0,
) -> Sampler:
    """A sampler ready to run, from noise or (with ``init``) from latents noised to ``init_noise_level`` in 0 … 1.

    start_noise, init: [channels, frames]; ``noise`` draws more like the former. Raises ValueError for a sampler that
    doesn't fit the objective.
    """
    if sampler not in SAMPLERS[spec.objective]:
        fitting = ", ".join(SAMPLERS[spec.objective])
        raise ValueError(
            f"sampler must be one of {fitting} with the objective {spec.objective}, got {shown(sampler)}"
        )
    level = 1.0 if init is None else init_noise_level
    if spec.objective == "v":
        return _start_v(sampler, steps, start_noise, noise, init, level)
    x = start_noise if init is None else init * (1 - level) + start_noise * level
    return _start_flow(sampler, x, _flow_times(sampler, spec, steps, level, x.shape[-1]), noise)


def _flow_times(sampler: str, spec: LatentSpec, steps: int, level: float, frames: int) -> Schedule:
    if (
        sampler == "rk4"
    ):  # the reference spaces this one evenly, and shifts it by length where the model asks for that
        return shifted(linear_times(steps, level), frames, spec.shift)
    return log_snr_times(steps, level)


def _start_flow(sampler: str, x: Tensor, times: Schedule, noise: Noise) -> Sampler:
    match sampler:
        case "euler":
            return flow.euler(x, times)
        case "rk4":
            return flow.rk4(x, times)
        case "dpmpp":
            return flow.dpmpp(x, times)
        case _:
            return flow.pingpong(x, times, noise)


def _start_v(
    sampler: str, steps: int, start_noise: Tensor, noise: Noise, init: Tensor | None, level: float
) -> Sampler:
    if sampler == "v-ddim":
        return v.v_ddim(_noised_v(start_noise, init, level), linear_times(steps, level))
    highest = min(math.tan(level * math.pi / 2), HIGHEST_SIGMA) if level < 1 else HIGHEST_SIGMA
    sigmas = exponential_sigmas(steps, highest, min(LOWEST_SIGMA, highest / MIN_SIGMA_RATIO))
    x = start_noise * highest if init is None else init + start_noise * highest
    match sampler:
        case "k-heun":
            return v.heun(x, sigmas)
        case "dpmpp-2m":
            return v.dpmpp_2m(x, sigmas)
        case "dpmpp-2m-sde":
            return v.dpmpp_2m_sde(x, sigmas, noise)
        case _:
            return v.dpmpp_3m_sde(x, sigmas, noise)


def _noised_v(start_noise: Tensor, init: Tensor | None, level: float) -> Tensor:
    if init is None:
        return start_noise
    alpha, sigma = v.alpha_sigma(level)
    return init * alpha + start_noise * sigma
