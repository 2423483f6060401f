"""Counted operations against torch's own counter, on the small golden model."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch
from tools.model_configs import stable_audio_open_small_config
from torch.utils.flop_counter import FlopCounterMode

from bench import flops
from loopwright.model.autoencoder import Autoencoder
from loopwright.model.config import ModelConfig, parse_config
from loopwright.model.dit import DiffusionTransformer
from tests.model.golden import GOLDEN, MODELS

CONTEXT = 9


def small(name: str) -> ModelConfig:
    return parse_config(json.loads((GOLDEN / name / "model_config.json").read_text()))


def counted(work: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        work()
    return int(counter.get_total_flops())


@pytest.mark.parametrize("name", MODELS)
def test_the_autoencoder(name: str) -> None:
    config = small(name).autoencoder
    model, frames = Autoencoder(config).eval(), 6
    latents, audio = torch.randn(1, config.channels, frames), torch.randn(1, 2, frames * config.hop)
    assert flops.decoder(config, frames) == pytest.approx(
        counted(lambda: model.decode_fine(model.decode_coarse(latents))), rel=0.01
    )
    assert flops.encoder(config, frames) == pytest.approx(
        counted(lambda: model.encode_coarse(model.encode_fine(audio))), rel=0.01
    )


def test_the_denoiser() -> None:
    config = small("saos-tiny").denoiser
    model, frames = DiffusionTransformer(config).eval(), 40
    context, x = (
        torch.randn(1, CONTEXT, config.context_width),
        torch.randn(1, config.channels, frames),
    )
    with torch.inference_mode():
        pairs = model.keys_values(context)
    step = counted(
        lambda: model(x, torch.tensor([0.5]), pairs, torch.randn(1, config.global_width))
    )
    # torch's counter does not see attention on the CPU
    seen = flops.denoiser_step(config, frames, CONTEXT) - config.depth * (
        flops.attention(frames + 1, frames + 1, config.width)
        + flops.attention(frames + 1, CONTEXT, config.width)
    )
    assert seen == pytest.approx(step, rel=0.01)
    assert flops.keys_values(config, CONTEXT) == pytest.approx(
        counted(lambda: model.keys_values(context)), rel=0.01
    )


def test_the_full_size() -> None:
    config = parse_config(stable_audio_open_small_config())
    found = flops.by_stage(config, rows=2, steps=8, samples=524_288)
    assert found["denoising"] / 16 == pytest.approx(0.161e12, rel=0.01)
    assert found["decoding"] == pytest.approx(1.291e12, rel=0.01)
    assert (
        flops.by_stage(config, rows=1, steps=8, samples=524_288 // 2)["decoding"] * 2
        == found["decoding"]
    )
