"""Which configuration belongs to a checkpoint, and what its repository suggests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loopwright.errors import CheckpointError, InvalidInput
from loopwright.loading.finetunes import (
    MAX_PROMPTS_BYTES,
    check_checkpoint_name,
    checkpoints_among,
    config_for,
    no_prompts,
    read_prompts,
)

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


@pytest.mark.parametrize(
    ("files", "checkpoints"),
    [
        (["b.ckpt", "a.safetensors", "a.ckpt", "model_config.json"], ["a.ckpt", "b.ckpt"]),
        (
            ["b.safetensors", "model.safetensors", "vae/model.safetensors", "a.safetensors"],
            ["a.safetensors", "b.safetensors"],
        ),
        (["model.safetensors", "model.ckpt"], ["model.ckpt"]),
        (["model.safetensors", "README.md"], []),
    ],
)
def test_checkpoints(files: list[str], checkpoints: list[str]) -> None:
    assert checkpoints_among(files) == checkpoints


@pytest.mark.parametrize(
    "name",
    ["../x.ckpt", "/x.ckpt", "x.exe", "a/../x.ckpt", ".ckpt", "x.ckpt\n", "x" * 300 + ".ckpt"],
)
def test_names_that_are_no_checkpoint(name: str) -> None:
    with pytest.raises(InvalidInput, match="finetune_checkpoint must be"):
        check_checkpoint_name(name)


@pytest.mark.parametrize("name", ["acid_v1.ckpt", "runs/epoch=3-step=1000.ckpt", "a b.safetensors"])
def test_names_that_are(name: str) -> None:
    check_checkpoint_name(name)


WHOLE = {
    "version": 2,
    "repo": "old/name",
    "prompt_bank": {"generic": ["acid line"]},
    "terms": {"top_unigrams": ["acid"], "top_bigrams": ["acid bass"]},
    "dice": {"generic": ["a"], "drums": ["b"], "instrumental": ["c"], "vocals": ["d"]},
}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (WHOLE, WHOLE),
        ({}, no_prompts()),
        ({"prompt_bank": {}}, {**no_prompts(), "prompt_bank": {}}),
        (
            {"dice": {"pads": ["a"]}},
            {"version": 1, "dice": {"generic": [], "drums": [], "instrumental": [], "pads": ["a"]}},
        ),
    ],
)
def test_prompts_are_handed_on_whole(tmp_path: Path, content: object, expected: object) -> None:
    (tmp_path / "prompts.json").write_text(json.dumps(content))
    assert read_prompts(tmp_path / "prompts.json") == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[]", "must be a JSON object"),
        (b'{"dice": 3}', "must be a JSON object"),
        (b'{"dice": null}', "must be a JSON object"),
        (b"no json", "not valid JSON"),
        (b"\xff\xfe\xfd", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"weight": NaN}', "not valid JSON"),
        (b'{"weight": 1e999}', "not valid JSON"),
        (b'{"dice": {"generic": ["\\ud800"]}}', "not valid JSON"),
        (b'{"a": "' + b"a" * MAX_PROMPTS_BYTES + b'"}', "must be at most"),
    ],
)
def test_prompts_that_no_reply_can_hold(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "prompts.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=said):
        read_prompts(tmp_path / "prompts.json")
