"""Which configuration belongs to a checkpoint, and what its repository suggests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loopwright.engine.finetune import check_checkpoint_name, checkpoints_among, config_for, read_prompts
from loopwright.errors import InvalidInput

ORDER = [
    "acid_v1_step9_model_config.json",
    "acid_v1_base_model_config.json",
    "acid_v1_model_config.json",
    "acid_v1_config.json",
    "base_model_config.json",
    "model_config.json",
]


def test_the_most_particular_configuration_first() -> None:
    for number in range(len(ORDER)):
        assert config_for("acid_v1_step9.ckpt", [*reversed(ORDER[number:])]) == ORDER[number]
    assert config_for("acid_v1_step9.ckpt", ["other_v1_config.json"]) is None


def test_without_a_version_there_are_fewer() -> None:
    assert config_for("acid.ckpt", ORDER) == "base_model_config.json"
    assert config_for("acid.ckpt", ["acid_model_config.json", *ORDER]) == "acid_model_config.json"


def test_checkpoints() -> None:
    assert checkpoints_among(["b.ckpt", "a.safetensors", "model_config.json"]) == ["a.safetensors", "b.ckpt"]


@pytest.mark.parametrize(
    "name", ["../x.ckpt", "/x.ckpt", "x.exe", "a/../x.ckpt", ".ckpt", "x.ckpt\n", "x" * 300 + ".ckpt"]
)
def test_names_that_are_no_checkpoint(name: str) -> None:
    with pytest.raises(InvalidInput, match="finetune_checkpoint must be"):
        check_checkpoint_name(name)


@pytest.mark.parametrize("name", ["acid_v1.ckpt", "runs/epoch=3-step=1000.ckpt", "a b.safetensors"])
def test_names_that_are(name: str) -> None:
    check_checkpoint_name(name)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            {"version": 1, "dice": {"generic": ["a"], "drums": ["b", 3]}},
            {"generic": ["a"], "drums": ["b"], "instrumental": []},
        ),
        ({"dice": {}}, {"generic": [], "drums": [], "instrumental": []}),
        ([], None),
        ({"dice": 3}, None),
    ],
)
def test_prompts(tmp_path: Path, content: object, expected: object) -> None:
    (tmp_path / "p.json").write_text(json.dumps(content))
    found = read_prompts(tmp_path / "p.json")
    assert (found["dice"] if found else None) == expected
    assert read_prompts(tmp_path / "gone.json") is None
