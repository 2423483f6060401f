"""What a model_config.json may say."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tools.model_configs import stable_audio_open_small_config
from tools.run_model import NoText

from loopwright.model.config import parse_config
from loopwright.model.stable_audio import StableAudioModel
from tests.model.golden import GOLDEN, MODELS

SMALL = stable_audio_open_small_config()


def changed(path: str, value: object) -> dict[str, object]:
    config: Any = copy.deepcopy(SMALL)
    *way, last = path.split(".")
    section = config
    for name in way:
        section = section[int(name) if name.isdigit() else name]
    if value is None:
        del section[last]
    else:
        section[last] = value
    return config  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", MODELS)
def test_the_references_configurations_are_read(name: str) -> None:
    parse_config(json.loads(Path(GOLDEN / name / "model_config.json").read_text()))


def test_stable_audio_open_small_has_its_size() -> None:
    config = parse_config(SMALL)
    assert (config.spec.sample_rate, config.spec.window_samples, config.spec.frames) == (
        44100,
        524288,
        256,
    )
    with torch.device("meta"):
        model = StableAudioModel(config, NoText())
    assert _millions(model.denoiser) == 340.9
    assert _millions(model.autoencoder) == 156.1


def _millions(module: torch.nn.Module) -> float:
    return round(sum(parameter.numel() for parameter in module.parameters()) / 1e6, 1)


@pytest.mark.parametrize(
    ("path", "value", "part"),
    [
        ("sample_rate", None, "sample_rate is missing"),
        ("sample_rate", "44100", 'sample_rate must be a whole number of at least 1, got "44100"'),
        ("model_type", "lm", 'model_type must be "diffusion_cond", got "lm"'),
        (
            "model.diffusion.diffusion_objective",
            "x",
            "model.diffusion.diffusion_objective must be one of",
        ),
        (
            "model.diffusion.config.num_heads",
            7,
            "model.diffusion.config.embed_dim must be a multiple of num_heads",
        ),
        (
            "model.diffusion.config.warp",
            1,
            "model.diffusion.config.warp is not a known field, got 1",
        ),
        (
            "model.pretransform.config.downsampling_ratio",
            1024,
            "strides must be 1024 (downsampling_ratio), got 2048",
        ),
        (
            "model.conditioning.cond_dim",
            512,
            "cond_token_dim must be 512 (conditioning.cond_dim), got 768",
        ),
    ],
)
def test_what_cannot_be_computed_is_named(path: str, value: object, part: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole sentence is looked at
        parse_config(changed(path, value))
    assert part in str(caught.value)
