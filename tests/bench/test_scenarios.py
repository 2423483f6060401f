"""Every contender is asked the same music; peak memory is that of the request."""

from __future__ import annotations

import subprocess
import sys
import wave
from pathlib import Path
from subprocess import PIPE

import pytest
from bench.machine import forget_peak, peak_memory
from bench.scenarios import (
    LOOP_SAMPLES,
    NEGATIVE,
    SCENARIOS,
    STYLE_TRANSFER,
    TEXT_LOOP,
    Scenario,
    write_source,
)

from loopwright.kinds.audio import plan_audio
from loopwright.kinds.loop import LoopRequest, plan_loop
from loopwright.kinds.request import GenerationRequest
from loopwright.kinds.style import StyleRequest, plan_style
from loopwright.planning.plan import GenerationPlan, ModelLimits

LIMITS = ModelLimits(44_100, 524_288, ("pingpong",), 8, 100, 6.0)


def planned(scenario: Scenario) -> GenerationPlan:
    fields = scenario.fields()
    match scenario.endpoint:
        case "/generate/loop":
            return plan_loop(LoopRequest.parse(fields)[0], LIMITS)
        case "/generate/style-transfer":
            return plan_style(StyleRequest.parse(fields)[0], LIMITS)
    return plan_audio(GenerationRequest.parse(fields)[0], LIMITS)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_both_are_asked_the_same(scenario: Scenario) -> None:
    plan, asked = planned(scenario), scenario.for_reference(Path("source.wav"), None)
    assert (plan.words.prompt, plan.words.negative_prompt) == (
        asked["prompt"],
        asked["negative_prompt"],
    )
    assert (plan.steps, plan.cfg_scale, plan.seed) == (
        asked["steps"],
        asked["cfg_scale"],
        asked["seed"],
    )
    assert plan.samples == asked["samples"]
    assert plan.seconds_total == 12
    assert not plan.warnings


def test_what_is_compared_is_as_the_model_made_it() -> None:
    request, unknown = LoopRequest.parse(TEXT_LOOP.fields(as_made=True))
    assert unknown == ()
    assert (request.seamless, request.align, request.normalize, request.bit_depth) == (
        False,
        False,
        "none",
        32,
    )
    assert StyleRequest.parse(STYLE_TRANSFER.fields(as_made=True))[1] == ()
    assert NEGATIVE.rows == 2


def test_the_source_is_a_loop(tmp_path: Path) -> None:
    with wave.open(str(write_source(tmp_path / "source.wav"))) as file:
        assert (file.getnframes(), file.getnchannels(), file.getframerate()) == (
            LOOP_SAMPLES,
            2,
            44_100,
        )


ALLOCATES = """
import sys
for line in sys.stdin:
    block = b"1" * int(line)
    del block
    print("done", flush=True)
"""


def test_peak_memory_can_begin_anew() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ALLOCATES], stdin=PIPE, stdout=PIPE, text=True
    ) as process:
        peaks = []
        for size in (300_000_000, 100_000_000):
            assert process.stdin is not None
            assert process.stdout is not None
            print(size, file=process.stdin, flush=True)
            assert process.stdout.readline() == "done\n"
            peaks.append(peak_memory(process.pid))
            forget_peak(process.pid)
        process.kill()
    assert 300e6 < peaks[0] < 350e6
    assert 100e6 < peaks[1] < 150e6
