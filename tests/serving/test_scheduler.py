"""The worker: fair, bounded in harm, stoppable at every step."""

from __future__ import annotations

import threading
import time
from concurrent.futures import wait
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from loopwright.audio.types import Audio
from loopwright.engine.base import Batching
from loopwright.errors import Cancelled
from loopwright.kinds.loop import LoopRequest, plan_loop
from loopwright.planning.plan import GenerationPlan
from loopwright.serving.active_run import Progress
from loopwright.serving.scheduler import Scheduler
from loopwright.system.measurements import Evaluated, Measurement, StageEnded, listening
from tests.fakes import LIMITS, FakeEngine
from tests.waiting import PATIENCE, Gate, until


def plan(prompt: str = "drums 140bpm", **fields: object) -> GenerationPlan:
    return plan_loop(
        LoopRequest.parse({"prompt": prompt, "seed": 7, "bars": 1, **fields})[0], LIMITS
    )


@pytest.fixture
def scheduler() -> Scheduler:
    return Scheduler()


def test_a_plan_becomes_audio_of_its_length(scheduler: Scheduler) -> None:
    rendered = scheduler.submit(FakeEngine(), plan()).result.result(PATIENCE)
    assert rendered.audio.shape == (2, plan().made_samples)
    assert rendered.timings.decoding > 0


def test_progress_is_told_at_every_step(scheduler: Scheduler) -> None:
    told: list[Progress] = []
    scheduler.submit(FakeEngine(), plan(steps=3), told.append).result.result(PATIENCE)
    assert told == [Progress(0, 3), Progress(1, 3), Progress(2, 3), Progress(3, 3)]


def test_each_stage_is_reported_with_its_period_and_the_request(scheduler: Scheduler) -> None:
    told: list[Measurement] = []
    before = time.time()
    with listening(told.append), structlog.contextvars.bound_contextvars(request_id="one"):
        run = scheduler.submit(FakeEngine(), plan(steps=3, cfg_scale=3))
        timings = run.result.result(PATIENCE).timings
    stages = [one for one in told if isinstance(one, StageEnded)]
    names = [one.stage for one in stages]
    assert names == ["queued", "conditioning", "denoising", "decoding"]
    assert {one.stage: one.seconds for one in stages} == asdict(timings)
    assert all(one.log_fields == {"request_id": "one"} for one in stages)
    # one after the other, each at least as long as it was worked on
    ends = [time_ for one in stages for time_ in (one.began, one.ended)]
    tolerance = 0.05  # of clocks: one counts seconds, the other says what time it is
    assert all(later >= earlier - tolerance for earlier, later in pairwise([before, *ends]))
    assert all(one.ended - one.began >= one.seconds - tolerance for one in stages)
    assert [one for one in told if isinstance(one, Evaluated)] == [Evaluated(2)] * 3


def test_the_same_seed_gives_the_same_audio_in_any_company(scheduler: Scheduler) -> None:
    alone = scheduler.submit(FakeEngine(), plan()).result.result(PATIENCE).audio
    engine = FakeEngine()
    jobs = [scheduler.submit(engine, plan(seed=seed)) for seed in (1, 7, 2, 7, 3)]
    together = [job.result.result(PATIENCE).audio for job in jobs]
    np.testing.assert_array_equal(together[1], alone)
    np.testing.assert_array_equal(together[3], alone)
    assert not np.array_equal(together[0], alone)


def test_a_short_job_does_not_wait_for_a_long_one(scheduler: Scheduler) -> None:
    engine = FakeEngine(gate=Gate())
    long = scheduler.submit(engine, plan(steps=100))
    engine.gate.wait_for(1)
    short = scheduler.submit(engine, plan(steps=2))
    long_was_done = list[bool]()
    short.result.add_done_callback(lambda _: long_was_done.append(long.is_done))
    engine.gate.open()
    long.result.result(PATIENCE)
    assert long_was_done == [False]


def test_a_failure_is_its_own(scheduler: Scheduler) -> None:
    engine = FakeEngine()
    good, bad = scheduler.submit(engine, plan()), scheduler.submit(engine, plan("FAIL 140bpm"))
    with pytest.raises(RuntimeError, match="told to fail"):
        bad.result.result(PATIENCE)
    assert good.result.result(PATIENCE).audio.any()
    assert scheduler.submit(engine, plan()).result.result(PATIENCE).audio.any()


def test_cancelling_frees_the_place_at_the_next_step(scheduler: Scheduler) -> None:
    engine = FakeEngine(gate=Gate(3))
    job = scheduler.submit(engine, plan(steps=100))
    engine.gate.wait_for(4)
    job.cancel()
    engine.gate.open()
    with pytest.raises(Cancelled):
        job.result.result(PATIENCE)
    assert engine.forwards == 4
    assert scheduler.depth == 0


