"""The embedded model against its own recorded numbers, and what it promises as a model of latents.

`python -m tests.model.pocket.test_pocket` records the numbers anew, after training.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from loopwright.errors import CheckpointError
from loopwright.model.base import TextPrompt
from loopwright.model.checkpoint import load_strictly
from loopwright.model.flow_samplers import euler
from loopwright.model.guidance import guided
from loopwright.model.pocket.layers import HOP
from loopwright.model.pocket.model import PocketConditioning, PocketModel, load_pocket
from loopwright.model.pocket.tokens import key_token
from loopwright.model.schedules import linear_times
from tests.model.golden import drained, drive

VECTORS = Path(__file__).parents[2] / "golden" / "pocket" / "vectors.safetensors"
PROMPT = TextPrompt("house drums with piano in a minor 124bpm", None, 3)
FRAMES = 32
TOLERANCE = 1e-3


def computed(model: PocketModel) -> dict[str, Tensor]:
    """One walk through everything the model does."""
    noise = torch.randn(model.spec.channels, FRAMES, generator=torch.Generator().manual_seed(7))
    positive, negative = model.condition(PROMPT)
    once = model.denoise(noise[None], torch.tensor([0.7]), [positive])[0]
    latents = drive(model, guided(euler(noise, linear_times(8, 1.0)), positive, negative, 2.0))
    audio = next(model.decode(latents, FRAMES * HOP, torch.Generator().manual_seed(0)))
    return {"once": once, "latents": latents, "audio": audio, "again": drained(model.encode(audio, FRAMES)).mean}


@pytest.fixture(scope="module")
def model() -> PocketModel:
    return load_pocket()


@pytest.fixture(scope="module")
def now(model: PocketModel) -> dict[str, Tensor]:
    with torch.inference_mode():
        return computed(model)


@pytest.mark.parametrize("name", ["once", "latents", "audio", "again"])
def test_numbers_are_those_recorded(now: dict[str, Tensor], name: str) -> None:
    recorded = load_file(VECTORS)[name].float()
    assert now[name].shape == recorded.shape
    assert (now[name] - recorded).abs().max() <= TOLERANCE * recorded.abs().max()


def test_the_prompt_is_read(model: PocketModel) -> None:
    positive, negative = model.condition(PROMPT)
    assert isinstance(positive, PocketConditioning)
    assert isinstance(negative, PocketConditioning)
    assert positive.bpm.item() == negative.bpm.item() == 124
    assert positive.tokens[0] == key_token(9, minor=True)
    assert {model.vocabulary[word] for word in ("house", "drums", "piano")} <= set(positive.tokens.tolist())


def test_unknown_words_are_named(model: PocketModel) -> None:
    assert model.unknown_words("wobbly techno drums, blorp 120bpm") == ("wobbly", "blorp")


@torch.inference_mode()
def test_silence_comes_back_as_silence(model: PocketModel) -> None:
    latents = drained(model.encode(torch.zeros(2, FRAMES * HOP), FRAMES)).mean
    again = next(model.decode(latents, FRAMES * HOP, torch.Generator().manual_seed(0)))
    assert again.shape == (2, FRAMES * HOP)
    assert again.square().mean().sqrt() < 0.003


@torch.inference_mode()
def test_rows_do_not_depend_on_their_neighbours(model: PocketModel) -> None:
    x = torch.randn(2, 64, 32, generator=torch.Generator().manual_seed(0))
    t = torch.tensor([0.9, 0.2])
    one, other = model.condition(PROMPT)[0], model.condition(TextPrompt("house drums 124bpm", None, 12))[0]
    both = model.denoise(x, t, [one, other])
    assert torch.allclose(both[:1], model.denoise(x[:1], t[:1], [one]), atol=1e-4)
    assert torch.allclose(both[1:], model.denoise(x[1:], t[1:], [other]), atol=1e-4)


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
    tensors["surplus"] = tensors.pop("latent_mean")
    with pytest.raises(CheckpointError, match=r"missing latent_mean; unexpected surplus"):
        load_strictly(model, tensors)


if __name__ == "__main__":
    with torch.inference_mode():
        save_file({name: value.half().contiguous() for name, value in computed(load_pocket()).items()}, VECTORS)
