"""Weights are mapped, not copied: what a process that loads them takes, in megabytes."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from loopwright.errors import CheckpointError
from loopwright.model.checkpoint import read_tensors
from tests.model.memory import MODEL_MB, weights

ROOT = Path(__file__).parents[2]
LITTLE_MB = 64
"""What loading may take on the side: a tensor of 16 MB, and what libraries set up at first use."""


def measured(kind: str, path: Path) -> dict[str, int]:
    save_file(weights(kind), path)
    done = subprocess.run(
        [sys.executable, "-m", "tests.model.memory", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    path.unlink()
    found: dict[str, int] = json.loads(done.stdout)
    return found


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="needs Linux's /proc"
)


@needs_proc
def test_float32_weights_are_mapped_and_never_copied(tmp_path: Path) -> None:
    found = measured("single", tmp_path / "model.safetensors")
    assert found["loaded"] < LITTLE_MB
    assert found["used"] < LITTLE_MB
    assert found["peak"] < LITTLE_MB  # nor read before they are used


@needs_proc
@pytest.mark.parametrize("kind", ["half", "weight-norm"])
def test_what_is_converted_leaves_the_memory_meanwhile(kind: str, tmp_path: Path) -> None:
    found = measured(kind, tmp_path / "model.safetensors")
    assert found["loaded"] < MODEL_MB + LITTLE_MB
    assert MODEL_MB - LITTLE_MB < found["peak"] < MODEL_MB + LITTLE_MB


def test_mapped_tensors_are_those_of_the_library(tmp_path: Path) -> None:
    made = {
        "half": torch.randn(3, 1000).half(),
        "brain": torch.randn(5).bfloat16(),
        "double": torch.randn(2, 2, dtype=torch.float64),
        "scalar": torch.tensor(1.5),
        "nothing": torch.zeros(0, 4),
        "flags": torch.tensor([True, False, True]),
        "whole": torch.arange(7),
        "large": torch.randn(100, 1000),
    }
    save_file(made, tmp_path / "a.safetensors", metadata={"made": "here"})
    mapped, library = (
        read_tensors(tmp_path / "a.safetensors"),
        load_file(tmp_path / "a.safetensors"),
    )
    assert set(mapped) == set(library) == set(made)
    for name, tensor in library.items():
        assert (mapped[name].dtype, mapped[name].shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(mapped[name], tensor)


def test_a_tensor_outlives_its_file_and_the_other_tensors_made_of_it(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"weight": torch.arange(100_000.0), "other": torch.ones(100_000)}, path)
    tensors = read_tensors(path)
    weight = tensors["weight"]
    weight[5000] = -1  # in this process only
    assert (
        tensors["weight"][5000] == -1
    )  # of a tensor made for a moment, which must not take the page along
    del tensors
    path.unlink()
    gc.collect()
    assert weight[5000] == -1
    assert weight[99_999] == 99_999


def test_a_type_that_is_not_known(tmp_path: Path) -> None:
    save_file({"odd": torch.zeros(4, dtype=torch.float8_e4m3fn)}, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=r"a\.safetensors .* odd is of the type F8_E4M3"):
        read_tensors(tmp_path / "a.safetensors")