def test_runs_are_evaluated_together_whatever_their_step_and_guidance(scheduler: Scheduler) -> None:
    engine = FakeEngine(batching=Batching(max_batch_size=8), gate=Gate())
    plans = [
        plan(seed=1, steps=9),
        plan(seed=2, steps=8, cfg_scale=1),
        plan(seed=3, steps=9),
        plan(seed=4, steps=8),
    ]
    jobs = [scheduler.submit(engine, one) for one in plans]
    engine.gate.open()
    together = [job.result.result(PATIENCE).audio for job in jobs]
    for one, audio in zip(plans, together, strict=True):
        np.testing.assert_array_equal(
            audio, scheduler.submit(FakeEngine(), one).result.result(PATIENCE).audio
        )
    assert max(engine.batches) == 2 + 1 + 2 + 2
    assert len(engine.batches) < 9 + 8 + 9 + 8
    assert sum(engine.batches) == 2 * 9 + 8 + 2 * 9 + 2 * 8


@given(
    limit=st.integers(1, 9),
    overlaps=st.booleans(),
    asked=st.lists(
        st.tuples(st.integers(0, 99), st.integers(1, 6), st.sampled_from((1, 6))),
        min_size=1,
        max_size=9,
    ),
)
@settings(max_examples=30)
def test_any_company_gives_the_same_audio_and_no_forward_is_too_large(
    limit: int, overlaps: bool, asked: list[tuple[int, int, int]]
) -> None:
    scheduler, engine = Scheduler(), FakeEngine(batching=Batching(limit, overlaps))
    plans = [plan(seed=seed, steps=steps, cfg_scale=scale) for seed, steps, scale in asked]
    jobs = [scheduler.submit(engine, one) for one in plans]
    together = [job.result.result(PATIENCE).audio for job in jobs]
    scheduler.close()
    for one, audio in zip(plans, together, strict=True):
        np.testing.assert_array_equal(audio, carried_out(one))
    assert max(engine.batches) <= max(limit, 2)


def carried_out(one: GenerationPlan) -> Audio:
    """By itself, on a scheduler of its own."""
    alone = Scheduler()
    audio = alone.submit(FakeEngine(), one).result.result(PATIENCE).audio
    alone.close()
    return audio


def test_a_new_run_joins_a_running_batch(scheduler: Scheduler) -> None:
    engine = FakeEngine(batching=Batching(max_batch_size=4), gate=Gate(3))
    long = scheduler.submit(engine, plan(steps=50, cfg_scale=1))
    engine.gate.wait_for(4)
    short = scheduler.submit(engine, plan(steps=3, cfg_scale=1))
    engine.gate.open()
    short.result.result(PATIENCE)
    long.result.result(PATIENCE)
    assert engine.batches[:4] == [1, 1, 1, 1]
    assert engine.batches.count(2) == 3
    assert len(engine.batches) == 50


def test_in_a_batch_a_failure_is_its_own_too(scheduler: Scheduler) -> None:
    engine = FakeEngine(batching=Batching(max_batch_size=8), gate=Gate())
    jobs = [
        scheduler.submit(engine, plan(prompt)) for prompt in ("a 140bpm", "FAIL 140bpm", "b 140bpm")
    ]
    engine.gate.open()
    assert [job.result.exception(PATIENCE) is not None for job in jobs] == [False, True, False]


def test_decoding_beside_denoising_where_the_engine_can(scheduler: Scheduler) -> None:
    engine = FakeEngine(
        batching=Batching(max_batch_size=1, overlaps=True), gate=Gate(), decoding_gate=Gate()
    )
    first, second = (scheduler.submit(engine, plan(steps=steps)) for steps in (2, 60))
    engine.gate.open()
    engine.decoding_gate.wait_for(1)
    engine.gate.wait_for(2 + 60)  # the second goes on while the first is decoded
    assert not first.is_done
    engine.decoding_gate.open()
    first.result.result(PATIENCE)
    second.result.result(PATIENCE)


def test_cancelling_one_that_waits_ends_it_before_its_turn(scheduler: Scheduler) -> None:
    engine = FakeEngine(gate=Gate())
    jobs = [scheduler.submit(engine, plan(seed=seed)) for seed in range(5)]
    jobs[-1].cancel()
    engine.gate.open()
    with pytest.raises(Cancelled):
        jobs[-1].result.result(PATIENCE)
    assert sum(job.result.exception(PATIENCE) is None for job in jobs) == 4


def test_a_progress_callback_that_fails_harms_its_own_job_alone(scheduler: Scheduler) -> None:
    def fail(progress: Progress) -> None:
        raise ValueError(f"no thanks: {progress}")

    engine = FakeEngine()
    bad, good = scheduler.submit(engine, plan(), fail), scheduler.submit(engine, plan())
    assert good.result.result(PATIENCE).audio.any()
    with pytest.raises(ValueError, match="no thanks"):
        bad.result.result(PATIENCE)


def test_closing_ends_what_is_running_and_waiting() -> None:
    scheduler, gate = Scheduler(), Gate()
    jobs = [scheduler.submit(FakeEngine(gate=gate), plan()) for _ in range(8)]
    gate.wait_for(1)

    def refuses_more() -> bool:
        try:
            scheduler.submit(FakeEngine(), plan())
        except Cancelled:
            return True
        return False

    closing = threading.Thread(target=scheduler.close)
    closing.start()
    until(refuses_more)
    gate.open()
    closing.join()
    assert not wait([job.result for job in jobs], timeout=PATIENCE).not_done
    assert all(isinstance(job.result.exception(), Cancelled) for job in jobs)
