"""A folder with random weights is one that the reference can load."""

from __future__ import annotations

import json

import pytest
from safetensors import safe_open
from tools.random_checkpoint import random_tensors

from tests.model.golden import GOLDEN, MODELS


@pytest.mark.parametrize("name", MODELS)
def test_tensors_are_named_and_shaped_as_in_checkpoints_of_the_reference(name: str) -> None:
    config = json.loads((GOLDEN / name / "model_config.json").read_text())
    ours = {name: list(tensor.shape) for name, tensor in random_tensors(config).items()}
    with safe_open(GOLDEN / name / "model.safetensors", "pt") as theirs:
        assert ours == {name: theirs.get_slice(name).get_shape() for name in theirs.keys()}  # noqa: SIM118
