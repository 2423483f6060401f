"""All the music logic: from a request to what will be done."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.errors import Impossible, InvalidInput
from loopwright.kinds.audio import plan_audio
from loopwright.kinds.loop import LoopRequest, plan_loop
from loopwright.kinds.request import GenerationRequest
from loopwright.kinds.style import StyleRequest, plan_style
from loopwright.planning.plan import ModelLimits
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
    assert (
        plan_audio(GenerationRequest(prompt="x", seconds_total=12), LIMITS).samples
        == LIMITS.window_samples
    )


@pytest.mark.parametrize(("seconds", "used"), [(0.5, 1), (12.01, 12), (600, 12)])
def test_a_length_beyond_the_window_is_clamped_unless_strict(seconds: float, used: int) -> None:
    plan = plan_audio(GenerationRequest(prompt="x", seconds_total=seconds), LIMITS)
    assert plan.seconds_total == used
    assert f"got {seconds:g}; {used} was used" in plan.warnings[0]
    with pytest.raises(
        InvalidInput, match=r"seconds_total must be a number from 1 to 12 .*11\.89 s.* got"
    ) as caught:
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
    with pytest.raises(InvalidInput, match="bpm is 140 but the prompt says 120"):
        plan_loop(loop(prompt="drums, BPM: 120", bpm=140), LIMITS)
    with pytest.raises(InvalidInput, match="bpm is 140 but the prompt says 0"):
        plan_loop(loop(prompt="drums 0bpm", bpm=140), LIMITS)


def test_a_tempo_sent_back_as_a_float_is_the_prompts() -> None:
    exact = "93.40000152587890625"
    plan = plan_loop(loop(prompt=f"drums {exact}bpm", bpm=float(exact)), LIMITS)
    assert plan.bpm == Fraction(exact)


def test_no_tempo_is_an_error_that_says_how_to_give_one() -> None:
    with pytest.raises(InvalidInput, match="no tempo: put one into the prompt") as caught:
        plan_loop(loop(prompt="drums"), LIMITS)
    assert (caught.value.field, caught.value.code) == ("bpm", "missing_parameter")


NO_TEMPI = ["29", "301", "999", "0", "20", "3159345", "-2147483648", "NaN", "inf"]


@pytest.mark.parametrize("bpm", NO_TEMPI)
def test_a_loop_at_no_tempo_is_refused_in_a_sentence_that_says_what_to_send(bpm: str) -> None:
    sentence = (
        "bpm must be a number of beats per minute from 30 to 300, in the prompt (`… 120bpm`) or as "
        "bpm; "
        f"got {bpm} in the prompt"
    )
    with pytest.raises(InvalidInput) as caught:
        plan_loop(loop(prompt=f"drums {bpm}bpm"), LIMITS)
    assert (caught.value.message, caught.value.field) == (sentence, "bpm")


@pytest.mark.parametrize("bpm", NO_TEMPI)
def test_audio_goes_on_without_what_is_no_tempo_and_says_so(bpm: str) -> None:
    plan = plan_audio(GenerationRequest(prompt=f"dub {bpm}bpm drums", seed=1), LIMITS)
    assert (plan.words.prompt, plan.bpm) == ("dub drums", None)
    assert plan.warnings == (
        f"{bpm} is no tempo and was left out of the prompt; "
        "send a number of beats per minute from 30 to 300, such as `120bpm`",
    )


def test_a_loop_is_not_told_of_what_is_no_tempo() -> None:
    plan = plan_loop(loop(prompt="0bpm drums 140bpm"), LIMITS)
    assert (plan.words.prompt, plan.bpm) == ("drums 140bpm", Fraction(140))
    assert "0 is no tempo" in plan.warnings[0]


def test_a_prompt_of_nothing_but_no_tempo_says_nothing() -> None:
    plan = plan_audio(GenerationRequest(prompt="0bpm", seed=1), LIMITS)
    assert plan.words.prompt == "music"


@pytest.mark.parametrize(
    "prompt", ["dub 140bpm", "dub, BPM: 140", "dub at 140 beats per minute", "dub １４０ＢＰＭ"]
)
def test_a_prompt_that_names_its_tempo_stays_as_it_was_written(prompt: str) -> None:
    for plan in (
        plan_loop(loop(prompt=prompt), LIMITS),
        plan_audio(GenerationRequest(prompt=prompt), LIMITS),
    ):
        assert (plan.words.prompt, plan.bpm, plan.warnings) == (prompt, Fraction(140), ())


def test_a_tempo_that_the_model_assumes_is_said() -> None:
    limits = replace(LIMITS, default_bpm=Fraction(120))
    expected = ("no tempo in the prompt; made at 120 bpm: name one there, such as `120bpm`",)
    assert plan_audio(GenerationRequest(prompt="dub"), limits).warnings == expected
    assert plan_style(StyleRequest(prompt="dub"), limits).warnings == expected
    assert plan_audio(GenerationRequest(prompt="dub BPM: 90"), limits).warnings == ()
    assert plan_loop(loop(prompt="dub", bpm=90), limits).warnings == ()


def same_music(limits: ModelLimits, request: GenerationRequest) -> None:
    """The prompt of the plan, planned anew, gives the same plan and nothing more to say."""
    plan_it = plan_loop if isinstance(request, LoopRequest) else plan_audio
    plan = plan_it(request, limits)  # type: ignore[arg-type]
    again = plan_it(request.model_copy(update={"prompt": plan.words.prompt}), limits)  # type: ignore[arg-type]
    assert replace(again, original_prompt=plan.original_prompt, warnings=plan.warnings) == plan
    assert not any("no tempo" in warning for warning in again.warnings)


SOME_WORDS = st.lists(
    st.sampled_from(
        [
            "dub",
            "drum",
            "drums,",
            "0bpm",
            "bpm",
            "120",
            "85bpm",
            "tempo",
            ":",
            "=",
            "NaN bpm",
            "4 bars",
            "in A",
        ]
    )
).map(" ".join)


@given(
    SOME_WORDS, st.decimals(30, 300, places=4), st.sampled_from(["drums", "instruments", "auto"])
)
def test_the_prompt_that_was_used_can_be_sent_back(words: str, bpm: object, loop_type: str) -> None:
    same_music(LIMITS, loop(prompt=f"{words} {bpm}bpm", loop_type=loop_type))
    same_music(LIMITS, GenerationRequest(prompt=f"x {words}", seed=1))
    if not any(part in words for part in ("bpm", "tempo")):
        same_music(LIMITS, loop(prompt=f"x {words}", bpm=float(str(bpm)), loop_type=loop_type))


def test_the_model_is_told_a_tempo_given_beside_the_prompt() -> None:
    plan = plan_loop(loop(prompt="dub drums", bpm=92.3), LIMITS)
    assert (plan.words.prompt, plan.bpm) == ("dub drums 92.3bpm", Fraction(923, 10))
    assert plan.original_prompt == "dub drums"


def test_the_models_own_defaults() -> None:
    plan = plan_loop(loop(), LIMITS)
    assert (plan.steps, plan.cfg_scale, plan.sampler) == (8, 6.0, "pingpong")


def test_a_sampler_of_another_objective_is_replaced_unless_strict() -> None:
    plan = plan_loop(loop(sampler_type="v-ddim"), LIMITS)
    assert plan.sampler == "pingpong"
    assert 'got "v-ddim"; "pingpong" was used' in plan.warnings[0]
    with pytest.raises(
        InvalidInput, match='one of pingpong, euler, dpmpp, rk4 with this model, got "v-ddim"'
    ):
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
    assert (
        "cfg_scale 1" in plan_loop(loop(negative_prompt="vocals", cfg_scale=1), LIMITS).warnings[0]
    )
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
