"""The table of families: who takes which source, and what each is computed by."""

from __future__ import annotations

import pytest

from loopwright.loading.families import FAMILIES, family_of
from loopwright.loading.stable_audio import STABLE_AUDIO
from loopwright.model.family import Backend, ModelFamily
from loopwright.model.pocket.family import POCKET
from loopwright.model.sampling import SAMPLERS


@pytest.mark.parametrize(
    ("source", "family"),
    [("pocket", POCKET), ("someone/pocket", STABLE_AUDIO), ("/models/pocket", STABLE_AUDIO)],
)
def test_the_family_of_a_source(source: str, family: ModelFamily) -> None:
    assert family_of(source) is family


@pytest.mark.parametrize(
    "chosen", [Backend("openvino", "cpu", "int8"), Backend("torch", "cuda", "f16")]
)
def test_a_family_is_computed_by_what_it_allows(chosen: Backend) -> None:
    assert STABLE_AUDIO.allowed_backend(chosen) == chosen
    assert POCKET.allowed_backend(chosen) == Backend("torch", chosen.device, "f32")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_defaults_are_those_of_known_objectives(family: ModelFamily) -> None:
    assert family.defaults
    assert set(family.defaults) <= set(SAMPLERS)
    assert all(0 < found.steps <= found.max_steps for found in family.defaults.values())
