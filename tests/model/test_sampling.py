"""Samplers on a problem with a known answer: data that is normal, whose best denoiser is a line."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from loopwright.model.base import Conditioning, LatentSpec, Objective, Row, Sampler
from loopwright.model.cfg import apply_cfg
from loopwright.model.sampling import SAMPLER_TABLE, SAMPLERS, evaluations, start_sampler
from loopwright.model.schedules import linear_times, log_snr_times, shifted

MEAN, STD = 2.0, 0.5
SHAPE = (4, 5000)
ALL = [(objective, row.name) for row in SAMPLER_TABLE for objective in row.objectives]

Model = Callable[[Tensor, float], Tensor]


def spec(objective: Objective) -> LatentSpec:
    return LatentSpec(44100, SHAPE[1] * 2048, SHAPE[0], 2048, objective)


def best_model(objective: Objective, mean: float = MEAN, std: float = STD) -> Model:
    """The exact prediction for data of that mean and standard deviation."""

    def predict(x: Tensor, t: float) -> Tensor:
        flow = objective != "v"
        a, s = (1 - t, t) if flow else (math.cos(t * math.pi / 2), math.sin(t * math.pi / 2))
        variance = a**2 * std**2 + s**2
        data = mean + a * std**2 / variance * (x - a * mean)
        noise = s / variance * (x - a * mean)
        return noise - data if flow else a * noise - s * data

    return predict


def run_denoising(sampler: Sampler, model: Model) -> tuple[Tensor, int]:
    count, (x, t) = 0, next(sampler)
    while True:
        count += 1
        try:
            x, t = sampler.send(model(x, t))
        except StopIteration as end:
            return end.value, count


def run(
    objective: Objective,
    name: str,
    steps: int,
    *,
    seed: int = 0,
    init: Tensor | None = None,
    level: float = 1.0,
) -> tuple[Tensor, int]:
    generator = torch.Generator().manual_seed(seed)

    def noise() -> Tensor:
        return torch.randn(SHAPE, generator=generator)

    sampler = start_sampler(name, spec(objective), steps, noise(), noise, init, level)
    return run_denoising(sampler, best_model(objective))


def test_every_objective_has_its_default_first() -> None:
    assert {objective: names[0] for objective, names in SAMPLERS.items()} == {
        "rf_denoiser": "pingpong",
        "rectified_flow": "euler",
        "v": "dpmpp-3m-sde",
    }
    defaults = Counter(objective for row in SAMPLER_TABLE for objective in row.default_for)
    assert defaults == Counter(list(SAMPLERS))
    for row in SAMPLER_TABLE:
        assert set(row.default_for) <= set(row.objectives)


def test_a_sampler_is_found_by_its_name_alone() -> None:
    names = [row.name for row in SAMPLER_TABLE]
    assert len(set(names)) == len(names)
    for objective, fitting in SAMPLERS.items():
        rows = [row for row in SAMPLER_TABLE if objective in row.objectives]
        assert sorted(fitting) == sorted(row.name for row in rows)


@pytest.mark.parametrize(("objective", "sampler"), ALL)
def test_samples_have_the_datas_distribution(objective: Objective, sampler: str) -> None:
    latents, _ = run(objective, sampler, 100)
    assert latents.mean().item() == pytest.approx(MEAN, abs=0.02)
    # a lowest sigma above 0 narrows the spread, and so does going all the way to the estimate and
    # back, as pingpong does
    narrowest = 0.0 if sampler == "pingpong" else 0.8 * STD
    assert narrowest <= latents.std().item() <= STD * 1.05


@pytest.mark.parametrize(("objective", "sampler"), ALL)
@pytest.mark.parametrize("steps", [1, 2, 3, 9])
def test_any_number_of_steps_is_finite_and_counted(
    objective: Objective, sampler: str, steps: int
) -> None:
    latents, count = run(objective, sampler, steps)
    assert latents.isfinite().all()
    assert count == evaluations(sampler, steps)


@pytest.mark.parametrize(("objective", "sampler"), ALL)
def test_init_counts_less_the_more_noise_there_is(objective: Objective, sampler: str) -> None:
    source = MEAN + STD * torch.randn(SHAPE, generator=torch.Generator().manual_seed(9))
    closeness = []
    for level in (0.1, 0.5, 1.0):
        latents, _ = run(objective, sampler, 3, init=source, level=level)
        assert latents.isfinite().all()
        closeness.append(
            torch.corrcoef(torch.stack([latents.flatten(), source.flatten()]))[0, 1].item()
        )
    assert closeness[0] > 0.8
    assert closeness[0] > closeness[1] > closeness[2]
    assert abs(closeness[2]) < 0.1


@pytest.mark.parametrize(("objective", "sampler"), ALL)
def test_seeds_decide(objective: Objective, sampler: str) -> None:
    assert torch.equal(run(objective, sampler, 5)[0], run(objective, sampler, 5)[0])
    assert not torch.equal(run(objective, sampler, 5)[0], run(objective, sampler, 5, seed=1)[0])


def test_a_sampler_of_another_objective_is_refused() -> None:
    fitting = ", ".join(SAMPLERS["rf_denoiser"])
    with pytest.raises(ValueError, match=f"must be one of {fitting} with"):
        start_sampler(
            "k-heun", spec("rf_denoiser"), 8, torch.zeros(SHAPE), lambda: torch.zeros(SHAPE)
        )


@given(
    steps=st.integers(1, 250),
    level=st.floats(0.12, 1),
    times=st.sampled_from([linear_times, log_snr_times]),
)
def test_schedules_descend_from_the_noise_level_to_nothing(
    steps: int, level: float, times: Callable[[int, float], list[float]]
) -> None:
    for schedule in (times(steps, level), shifted(times(steps, level), 256, (256, 4096))):
        assert len(schedule) == steps + 1
        assert schedule[-1] == 0
        assert all(earlier > later for earlier, later in pairwise(schedule))
    assert times(steps, level)[0] == pytest.approx(level)


def test_cfg_leads_from_negative_to_positive() -> None:
    positive, negative = Conditioning(), Conditioning()

    def one_evaluation() -> Sampler:
        return (yield torch.zeros(1), 1.0)

    def answer(cfg_scale: float) -> tuple[float, int]:
        denoising = apply_cfg(one_evaluation(), positive, negative, cfg_scale)
        rows = next(denoising)
        with pytest.raises(StopIteration) as end:
            denoising.send([torch.tensor(3.0 if _is(row, positive) else 1.0) for row in rows])
        return end.value.value.item(), len(rows)

    assert answer(1.0) == (3.0, 1)
    assert answer(0.0) == (1.0, 2)
    assert answer(4.0) == (9.0, 2)


def _is(row: Row, conditioning: Conditioning) -> bool:
    return row.conditioning is conditioning
