"""The embedded model against the study's numbers, and what it promises as a model of latents."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from loopwright.errors import CheckpointError
from loopwright.model.base import TextPrompt
from loopwright.model.checkpoint import load_strictly
from loopwright.model.flow_samplers import euler
from loopwright.model.guidance import guided
from loopwright.model.pocket.layers import HOP
from loopwright.model.pocket.model import PocketConditioning, PocketModel, load_pocket
from loopwright.model.schedules import linear_times
from tests.model.golden import drained, drive

VECTORS = Path(__file__).parents[2] / "golden" / "pocket" / "vectors.safetensors"
PROMPT = TextPrompt("aggressive techno drums 140bpm", None, 12)
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def model() -> PocketModel:
    return load_pocket()


@pytest.fixture(scope="module")
def vectors() -> dict[str, Tensor]:
    return load_file(VECTORS)


def close(ours: Tensor, theirs: Tensor) -> bool:
    assert ours.shape == theirs.shape
    return bool((ours - theirs).abs().max() <= TOLERANCE * theirs.abs().max())


def test_tokens_and_tempo(model: PocketModel, vectors: dict[str, Tensor]) -> None:
    positive, _ = model.condition(PROMPT)
    assert isinstance(positive, PocketConditioning)
    assert positive.tokens.tolist() == vectors["tokens"][0].tolist()
    assert positive.bpm.item() == vectors["bpm"].item() == 140


@pytest.mark.parametrize(("which", "name"), [(0, "v.t0.7"), (1, "v.t0.7.null")])
@torch.inference_mode()
def test_one_evaluation(model: PocketModel, vectors: dict[str, Tensor], which: int, name: str) -> None:
    conditioning = model.condition(PROMPT)[which]
    out = model.denoise(vectors["noise"].transpose(1, 2), torch.tensor([0.7]), [conditioning])
    assert close(out.transpose(1, 2), vectors[name])


@torch.inference_mode()
def test_eight_steps_with_guidance(model: PocketModel, vectors: dict[str, Tensor]) -> None:
    walk = guided(euler(vectors["noise"][0].T, linear_times(8, 1.0)), *model.condition(PROMPT), 2.0)
    latents = drive(model, walk)
    assert close(latents.T[None] * model.latent_scale, vectors["latents.steps8.cfg2"])


@torch.inference_mode()
def test_decoding(model: PocketModel, vectors: dict[str, Tensor]) -> None:
    latents = vectors["latents.steps8.cfg2"][0].T / model.latent_scale
    audio = next(model.decode(latents, 256 * HOP, torch.Generator().manual_seed(0)))
    assert audio.shape == (2, 256 * HOP)
    assert close(audio[None, :, :131072], vectors["audio.noise_seed0"])


@torch.inference_mode()
def test_encoding(model: PocketModel, vectors: dict[str, Tensor]) -> None:
    mean, log_variance = model.encoder(vectors["audio.noise_seed0"])
    assert close(mean, vectors["encoder.mu"])
    assert close(log_variance, vectors["encoder.logvar"])


@torch.inference_mode()
def test_encoding_gives_the_frames_asked_for_in_the_denoisers_scale(
    model: PocketModel, vectors: dict[str, Tensor]
) -> None:
    latents = drained(model.encode(vectors["audio.noise_seed0"][0], 40))
    assert latents.mean.shape == latents.std.shape == (64, 40)
    assert close(latents.mean.T[None] * model.latent_scale, vectors["encoder.mu"][:, :40])


@torch.inference_mode()
def test_rows_do_not_depend_on_their_neighbours(model: PocketModel) -> None:
    x = torch.randn(2, 64, 32, generator=torch.Generator().manual_seed(0))
    t = torch.tensor([0.9, 0.2])
    one, other = model.condition(PROMPT)[0], model.condition(TextPrompt("house drums 124bpm", None, 12))[0]
    both = model.denoise(x, t, [one, other])
    assert torch.allclose(both[:1], model.denoise(x[:1], t[:1], [one]), atol=1e-5)
    assert torch.allclose(both[1:], model.denoise(x[1:], t[1:], [other]), atol=1e-5)


@torch.inference_mode()
def test_any_number_of_frames(model: PocketModel) -> None:
    for frames in (1, 31, 33):
        x = torch.zeros(1, 64, frames)
        assert model.denoise(x, torch.tensor([0.5]), model.condition(PROMPT)[:1]).shape == x.shape


@torch.inference_mode()
def test_the_negative_prompt_counts(model: PocketModel) -> None:
    x = torch.randn(1, 64, 32, generator=torch.Generator().manual_seed(0))
    outputs = [
        model.denoise(x, torch.tensor([0.5]), [model.condition(TextPrompt("techno drums", negative, 12, 140.0))[1]])
        for negative in (None, "melody", "blorp")
    ]
    assert not torch.allclose(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])  # words it has never seen say nothing


def test_the_tempo_may_come_from_outside_the_prompt(model: PocketModel) -> None:
    said, _ = model.condition(TextPrompt("techno drums", None, 12, 133.5))
    assert isinstance(said, PocketConditioning)
    assert said.bpm.item() == 133.5


def test_weights_that_do_not_fit_are_listed(model: PocketModel) -> None:
    tensors = dict(model.state_dict())
    tensors["surplus"] = tensors.pop("encoder.mean")
    with pytest.raises(CheckpointError, match=r"missing encoder\.mean; unexpected surplus"):
        load_strictly(model, tensors)
