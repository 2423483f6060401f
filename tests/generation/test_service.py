"""The way of a request, without a front end."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from loopwright.audio.types import Audio
from loopwright.engine.base import Batching
from loopwright.errors import Impossible, QueueFull
from loopwright.generation.metadata import metadata_of
from loopwright.generation.service import Service
from loopwright.generation.sources import Upload
from loopwright.kinds.guided import GuidedLoopRequest
from loopwright.kinds.loop import LoopRequest
from loopwright.kinds.stack import StackRequest
from loopwright.kinds.variation import VariationRequest
from loopwright.planning.plan import GenerationPlan
from loopwright.serving.active_run import ActiveRun
from tests.fakes import FakeEngine, fake_service
from tests.sounds import encoded, tone
from tests.waiting import Gate, eventually

LOOP = LoopRequest(prompt="drums 140bpm", bars=1, seed=1, steps=50)
QUICK = LOOP.model_copy(update={"seed": 7, "steps": 2})


def service_of(engine: FakeEngine, *, max_requests: int = 4) -> Service:
    return fake_service(lambda _: engine, max_requests=max_requests)


async def test_a_request_given_up_frees_its_place_and_harms_nobody(runs: list[ActiveRun]) -> None:
    engine = FakeEngine(gate=Gate())
    service = service_of(engine)
    given_up = asyncio.ensure_future(service.generate(LOOP))
    await engine.gate.reached(1)
    kept = asyncio.ensure_future(service.generate(LOOP))
    await eventually(lambda: len(runs) == 2)
    given_up.cancel()
    await eventually(lambda: runs[0].is_cancelled)
    engine.gate.open()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert service.queue_depth == 1
    assert (await kept)[0].audio.shape == (2, 75600)
    assert engine.forwards == 1 + 50
    service.close()


async def test_a_model_is_not_unloaded_under_a_request_that_is_given_up(
    runs: list[ActiveRun],
) -> None:
    engine = FakeEngine(gate=Gate())
    service = service_of(engine)
    registry = service.models.registry
    given_up = asyncio.ensure_future(service.generate(LOOP))
    await engine.gate.reached(1)
    given_up.cancel()
    await eventually(lambda: runs[0].is_cancelled)
    assert registry.clear() == 0  # the worker is in a step
    engine.gate.open()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert registry.clear() == 1
    service.close()


async def test_no_more_than_so_many_requests() -> None:
    engine = FakeEngine(gate=Gate())
    service = service_of(engine, max_requests=2)
    waiting = [asyncio.ensure_future(service.generate(LOOP)) for _ in range(2)]
    await eventually(lambda: service.queue_depth == 2)
    with pytest.raises(QueueFull):
        await service.generate(LOOP)
    engine.gate.open()
    await asyncio.gather(*waiting)
    await service.generate(LOOP)
    service.close()


async def test_all_runs_of_a_call_are_one_request_of_its_client(runs: list[ActiveRun]) -> None:
    service = service_of(FakeEngine(), max_requests=8)
    await service.generate(LOOP.model_copy(update={"n": 2, "candidates": 2}), client="a")
    await service.generate(
        VariationRequest(prompt="drums 140bpm", bars=1, source_seed=1, n=2), client="b"
    )
    stack, _ = StackRequest.parse({"prompt": "techno 140bpm", "bars": 1, "parts": "drums,bass"})
    await service.generate(stack, client="a")
    owners = [run.owner for run in runs]
    assert [owner.client for owner in owners] == ["a"] * 4 + ["b"] * 3 + ["a"] * 2
    assert len(set(owners)) == 3
    service.close()


async def test_a_part_of_a_stack_that_fails_ends_the_others_and_is_what_is_raised(
    runs: list[ActiveRun],
) -> None:
    engine = FakeEngine(gate=Gate(), fail_prompt="bass", batching=Batching(max_batch_size=4))
    service = service_of(engine)
    asked = {"prompt": "techno 140bpm", "bars": 1, "steps": 100, "parts": "bass,drums"}
    stack, _ = StackRequest.parse(asked)
    failing = asyncio.ensure_future(service.generate(stack))
    await eventually(lambda: len(runs) == 2)
    engine.gate.let_through(4)
    await eventually(lambda: [run for run in runs if run.is_cancelled])
    engine.gate.open()
    with pytest.raises(RuntimeError, match="told to fail"):
        await failing
    assert service.queue_depth == 0
    assert engine.forwards <= 5
    service.close()


async def test_a_stack_raises_our_own_errors_as_they_are() -> None:
    service = service_of(FakeEngine())
    stack, _ = StackRequest.parse(
        {"prompt": "techno 140bpm", "bars": 8, "strict": True, "bpm": 140}
    )
    with pytest.raises(Impossible):
        await service.generate(stack)
    service.close()


async def test_a_stack_given_up_ends_all_its_parts(runs: list[ActiveRun]) -> None:
    engine = FakeEngine(gate=Gate(1))
    service = service_of(engine)
    stack, _ = StackRequest.parse({"prompt": "techno 140bpm", "bars": 1, "steps": 100})
    given_up = asyncio.ensure_future(service.generate(stack))
    await engine.gate.reached(2)
    given_up.cancel()
    await eventually(lambda: all(run.is_cancelled for run in runs))
    engine.gate.open()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert service.queue_depth == 0
    assert engine.forwards == 2
    service.close()


class WordlessEngine(FakeEngine):
    """Ignores every word."""

    def ignored_words(self, prompt: str, negative_prompt: str | None) -> tuple[str, ...]:
        return tuple(f"{prompt} {negative_prompt}".replace(",", "").split())


async def test_only_the_clients_own_words_are_warned_of() -> None:
    service = service_of(WordlessEngine())
    request = LoopRequest(
        prompt="zydeco",
        bpm=140,
        bars=1,
        seed=1,
        steps=1,
        loop_type="drums",
        negative_prompt="theremin",
    )
    (made,) = await service.generate(request)
    assert made.plan.words.prompt == "zydeco 140bpm drum loop"
    assert made.warnings[0].endswith("no use or room for them: zydeco, theremin")
    service.close()


async def test_every_ignored_word_is_named() -> None:
    service = service_of(WordlessEngine())
    words = [f"word{number}" for number in range(200)]
    (made,) = await service.generate(
        LoopRequest(prompt=f"{' '.join(words)} 140bpm", bars=1, seed=1, steps=1)
    )
    assert all(word in made.warnings[0] for word in words)
    service.close()


class SilentSeeds(FakeEngine):
    """Makes silence of some seeds, and of every run that follows its source."""

    def __init__(self, *seeds: int, follows: bool = False) -> None:
        super().__init__()
        self.silent_seeds, self.follows = seeds, follows

    def _decode(self, plan: GenerationPlan, state: int) -> Audio:
        follows = self.follows and plan.source is not None and plan.init_noise_level < 1
        return super()._decode(plan, state) * np.float32(
            not (plan.seed in self.silent_seeds or follows)
        )


async def test_a_silent_take_is_drawn_again_and_says_so() -> None:
    service = service_of(SilentSeeds(7))
    made = await service.generate_one(QUICK)
    assert metadata_of(made)["redrawn"] == {"seed": 7, "attempts": 2}
    assert (
        "seed 7 came out silent or as noise, so the audio was drawn again with seed "
        f"{made.plan.seed}"
    ) in made.warnings
    assert 0 <= made.plan.seed < 2**31
    again = await service.generate_one(QUICK)
    assert np.array_equal(again.audio, made.audio)  # the same seed gives the same audio, also so
    sent_back, _ = LoopRequest.parse(metadata_of(made))
    direct = await service.generate_one(sent_back)
    assert np.array_equal(direct.audio, made.audio)
    assert direct.redrawn is None
    service.close()


async def test_only_so_many_seeds_are_tried() -> None:
    engine = FakeEngine(silent=True)
    service = service_of(engine)
    made = await service.generate_one(QUICK)
    assert made.plan.seed == 7
    assert metadata_of(made)["redrawn"] == {"seed": 7, "attempts": 4}
    assert "seed 7 came out silent, and 3 other seeds were no better" in made.warnings[0]
    assert not made.audio.any()
    service.close()


async def test_seeds_that_are_drawn_again_are_no_neighbours() -> None:
    """Or `n` loops would be the same loop twice."""
    service = service_of(SilentSeeds(7, 8))
    made = await service.generate(QUICK.model_copy(update={"n": 4}))
    seeds = [one.plan.seed for one in made]
    assert len(set(seeds)) == 4
    assert seeds[2:] == [9, 10]
    service.close()


async def test_a_silent_style_transfer_lets_go_of_its_source() -> None:
    service = service_of(SilentSeeds(follows=True))
    made = await service.generate_one(QUICK, Upload(encoded(tone(440))))
    assert metadata_of(made)["style_strength"] == 1.0
    assert "free from its source (style_strength 1.0)" in " ".join(made.warnings)
    service.close()


async def test_silence_that_is_asked_for_is_not_tried_again() -> None:
    engine = FakeEngine(silent=True)
    service = service_of(engine)
    asked = GuidedLoopRequest(prompt="drums 140bpm", bars=1, seed=7, steps=2, guidance_mask="full")
    silence = encoded(np.zeros((2, 44100), np.float32))
    made = await service.generate_one(asked, Upload(silence))
    assert made.redrawn is None
    assert engine.forwards == 2
    assert any("silent" in warning for warning in made.warnings)
    service.close()


async def test_noise_is_drawn_again_where_a_loop_type_is_asked_for() -> None:
    """The fake makes clicks in noise; as quiet as a decoder's floor they are nothing to hear."""

    class Hissing(FakeEngine):
        def _decode(self, plan: GenerationPlan, state: int) -> Audio:
            noise = (
                np.random.default_rng(0).normal(0, 0.1, (2, plan.made_samples)).astype(np.float32)
            )
            return noise if plan.seed == 7 else super()._decode(plan, state)

    service = service_of(Hissing())
    drums = await service.generate_one(QUICK.model_copy(update={"loop_type": "drums"}))
    assert metadata_of(drums)["redrawn"] == {"seed": 7, "attempts": 2}
    anything = await service.generate_one(QUICK)
    assert anything.redrawn is None
    service.close()
