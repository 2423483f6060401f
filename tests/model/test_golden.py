"""Parity with the reference, vector by vector."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import pytest
import torch

from tests.model.golden import GOLDEN, MODELS, STOCHASTIC, Golden, golden, relative_error

TOLERANCE = 1e-4
CASES = [(model, name) for model in MODELS for name in golden(model).names]


@pytest.fixture
def as_the_reference_ran() -> Iterator[None]:
    """Set the reference's number of threads.

    The encoder amplifies rounding a thousandfold: another split of a sum over threads moves its
    output by 1e-4.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("as_the_reference_ran")
@pytest.mark.parametrize(("model", "name"), CASES)
def test_parity(model: str, name: str) -> None:
    made = golden(model)
    assert relative_error(made.make(name), made.vectors[name]) <= TOLERANCE


def test_every_vector_is_compared() -> None:
    """Nothing is left out but inputs and the two samplers with noise of another source."""
    assert len(CASES) == 51
    left_out = {
        name for model in MODELS for name in golden(model).vectors if STOCHASTIC.fullmatch(name)
    }
    assert left_out == {f"gen.dpmpp-{order}m-sde.cfg7.steps12.seed1234" for order in (2, 3)}


@pytest.mark.parametrize("order", [2, 3])
def test_the_stochastic_samplers_have_the_references_distribution(order: int) -> None:
    """The reference's run is one draw: among ours over seeds, its z-scores look standard normal."""
    made = golden("sao1-tiny")
    theirs = made.vectors[f"gen.dpmpp-{order}m-sde.cfg7.steps12.seed1234"][0]
    ours = torch.cat(
        [made.run(f"dpmpp-{order}m-sde.cfg7.steps12.seed{seed}") for seed in range(60)]
    )
    scores = (theirs - ours.mean(0)) / ours.std(0)
    assert abs(scores.mean().item()) < 0.5
    assert 0.7 < scores.std().item() < 1.4
    spread = statistics.median((ours.std(0)).flatten().tolist())
    assert spread > 0.1  # the seeds differ, so the scores mean something


def test_rows_do_not_depend_on_their_neighbours() -> None:
    """One forward of two requests at different times is close to two forwards."""
    made = golden("saos-tiny")
    positive, negative = made.model.conditioning_pair(made.conditions(negative=True))
    x = made.vectors["dit.x"]
    with torch.inference_mode():
        both = made.model.denoise(
            torch.cat([x, -x]), torch.tensor([0.9, 0.2]), [positive, negative]
        )
        first = made.model.denoise(x, torch.tensor([0.9]), [positive])
        second = made.model.denoise(-x, torch.tensor([0.2]), [negative])
    assert torch.allclose(both, torch.cat([first, second]), atol=1e-5)


def test_a_checkpoint_of_another_number_type_is_loaded_as_float32() -> None:
    made: Golden = golden("saos-tiny")
    assert {parameter.dtype for parameter in made.model.parameters()} == {torch.float32}
    assert (GOLDEN / "README.md").is_file()
