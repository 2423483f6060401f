"""The embedded model as a ``LatentModel``, and that its weights reproduce their vectors."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from tools.run_model import run_denoising, run_encoding
from torch import Tensor

from loopwright.errors import CheckpointError
from loopwright.model.base import TextPrompt
from loopwright.model.cfg import apply_cfg
from loopwright.model.checkpoint import load_strictly
from loopwright.model.flow_samplers import euler
from loopwright.model.pocket.layers import HOP, SAMPLE_RATE
from loopwright.model.pocket.model import PocketConditioning, PocketModel, load_pocket
from loopwright.model.pocket.tones import LOWEST_NOTE, NOTES, ROLL_CHANNELS, ROLLS, note_hz
from loopwright.model.schedules import log_snr_times
from tests.model.golden import relative_error
from tests.model.pocket.vectors import CHORDS, FRAMES, VECTORS, outputs
from tests.sounds import tone

DRUMS = TextPrompt("aggressive techno drums 140bpm", None, 12, 140.0)
TOLERANCE = 1e-3
"""Share of a vector's largest number: processors round differently, and steps add that up."""


@pytest.fixture(scope="module")
def model() -> PocketModel:
    return load_pocket()


@pytest.fixture(scope="module")
def latents(model: PocketModel) -> Tensor:
    return outputs(model)["latents"]


@pytest.mark.parametrize("name", ["velocity", "latents", "audio", "encoded"])
def test_the_weights_reproduce_their_vectors(model: PocketModel, name: str) -> None:
    assert relative_error(outputs(model)[name], load_file(VECTORS)[name]) <= TOLERANCE


@torch.inference_mode()
@pytest.mark.parametrize("samples", [1, 2048, 30_000, 100_000])
def test_decoding_a_part_equals_the_part_of_a_whole_decoding(
    model: PocketModel, latents: Tensor, samples: int
) -> None:
    whole = decoded(model, latents, FRAMES * HOP)
    part = decoded(model, latents, samples)
    assert part.shape == (2, samples)
    assert torch.allclose(part, whole[:, :samples], atol=1e-5 * float(whole.abs().max()))


def decoded(model: PocketModel, latents: Tensor, samples: int) -> Tensor:
    return torch.cat(list(model.decode(latents, samples, torch.Generator().manual_seed(0))), -1)


@torch.inference_mode()
def test_encoding_the_first_frames_of_a_window(model: PocketModel) -> None:
    audio = torch.from_numpy(tone(220.0, 4.0))
    few, whole = (
        run_encoding(model.encode(audio, 20)),
        run_encoding(model.encode(audio, model.spec.frames)),
    )
    assert few.mean.shape == few.std.shape == (model.spec.channels, 20)
    assert torch.allclose(few.mean, whole.mean[:, :20], atol=1e-3)


@torch.inference_mode()
@pytest.mark.parametrize("note", [45, 57, 64])
def test_the_encoder_finds_the_note_that_sounds(model: PocketModel, note: int) -> None:
    seconds = torch.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    sound = sum(
        (torch.sin(2 * torch.pi * h * note_hz(note) * seconds) / h for h in range(1, 9)),
        torch.zeros(()),
    )
    latents = run_encoding(model.encode(0.15 * sound.expand(2, -1), 80)).mean
    rolls = (
        latents[model.drum_channels : model.drum_channels + ROLL_CHANNELS, 20:60]
        .mean(1)
        .reshape(ROLLS, NOTES)
    )
    assert rolls.argmax(1).tolist() == [note - LOWEST_NOTE] * ROLLS


@torch.inference_mode()
def test_rows_do_not_depend_on_their_neighbours(model: PocketModel) -> None:
    x = torch.randn(2, model.spec.channels, 32, generator=torch.Generator().manual_seed(0))
    t = torch.tensor([0.9, 0.2])
    one, other = model.condition(DRUMS)[0], model.condition(CHORDS)[0]
    both = model.denoise(x, t, [one, other])
    assert torch.allclose(both[:1], model.denoise(x[:1], t[:1], [one]), atol=1e-4)
    assert torch.allclose(both[1:], model.denoise(x[1:], t[1:], [other]), atol=1e-4)


