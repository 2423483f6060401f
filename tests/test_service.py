"""The way of a request, without a front end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from loopwright.errors import QueueFull
from loopwright.request import LoopRequest
from loopwright.service import Service
from tests.fakes import FakeEngine, fake_service

LOOP = LoopRequest(prompt="drums 140bpm", bars=1, seed=1, steps=50)


def service_of(engine: FakeEngine, *, max_requests: int = 4) -> Service:
    return fake_service(lambda _: engine, max_requests=max_requests)


async def test_a_request_given_up_frees_its_place_and_harms_nobody() -> None:
    engine = FakeEngine(step_seconds=0.01)
    service = service_of(engine)
    given_up = asyncio.ensure_future(service.generate(LOOP))
    kept = asyncio.ensure_future(service.generate(LOOP))
    await asyncio.sleep(0.1)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert service.queue_depth == 1
    assert (await kept)[0].audio.shape == (2, 75600)
    assert engine.forwards < 90
    service.close()


async def test_a_model_is_not_unloaded_under_a_request_that_is_given_up() -> None:
    gate = threading.Event()
    engine = FakeEngine(gate=gate)
    service = service_of(engine)
    registry = service.models.registry
    given_up = asyncio.ensure_future(service.generate(LOOP))
    await asyncio.sleep(0.1)
    given_up.cancel()
    await asyncio.sleep(0.05)
    assert registry.clear() == 0  # the worker is in a step
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert registry.clear() == 1
    service.close()


async def test_no_more_than_so_many_requests() -> None:
    gate = threading.Event()
    service = service_of(FakeEngine(gate=gate), max_requests=2)
    waiting = [asyncio.ensure_future(service.generate(LOOP)) for _ in range(2)]
    await asyncio.sleep(0.05)
    with pytest.raises(QueueFull):
        await service.generate(LOOP)
    gate.set()
    await asyncio.gather(*waiting)
    await service.generate(LOOP)
    service.close()


class Deaf(FakeEngine):
    """Ignores every word."""

    def ignored_words(self, prompt: str, negative_prompt: str | None) -> tuple[str, ...]:
        return tuple(f"{prompt} {negative_prompt}".replace(",", "").split())


async def test_only_the_clients_own_words_are_warned_of() -> None:
    service = service_of(Deaf())
    request = LoopRequest(
        prompt="zydeco", bpm=140, bars=1, seed=1, steps=1, loop_type="drums", negative_prompt="theremin"
    )
    (made,) = await service.generate(request)
    assert made.plan.words.prompt == "zydeco 140bpm drum loop"
    assert made.warnings[0].endswith("no room for: zydeco, theremin")
    service.close()


async def test_hundreds_of_ignored_words_make_one_short_warning() -> None:
    service = service_of(Deaf())
    words = " ".join(f"word{number}" for number in range(200))
    (made,) = await service.generate(LoopRequest(prompt=f"{words} 140bpm", bars=1, seed=1, steps=1))
    assert made.warnings[0].endswith("word28, word29 … and 171 more")
    service.close()
