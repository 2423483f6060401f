"""Reading files of weights: strictly, and never running them."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tools.run_model import NoText
from torch import nn

from loopwright.errors import CheckpointError
from loopwright.model.checkpoint import load_strictly, read_tensors
from tests.model.golden import GOLDEN, load_folder


def folder_with(tmp_path: Path, *, weights: str = "model.safetensors") -> Path:
    for name in ("model_config.json", "model.safetensors"):
        shutil.copy(GOLDEN / "saos-tiny" / name, tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    if weights == "model.ckpt":
        (tmp_path / "model.safetensors").unlink()
        torch.save({"state_dict": tensors, "global_step": 3}, tmp_path / weights)
    return tmp_path


@pytest.mark.parametrize("weights", ["model.safetensors", "model.ckpt"])
def test_a_folder_is_loaded(tmp_path: Path, weights: str) -> None:
    model = load_folder(folder_with(tmp_path, weights=weights), NoText())
    assert model.spec.channels == 16
    assert not any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))


class Evil:
    """A pickle that wants to run a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def test_a_pickle_that_wants_more_is_refused_and_nothing_of_it_runs(tmp_path: Path) -> None:
    trace = tmp_path / "it-ran"
    torch.save({"state_dict": Evil(f"touch {trace}")}, tmp_path / "evil.ckpt")
    (tmp_path / "plain.ckpt").write_bytes(pickle.dumps(Evil(f"touch {trace}")))
    for name in ("evil.ckpt", "plain.ckpt"):
        with pytest.raises(CheckpointError, match=name):
            read_tensors(tmp_path / name)
    assert not trace.exists()


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x80\x04N."])
@pytest.mark.parametrize("name", ["a.safetensors", "a.ckpt"])
def test_a_file_that_is_no_checkpoint(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name):
        read_tensors(tmp_path / name)


def test_a_truncated_file(tmp_path: Path) -> None:
    whole = (GOLDEN / "saos-tiny" / "model.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        read_tensors(tmp_path / "a.safetensors")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"gone\.ckpt is missing"):
        read_tensors(tmp_path / "gone.ckpt")


def test_everything_that_does_not_fit_is_listed() -> None:
    module = nn.Linear(2, 3)
    with pytest.raises(CheckpointError) as caught:
        load_strictly(module, {"weight": torch.zeros(2, 3), "extra": torch.zeros(1)})
    assert caught.value.message == (
        "the weights do not fit the model: missing bias; unexpected extra; "
        "misshapen weight (is [2, 3], must be [3, 2])"
    )


def test_half_precision_becomes_float32() -> None:
    module = nn.Linear(2, 2, bias=False)
    load_strictly(module, {"weight": torch.ones(2, 2, dtype=torch.float16)})
    assert module.weight.dtype == torch.float32


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    folder = folder_with(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.model.preprocess_conv.weight"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"missing denoiser\.preprocess_conv\.weight"):
        load_folder(folder, NoText())


def test_a_configuration_that_is_not_supported_names_the_field(tmp_path: Path) -> None:
    folder = folder_with(tmp_path)
    config = json.loads((folder / "model_config.json").read_text())
    config["model"]["diffusion"]["config"]["conformer"] = True
    (folder / "model_config.json").write_text(json.dumps(config))
    with pytest.raises(
        CheckpointError, match=r"model\.diffusion\.config\.conformer must be false, got true"
    ):
        load_folder(folder, NoText())
    (folder / "model_config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"model_config\.json"):
        load_folder(folder, NoText())
