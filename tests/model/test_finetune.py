"""Finetunes over their base."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from loopwright.errors import CheckpointError
from loopwright.model.finetune import apply_finetune

BASE = {
    name: torch.zeros(1)
    for name in ("model.model.a", "model.model.b", "conditioner.c", "pretransform.model.d")
}


def values(tensors: dict[str, Tensor]) -> dict[str, float]:
    return {name: tensor.item() for name, tensor in tensors.items()}


def test_an_exported_checkpoint() -> None:
    tuned = {name: torch.ones(1) for name in BASE}
    assert values(apply_finetune(BASE, tuned)) == {
        "model.model.a": 1,
        "model.model.b": 1,
        "conditioner.c": 1,
        "pretransform.model.d": 0,  # the autoencoder stays the base's
    }


def test_a_training_checkpoint_prefers_the_average() -> None:
    checkpoint = {f"diffusion.{name}": torch.ones(1) for name in BASE}
    checkpoint |= {f"diffusion_ema.ema_model.model.{name}": torch.full((1,), 2.0) for name in "ab"}
    checkpoint |= {"diffusion_ema.initted": torch.ones(1), "losses.weight": torch.ones(1)}
    assert values(apply_finetune(BASE, checkpoint)) == {
        "model.model.a": 2,
        "model.model.b": 2,
        "conditioner.c": 1,
        "pretransform.model.d": 0,
    }


def test_a_denoiser_that_is_not_whole_is_refused() -> None:
    with pytest.raises(
        CheckpointError, match=r"lacks 1 tensors of the denoiser, such as model\.model\.b"
    ):
        apply_finetune(BASE, {"diffusion.model.model.a": torch.ones(1)})
