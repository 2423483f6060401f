"""Only the work that is needed: what a plan asks of its model, how a looped source is encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from tools.run_model import run_encoding
from torch import Tensor

from loopwright.engine.base import ModelInfo, ModelKey
from loopwright.engine.model_engine import ModelEngine
from loopwright.kinds.audio import plan_audio
from loopwright.kinds.request import GenerationRequest
from loopwright.model.base import TextPrompt
from loopwright.model.stable_audio import StableAudioModel
from loopwright.planning.plan import GenerationPlan, ModelLimits, Source
from loopwright.planning.source import with_source
from loopwright.system.measurements import CacheAsked, Measurement, listening
from tests.loading.test_loader import carry_out
from tests.model.golden import GOLDEN, load_folder, relative_error

LIMITS = ModelLimits(44100, 16384, ("pingpong",), 8, 100, 6.0)
INFO = ModelInfo(ModelKey("tiny"), "tiny", "cpu", "rf_denoiser", 16, LIMITS, 1)


class Reader:
    """A text encoder that counts what it reads."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        self.read += texts
        generator = torch.Generator().manual_seed(len(texts[0]))
        return torch.randn(1, 16, 512, generator=generator), torch.ones(1, 16, dtype=torch.bool)

    def characters_read(self, text: str) -> int:
        return min(len(text), 20)


def made() -> tuple[StableAudioModel, Reader, ModelEngine]:
    reader = Reader()
    model = load_folder(GOLDEN / "saos-tiny", reader)
    return model, reader, ModelEngine(model, INFO)


def test_words_that_the_text_encoder_cuts_off_are_named_in_either_prompt() -> None:
    _, _, engine = made()
    assert engine.ignored_words("drums with a long bassline, 120bpm", "vocals") == (
        "bassline",
        "120bpm",
    )
    assert engine.ignored_words("drums", "no voices, no guitars, no bells") == (
        "guitars",
        "no",
        "bells",
    )
    assert engine.ignored_words("drums", None) == ()


def plan(prompt: str = "drums", **fields: object) -> GenerationPlan:
    return plan_audio(
        GenerationRequest.model_validate({"prompt": prompt, "seed": 1, "steps": 5, **fields}),
        LIMITS,
    )


def test_a_text_is_read_once() -> None:
    _, reader, engine = made()
    told: list[Measurement] = []
    with listening(told.append):
        for prompt in ("drums", "bass", "drums"):
            carry_out(engine, plan(prompt, negative_prompt="melody"))
    assert reader.read == ["drums", "melody", "bass"]
    hits = (False, False, False, True, True, True)
    assert told == [CacheAsked("texts", is_hit) for is_hit in hits]


def test_keys_and_values_are_computed_once_a_run() -> None:
    model, _, engine = made()
    calls: list[int] = []
    plain = model.denoiser.keys_values

    def counted(context: Tensor) -> Tensor:
        calls.append(len(context))
        return plain(context)

    model.denoiser.keys_values = counted  # type: ignore[method-assign]
    carry_out(engine, plan(negative_prompt="melody"))
    assert calls == [2]


def test_only_what_is_returned_is_decoded() -> None:
    model, _, engine = made()
    positions: list[int] = []
    plain = model.autoencoder.decode_fine

    def counted(coarse: Tensor) -> Tensor:
        positions.append(coarse.shape[-1])
        return plain(coarse)

    model.autoencoder.decode_fine = counted  # type: ignore[method-assign]
    whole, some = plan(), replace(plan(), samples=3000)
    audio = carry_out(engine, whole)
    done = sum(positions)
    positions.clear()
    np.testing.assert_allclose(
        carry_out(engine, some), audio[:, :3000], atol=1e-5 * np.abs(audio).max()
    )
    assert sum(positions) < done / 3


@torch.inference_mode()
def test_a_source_that_goes_round_is_exact_where_it_is_heard_and_goes_on_after() -> None:
    model, _, engine = made()
    spec, lap, heard = model.spec, 5000, 6000
    once = 0.1 * np.random.default_rng(0).normal(size=(2, lap)).astype(np.float32)
    source = Source(np.tile(once, 4), (2, lap), period=lap)
    steps = engine._encode_source(replace(plan(), source=source, samples=heard))
    work = next(steps)
    while True:
        try:
            work = steps.send(work.do())
        except StopIteration as end:
            distribution = end.value
            break
    frames, round_trip = -(-heard // spec.hop), round(lap / spec.hop)
    exact = run_encoding(
        model.encode(torch.from_numpy(np.tile(once, 4)[:, : spec.frames * spec.hop]), spec.frames)
    )
    assert distribution.mean.shape == (spec.channels, spec.frames)
    assert relative_error(distribution.mean[:, :frames], exact.mean[:, :frames]) < 1e-4
    for frame in range(frames, spec.frames):
        assert torch.equal(distribution.mean[:, frame], distribution.mean[:, frame % round_trip])


def test_a_source_that_goes_round_keeps_its_period_in_the_plan() -> None:
    sound = np.ones((2, 4000), np.float32)
    looped = with_source(replace(plan(), samples=6000, tail=100), Source(sound, (2, 4000)))
    assert looped.source is not None
    assert looped.source.period == 6000
    assert not looped.source.audio[:, 4000:6000].any()
    plain = with_source(plan(), Source(sound, (2, 4000)))
    assert plain.source is not None
    assert plain.source.period is None


def test_condition_gives_what_the_conditioner_says() -> None:
    """One by one or together, texts say the same."""
    model, reader, _ = made()
    with torch.inference_mode():
        positive, negative = model.condition(TextPrompt("drums", "melody", 1.0))
        states, masks = zip(reader(["drums"]), reader(["melody"]), strict=True)
        theirs = model.conditioning_pair(model.conditions(torch.cat(states), torch.cat(masks), 1.0))
    assert torch.equal(positive.keys_values, theirs[0].keys_values)  # type: ignore[attr-defined]
    assert torch.equal(negative.keys_values, theirs[1].keys_values)  # type: ignore[attr-defined]
