"""The table of samplers, and how a sampler is started.

A new sampler is a function in ``flow_samplers`` or ``v_samplers`` and a row in ``SAMPLER_TABLE``:
limits, requests, progress and tests follow the table.
Does not know: models, classifier-free guidance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import get_args

from torch import Tensor

from loopwright.errors import shown
from loopwright.model import flow_samplers as flow
from loopwright.model import v_samplers as v
from loopwright.model.base import LatentSpec, Noise, Objective, Sampler
from loopwright.model.schedules import Schedule, linear_times, log_snr_times, shifted

SamplerFunction = Callable[[Tensor, Schedule, Noise], Sampler]
"""Makes a sampler of the first x [channels, frames], a schedule, and a source of noise."""


def without_noise(function: Callable[[Tensor, Schedule], Sampler]) -> SamplerFunction:
    """Make a deterministic sampler take, and ignore, a source of noise."""
    return lambda x, schedule, _noise: function(x, schedule)


def one_per_step(steps: int) -> int:
    """Return the number of evaluations of a sampler that takes one per step."""
    return steps


@dataclass(frozen=True)
class SamplerRow:
    """A sampler and how to run it.

    Attributes:
        name: As in requests; no two rows have the same.
        objectives: What a model must have been trained to predict.
        function: The sampler itself.
        start: Makes the first x of start noise, a source's latents (None: from noise alone) and
            the level in 0 … 1 to which the source is noised.
        schedule: Makes the schedule of a number of steps and the noise level it begins at.
        evaluations: How many evaluations of the model a number of steps takes.
        shifts_schedule: Whether times are moved by length for models trained with that.
        default_for: The objectives whose default it is.
    """

    name: str
    objectives: tuple[Objective, ...]
    function: SamplerFunction
    start: Callable[[Tensor, Tensor | None, float], Tensor]
    schedule: Callable[[int, float], Schedule]
    evaluations: Callable[[int], int] = one_per_step
    shifts_schedule: bool = False
    default_for: tuple[Objective, ...] = ()


FLOW: tuple[Objective, ...] = ("rf_denoiser", "rectified_flow")
V: tuple[Objective, ...] = ("v",)

SAMPLER_TABLE = (
    SamplerRow(
        "euler",
        FLOW,
        without_noise(flow.euler),
        flow.noised,
        log_snr_times,
        default_for=("rectified_flow",),
    ),
    SamplerRow("dpmpp", FLOW, without_noise(flow.dpmpp), flow.noised, log_snr_times),
    SamplerRow(
        "rk4",
        FLOW,
        without_noise(flow.rk4),
        flow.noised,
        linear_times,  # the reference spaces this sampler's times evenly, and no other's
        evaluations=lambda steps: 4 * steps,
        shifts_schedule=True,
    ),
    SamplerRow(
        "pingpong",
        FLOW,
        flow.pingpong,
        flow.noised,
        log_snr_times,
        default_for=("rf_denoiser",),
    ),
    SamplerRow(
        "dpmpp-3m-sde",
        V,
        v.dpmpp_3m_sde,
        v.noised_over_sigma,
        v.sigma_schedule,
        default_for=("v",),
    ),
    SamplerRow("dpmpp-2m-sde", V, v.dpmpp_2m_sde, v.noised_over_sigma, v.sigma_schedule),
    SamplerRow("dpmpp-2m", V, without_noise(v.dpmpp_2m), v.noised_over_sigma, v.sigma_schedule),
    SamplerRow(
        "k-heun",
        V,
        without_noise(v.heun),
        v.noised_over_sigma,
        v.sigma_schedule,
        evaluations=lambda steps: 2 * steps - 1,
    ),
    SamplerRow("v-ddim", V, without_noise(v.v_ddim), v.noised, linear_times),
)

_ROWS = {row.name: row for row in SAMPLER_TABLE}


def _names_for(objective: Objective) -> tuple[str, ...]:
    rows = [row for row in SAMPLER_TABLE if objective in row.objectives]
    # a stable sort: all but the default keep the table's order
    rows.sort(key=lambda row: objective not in row.default_for)
    return tuple(row.name for row in rows)


SAMPLERS: Mapping[Objective, tuple[str, ...]] = {
    objective: _names_for(objective) for objective in get_args(Objective)
}
"""The names of the samplers that fit an objective: its default, then the others as in the table."""


def evaluations(sampler: str, steps: int) -> int:
    """Return how many evaluations of the model a sampler's steps take."""
    return _ROWS[sampler].evaluations(steps)


def start_sampler(
    sampler: str,
    spec: LatentSpec,
    steps: int,
    start_noise: Tensor,
    noise: Noise,
    init: Tensor | None = None,
    init_noise_level: float = 1.0,
) -> Sampler:
    """Start a sampler from noise, or from noised latents.

    Args:
        sampler: Its name.
        spec: The facts of the model it samples.
        steps: How many to take, at least 1.
        start_noise: Standard normal, [channels, frames].
        noise: Draws more of the same, for samplers that need it at each step.
        init: Latents to start from, [channels, frames]; None: start from noise alone.
        init_noise_level: How much of ``init`` gives way to noise, above 0 up to 1.

    Raises:
        ValueError: The sampler does not fit the model's objective.
    """
    fitting = SAMPLERS[spec.objective]
    if sampler not in fitting:
        raise ValueError(
            f"sampler must be one of {', '.join(fitting)} with the objective {spec.objective}, "
            f"got {shown(sampler)}"
        )
    row = _ROWS[sampler]
    level = 1.0 if init is None else init_noise_level
    schedule = row.schedule(steps, level)
    if row.shifts_schedule:
        schedule = shifted(schedule, start_noise.shape[-1], spec.shift)
    return row.function(row.start(start_noise, init, level), schedule, noise)
