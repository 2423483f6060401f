"""The worker: fair, bounded in harm, stoppable at every step."""

from __future__ import annotations

import threading
import time
from concurrent.futures import wait

import numpy as np
import pytest

from loopwright.errors import Cancelled
from loopwright.plan import GenerationPlan
from loopwright.planner import plan_loop
from loopwright.request import LoopRequest
from loopwright.serving.scheduler import Progress, Scheduler
from tests.fakes import LIMITS, FakeEngine


def plan(prompt: str = "drums 140bpm", **fields: object) -> GenerationPlan:
    return plan_loop(LoopRequest.parse({"prompt": prompt, "seed": 7, "bars": 1, **fields})[0], LIMITS)


@pytest.fixture
def scheduler() -> Scheduler:
    return Scheduler()


def test_a_plan_becomes_audio_of_its_length(scheduler: Scheduler) -> None:
    rendered = scheduler.submit(FakeEngine(), plan()).result.result(5)
    assert rendered.audio.shape == (2, plan().made_samples)
    assert rendered.timings.working > 0


def test_progress_is_told_at_every_step(scheduler: Scheduler) -> None:
    told: list[Progress] = []
    scheduler.submit(FakeEngine(), plan(steps=3), told.append).result.result(5)
    assert told == [Progress(0, 3), Progress(1, 3), Progress(2, 3), Progress(3, 3)]


def test_the_same_seed_gives_the_same_audio_in_any_company(scheduler: Scheduler) -> None:
    alone = scheduler.submit(FakeEngine(), plan()).result.result(5).audio
    engine = FakeEngine()
    jobs = [scheduler.submit(engine, plan(seed=seed)) for seed in (1, 7, 2, 7, 3)]
    together = [job.result.result(5).audio for job in jobs]
    np.testing.assert_array_equal(together[1], alone)
    np.testing.assert_array_equal(together[3], alone)
    assert not np.array_equal(together[0], alone)


def test_a_short_job_does_not_wait_for_a_long_one(scheduler: Scheduler) -> None:
    engine = FakeEngine(step_seconds=0.005)
    long = scheduler.submit(engine, plan(steps=100))
    short = scheduler.submit(engine, plan(steps=2))
    short.result.result(5)
    assert not long.result.done()
    long.result.result(5)


def test_a_failure_is_its_own(scheduler: Scheduler) -> None:
    engine = FakeEngine()
    good, bad = scheduler.submit(engine, plan()), scheduler.submit(engine, plan("FAIL 140bpm"))
    with pytest.raises(RuntimeError, match="told to fail"):
        bad.result.result(5)
    assert good.result.result(5).audio.any()
    assert scheduler.submit(engine, plan()).result.result(5).audio.any()


def test_cancelling_frees_the_place_at_the_next_step(scheduler: Scheduler) -> None:
    engine = FakeEngine(step_seconds=0.01)
    job = scheduler.submit(engine, plan(steps=100))
    time.sleep(0.05)
    job.cancel()
    with pytest.raises(Cancelled):
        job.result.result(5)
    assert engine.forwards < 50
    assert scheduler.depth == 0


def test_closing_ends_what_is_running_and_waiting() -> None:
    scheduler, gate = Scheduler(), threading.Event()
    jobs = [scheduler.submit(FakeEngine(gate=gate), plan()) for _ in range(8)]
    threading.Timer(0.05, gate.set).start()
    scheduler.close()
    assert not wait([job.result for job in jobs], timeout=5).not_done
    assert any(isinstance(job.result.exception(), Cancelled) for job in jobs)
    with pytest.raises(Cancelled):
        scheduler.submit(FakeEngine(), plan())