@torch.inference_mode()
def test_any_number_of_frames(model: PocketModel) -> None:
    for frames in (1, 31, 33):
        x = torch.zeros(1, model.spec.channels, frames)
        assert model.denoise(x, torch.tensor([0.5]), model.condition(DRUMS)[:1]).shape == x.shape


@torch.inference_mode()
def test_the_negative_prompt_changes_the_velocity(model: PocketModel) -> None:
    x = torch.randn(1, model.spec.channels, 32, generator=torch.Generator().manual_seed(0))
    outputs = [
        model.denoise(
            x,
            torch.tensor([0.5]),
            [model.condition(TextPrompt("techno drums", negative, 12, 140.0))[1]],
        )
        for negative in (None, "melody", "blorp")
    ]
    assert not torch.allclose(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])  # unknown words have no effect


@pytest.mark.parametrize(("bpm", "conditioned"), [(133.5, 133.5), (None, 120.0)])
def test_the_tempo_comes_from_the_plan_and_never_from_words(
    model: PocketModel, bpm: float | None, conditioned: float
) -> None:
    conditioning, _ = model.condition(TextPrompt("techno drums 99bpm", None, 12, bpm))
    assert isinstance(conditioning, PocketConditioning)
    assert conditioning.bpm.item() == conditioned


def test_ignored_words_are_reported_as_they_were_written(model: PocketModel) -> None:
    prompt = "Zydeco accordion with techno drums in F# minor, 4 bars at BPM: 120"
    assert model.ignored_words(prompt, "Trombone, drums, Zydeco") == (
        "Zydeco",
        "accordion",
        "drums",
        "Trombone",
    )


def test_words_that_lose_their_room_to_defaults_are_reported(model: PocketModel) -> None:
    words = (
        "techno dark hard busy spacious swing dry dusty industrial electronic bass acid reese sub "
        "strings"
    )
    assert model.ignored_words(f"{words} piano", None) == ()
    assert model.ignored_words(f"{words} piano organ", None) == ("organ",)
    assert model.ignored_words(f"{words} piano drums", "kick, snare") == (
        "strings",
        "piano",
        "drums",
    )


def test_weights_that_do_not_fit_are_listed(model: PocketModel) -> None:
    tensors = dict(model.state_dict())
    tensors["surplus"] = tensors.pop("encoder.mean")
    with pytest.raises(CheckpointError, match=r"missing encoder\.mean; unexpected surplus"):
        load_strictly(model, tensors)


@torch.inference_mode()
@pytest.mark.parametrize(
    ("negative", "silent"),
    [
        ("drums, percussion", [range(24)]),
        ("bass", [range(24, 24 + 24), range(24 + NOTES, 24 + NOTES + 24)]),
        ("melody, pitched instruments", [range(24, 24 + ROLL_CHANNELS)]),
    ],
)
def test_parts_that_the_negative_prompt_excludes_are_silent(
    model: PocketModel, negative: str, silent: list[range]
) -> None:
    text = TextPrompt("house drums with bassline and piano in c minor 124bpm", negative, 12, 124.0)
    noise = torch.randn(model.spec.channels, 32, generator=torch.Generator().manual_seed(0))
    latents = run_denoising(
        model, apply_cfg(euler(noise, log_snr_times(4, 1.0)), *model.condition(text), 2.0)
    )
    others = torch.ones(len(latents), dtype=torch.bool)
    others[[channel for channels in silent for channel in channels]] = False
    assert torch.allclose(latents[~others], model.latent_silence[~others, None], atol=1e-4)
    assert float((latents[others] - model.latent_silence[others, None]).abs().mean()) > 0.1


@torch.inference_mode()
def test_silence_is_silent(model: PocketModel) -> None:
    audio = decoded(model, model.latent_silence[:, None].expand(-1, 32), 32 * HOP)
    assert float(audio[:, 8 * HOP : 24 * HOP].abs().max()) < 0.01
