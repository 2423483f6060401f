"""All the music logic: from a request to what will be done."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.errors import Impossible, InvalidInput
from loopwright.planner import plan_audio, plan_loop
from loopwright.request import GenerationRequest, LoopRequest
from tests.fakes import LIMITS


def loop(**fields: object) -> LoopRequest:
    return LoopRequest.parse({"prompt": "drums 140bpm", "seed": 1, **fields})[0]


def test_a_loop_is_exact_and_conditioned_on_the_whole_window() -> None:
    plan = plan_loop(loop(bars=4), LIMITS)
    assert (plan.samples, plan.seconds_total) == (302400, 12)
    assert plan.loop is not None
    assert plan.loop.bars == 4
    assert plan.loop.bpm == 140


def test_audio_is_as_long_as_asked() -> None:
    plan = plan_audio(GenerationRequest(prompt="x", seed=1, seconds_total=2.5), LIMITS)
    assert (plan.samples, plan.seconds_total, plan.loop) == (110250, 2.5, None)


def test_audio_is_the_whole_window_by_default() -> None:
    plan = plan_audio(GenerationRequest(prompt="x", seed=1), LIMITS)
    assert (plan.samples, plan.seconds_total) == (LIMITS.window_samples, 12)


def test_the_window_rounded_up_is_the_whole_window() -> None:
    assert plan_audio(GenerationRequest(prompt="x", seconds_total=12), LIMITS).samples == LIMITS.window_samples


@pytest.mark.parametrize(("seconds", "used"), [(0.5, 1), (12.01, 12), (600, 12)])
def test_a_length_beyond_the_window_is_clamped_unless_strict(seconds: float, used: int) -> None:
    plan = plan_audio(GenerationRequest(prompt="x", seconds_total=seconds), LIMITS)
    assert plan.seconds_total == used
    assert f"got {seconds:g}; {used} was used" in plan.warnings[0]
    with pytest.raises(InvalidInput, match=r"seconds_total must be a number from 1 to 12 .*11\.89 s.* got") as caught:
        plan_audio(GenerationRequest(prompt="x", seconds_total=seconds, strict=True), LIMITS)
    assert caught.value.field == "seconds_total"


def test_bars_that_do_not_fit_become_the_most_that_do() -> None:
    plan = plan_loop(loop(bars=8), LIMITS)
    assert plan.loop is not None
    assert (plan.loop.bars, plan.loop.requested_bars) == (4, 8)
    assert "made 4" in plan.warnings[0]


def test_bars_that_do_not_fit_are_impossible_when_strict() -> None:
    with pytest.raises(Impossible, match=r"8 bars at 140 bpm are 13\.71 s.*11\.89 s; 4 bars fit"):
        plan_loop(loop(bars=8, strict=True), LIMITS)


def test_not_even_a_bar_fits() -> None:
    with pytest.raises(Impossible, match=r"one bar at 30 bpm is 8\.00 s"):
        plan_loop(loop(prompt="x 30bpm"), replace(LIMITS, window_samples=44100))


def test_two_tempos_are_an_error() -> None:
    with pytest.raises(InvalidInput, match="bpm is 120 but the prompt says 140"):
        plan_loop(loop(bpm=120), LIMITS)
    assert plan_loop(loop(bpm=140), LIMITS).bpm == 140


def test_no_tempo_is_an_error_that_says_how_to_give_one() -> None:
    with pytest.raises(InvalidInput, match="no tempo: put one into the prompt") as caught:
        plan_loop(loop(prompt="drums"), LIMITS)
    assert (caught.value.field, caught.value.code) == ("bpm", "missing_parameter")


@pytest.mark.parametrize("bpm", ["29", "301", "0", "999999"])
def test_a_tempo_out_of_range_in_the_prompt(bpm: str) -> None:
    with pytest.raises(InvalidInput, match=f"from 30 to 300, got {bpm} in the prompt"):
        plan_loop(loop(prompt=f"drums {bpm}bpm"), LIMITS)


def test_the_model_is_told_a_tempo_given_beside_the_prompt() -> None:
    plan = plan_loop(loop(prompt="dub drums", bpm=92.3), LIMITS)
    assert (plan.words.prompt, plan.bpm) == ("dub drums 92.3bpm", Fraction(923, 10))
    assert plan.original_prompt == "dub drums"


def test_the_models_own_defaults() -> None:
    plan = plan_loop(loop(), LIMITS)
    assert (plan.steps, plan.guidance, plan.sampler) == (8, 6.0, "pingpong")


def test_a_sampler_of_another_objective_is_replaced_unless_strict() -> None:
    plan = plan_loop(loop(sampler_type="v-ddim"), LIMITS)
    assert plan.sampler == "pingpong"
    assert 'got "v-ddim"; "pingpong" was used' in plan.warnings[0]
    with pytest.raises(InvalidInput, match='one of pingpong, euler, dpmpp, rk4 with this model, got "v-ddim"'):
        plan_loop(loop(sampler_type="v-ddim", strict=True), LIMITS)


def test_more_steps_than_the_model_takes_are_clamped_unless_strict() -> None:
    plan = plan_loop(loop(steps=250), LIMITS)
    assert (plan.steps, plan.warnings) == (
        100,
        ("steps must be a whole number from 1 to 100 with this model, got 250; 100 was used",),
    )
    with pytest.raises(InvalidInput, match="from 1 to 100 with this model, got 101"):
        plan_loop(loop(steps=101, strict=True), LIMITS)


def test_a_loop_says_that_seconds_have_no_effect_on_it() -> None:
    plan = plan_loop(loop(seconds_total=400), LIMITS)
    assert plan.warnings == ("seconds_total has no effect on a loop, whose length is its bars",)


def test_a_negative_prompt_without_guidance_is_warned_of() -> None:
    assert "cfg_scale 1" in plan_loop(loop(negative_prompt="vocals", cfg_scale=1), LIMITS).warnings[0]
    assert plan_loop(loop(loop_type="drums", cfg_scale=1), LIMITS).warnings == ()


@given(
    st.decimals(30, 300, places=2),
    st.sampled_from(["auto", 1, 2, 4, 8]),
    st.sampled_from(["drums", "instruments", "auto"]),
)
def test_every_loop_fits_and_is_exact(bpm: object, bars: object, loop_type: str) -> None:
    request = loop(prompt="x", bpm=float(str(bpm)), bars=bars, loop_type=loop_type)
    plan = plan_loop(request, LIMITS)
    assert plan.loop is not None
    exact = plan.loop.bars * 240 * Fraction(LIMITS.sample_rate) / Fraction(str(float(str(bpm))))
    assert abs(plan.samples - exact) <= Fraction(1, 2)
    assert plan.samples <= LIMITS.window_samples
    assert plan == plan_loop(request, LIMITS)
