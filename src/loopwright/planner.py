"""From what was asked to what will be done: the one place where all the music logic meets.

Knows: a request, and the limits of the model that will carry it out. Pure: the same request and limits give the same
plan, and the same plan gives the same audio. Does not know: tensors, threads, HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from loopwright.audio.loudness import is_silent
from loopwright.audio.seam import tail_samples
from loopwright.errors import Impossible, InvalidInput
from loopwright.music.prompt import Words, words_for
from loopwright.music.tempo import (
    MAX_BPM,
    MIN_BPM,
    bar_seconds,
    bpm_number,
    find_bpm,
    in_range,
    largest_fitting_bars,
    loop_samples,
)
from loopwright.plan import FinishPlan, GenerationPlan, Keep, Loop, ModelLimits, RiffUse, Source
from loopwright.request import GenerationRequest, GuidedLoopRequest, LoopRequest, StyleRequest
from loopwright.request_edits import InpaintRequest

MIN_SECONDS = 1

STRONGEST = 10.0
"""A pull that is all the way for most of the run."""

REDRAWS = 3
"""How many times a silent take is drawn again, at most."""

DRAWN_SEEDS = 2**31
"""Seeds that the server draws are below it: clients read them as signed numbers of 32 bits."""

SEEDS_APART = 0x4F1BBCDD
"""From a silent take's seed to the next: the golden section of DRAWN_SEEDS, so that all of them are far
from each other, and from the seeds after the first that `n` and `candidates` use."""

EDGE = 1e-6
"""The width of an edge between what is kept and what is not, as a share of a bar: none."""


def plan_request(request: GenerationRequest, limits: ModelLimits) -> GenerationPlan:
    """Plan any request, without its source. Raises InvalidInput and Impossible."""
    match request:
        case GuidedLoopRequest():
            return plan_guided(request, limits)
        case InpaintRequest():
            return plan_inpaint(request, limits)
        case LoopRequest():
            return plan_loop(request, limits)
        case StyleRequest():
            return plan_style(request, limits)
        case _:
            return plan_audio(request, limits)


def with_source(plan: GenerationPlan, source: Source, strength: float, riff: RiffUse | None = None) -> GenerationPlan:
    """The plan as a style transfer from a source; one that keeps its source where a mask says is led by it instead."""
    warnings = (*plan.warnings, "the source audio is silent") if is_silent(source.audio) else plan.warnings
    level = 1.0 if plan.keep else strength
    if plan.tail:
        source = replace(source, audio=_lapped(source.audio, plan.samples), period=plan.samples)
    return replace(plan, source=source, init_noise_level=level, riff=riff, warnings=warnings)


def redrawn_plans(plan: GenerationPlan) -> Iterator[GenerationPlan]:
    """Yield what is tried in turn where a plan gave silence: the same with other seeds.

    A style transfer lets go of its source (a style strength of 1.0), since a source of which the loop
    type lets nothing through gives silence again and again: from the second time on, at once where the
    source is silent, and where it is a riff, which another seed would choose anew. What keeps parts of
    a silent source gives silence as asked, and is not tried again.
    """
    silent_source = plan.source is not None and is_silent(plan.source.audio)
    if plan.keep is not None and silent_source:
        return
    for number in range(1, REDRAWS + 1):
        free = number > 1 or silent_source or plan.riff is not None
        yield replace(
            plan,
            seed=(plan.seed + number * SEEDS_APART) % DRAWN_SEEDS,
            init_noise_level=1.0 if free else plan.init_noise_level,
        )


def _lapped(audio: NDArray[np.float32], samples: int) -> NDArray[np.float32]:
    """A loop of ``samples`` samples and, after it, its own beginning: what a seamless loop goes on with."""
    lap = np.pad(audio[:, :samples], ((0, 0), (0, max(0, samples - audio.shape[1]))))
    return np.tile(lap, 2)


def plan_style(request: StyleRequest, limits: ModelLimits) -> GenerationPlan:
    """Plan a style transfer: as ``/generate``, but the model is always told of the whole window."""
    return replace(plan_audio(request, limits), seconds_total=limits.whole_seconds)


def plan_guided(request: GuidedLoopRequest, limits: ModelLimits) -> GenerationPlan:
    """Plan a loop that keeps its source where the mask says. Raises InvalidInput for a model that cannot be led so."""
    plan = _guidable(request, limits)
    assert plan.loop is not None
    bar = float(bar_seconds(plan.loop.bpm))
    start, end = request.guidance_start_weight, request.guidance_end_weight
    points = {
        "full": ((0.0, start),),
        "fade": ((0.0, start), (plan.loop.bars * bar, end)),
        "first_bar": ((bar, start), (bar * (1 + EDGE), end)),
    }[request.guidance_mask]
    period = plan.loop.bars * bar if plan.tail else None
    return replace(plan, keep=Keep(points, request.guidance_strength, period))


def plan_inpaint(request: InpaintRequest, limits: ModelLimits) -> GenerationPlan:
    """Plan a loop of which some bars or seconds are made new. Raises InvalidInput for a stretch that is none."""
    plan = _guidable(request, limits)
    assert plan.loop is not None
    length = float(plan.loop.bars * bar_seconds(plan.loop.bpm))
    start, end = _stretch(request, float(bar_seconds(plan.loop.bpm)))
    if not start < end <= length + EDGE:
        raise InvalidInput(
            f"what is made new must begin before it ends, within the loop's {plan.loop.bars} bars ({length:.2f} s); "
            f"got {start:.2f} to {end:.2f} s",
            field="from_bar" if request.from_seconds is None else "from_seconds",
        )
    points = ((start, 1.0), (start + EDGE, 0.0), (end, 0.0), (end + EDGE, 1.0))
    return replace(plan, keep=Keep(points, STRONGEST, length if plan.tail else None))


def _stretch(request: InpaintRequest, bar: float) -> tuple[float, float]:
    """From where to where is made new, in seconds."""
    if request.from_bar is not None and request.from_seconds is None and request.to_seconds is None:
        return (request.from_bar - 1) * bar, (request.to_bar or request.from_bar) * bar
    if request.from_bar is None and request.to_bar is None and None not in (request.from_seconds, request.to_seconds):
        return float(request.from_seconds or 0), float(request.to_seconds or 0)
    raise InvalidInput(
        "say what is made new: from_bar (and to_bar), or from_seconds and to_seconds",
        field="from_bar",
        code="missing_parameter",
    )


def _guidable(request: LoopRequest, limits: ModelLimits) -> GenerationPlan:
    if not limits.can_be_guided:
        raise InvalidInput(
            "keeping parts of a source needs a model of a rectified flow; the model that is loaded has another objective",
            field="finetune_repo" if request.model_type == "finetune" else "model_type",
        )
    return plan_loop(request, limits)


def plan_audio(request: GenerationRequest, limits: ModelLimits) -> GenerationPlan:
    """Plan a request to ``/generate``: ``seconds_total`` seconds of audio, or the whole window.

    Raises InvalidInput for a length, sampler or number of steps that the model does not take.
    """
    whole = _plan_window(request, limits)
    seconds = _seconds_total(request, limits)
    if seconds is None:
        return whole
    samples = min(round(seconds * limits.sample_rate), limits.window_samples)
    return replace(whole, seconds_total=seconds, samples=samples)


def plan_loop(request: LoopRequest, limits: ModelLimits) -> GenerationPlan:
    """Plan a request to ``/generate/loop``: a whole number of bars at a tempo, to the nearest sample.

    The model is always told of the whole window, so that the music does not end inside the loop.
    Raises InvalidInput where there is no tempo, or two; Impossible where the bars cannot fit.
    """
    bpm = _tempo(request)
    loop = _fit(request, bpm, limits)
    whole = _plan_window(request, limits)
    samples = loop_samples(loop.bars, bpm, limits.sample_rate)
    tail = tail_samples(limits.sample_rate, limits.window_samples - samples) if request.seamless else 0
    return replace(
        whole,
        words=words_for(request.loop_type, _with_tempo(request.prompt, bpm), request.negative_prompt),
        samples=samples,
        tail=tail,
        finish=replace(whole.finish, align=request.align),
        bpm=bpm,
        loop=loop,
        warnings=(*whole.warnings, *_bars_warnings(loop, limits), *_seam_warnings(request, tail)),
    )


def _plan_window(request: GenerationRequest, limits: ModelLimits) -> GenerationPlan:
    bpm = find_bpm(request.prompt)
    return GenerationPlan(
        original_prompt=request.prompt,
        words=Words(request.prompt, request.negative_prompt),
        seconds_total=limits.whole_seconds,
        samples=limits.window_samples,
        bpm=bpm if bpm is not None and in_range(bpm) else None,
        loop=None,
        seed=request.seed,
        steps=_steps(request, limits),
        guidance=_guidance(request, limits),
        sampler=_sampler(request, limits),
        warnings=(*_guidance_warnings(request, limits), *_format_warnings(request)),
        finish=FinishPlan(
            normalize=request.normalize,
            target_lufs=request.target_lufs,
            format=request.format,
            bit_depth=request.bit_depth,
        ),
    )


def _seconds_total(request: GenerationRequest, limits: ModelLimits) -> float | None:
    seconds = request.seconds_total
    if seconds is not None and not MIN_SECONDS <= seconds <= limits.whole_seconds:
        raise InvalidInput(
            f"seconds_total must be a number from {MIN_SECONDS} to {limits.whole_seconds} "
            f"(the model's window is {float(limits.window_seconds):.2f} s), got {seconds:g}",
            field="seconds_total",
        )
    return seconds


def _steps(request: GenerationRequest, limits: ModelLimits) -> int:
    steps = limits.default_steps if request.steps is None else request.steps
    if steps > limits.max_steps:
        raise InvalidInput(
            f"steps must be a whole number from 1 to {limits.max_steps} with this model, got {steps}", field="steps"
        )
    return steps


def _guidance(request: GenerationRequest, limits: ModelLimits) -> float:
    return limits.default_cfg_scale if request.cfg_scale is None else request.cfg_scale


def _sampler(request: GenerationRequest, limits: ModelLimits) -> str:
    sampler = request.sampler_type or limits.samplers[0]
    if sampler not in limits.samplers:
        raise InvalidInput(
            f"sampler_type must be one of {', '.join(limits.samplers)} with this model, got {sampler!r}",
            field="sampler_type",
        )
    return sampler


def _guidance_warnings(request: GenerationRequest, limits: ModelLimits) -> tuple[str, ...]:
    if request.negative_prompt and _guidance(request, limits) == 1:
        return ("negative_prompt has no effect at cfg_scale 1; raise cfg_scale",)
    return ()


def _format_warnings(request: GenerationRequest) -> tuple[str, ...]:
    if request.format == "flac" and request.bit_depth == 32:
        raise InvalidInput("bit_depth must be 16 or 24 with format flac, got 32", field="bit_depth")
    return ("mp3 adds samples at both ends, so a player may not loop it exactly",) if request.format == "mp3" else ()


def _seam_warnings(request: LoopRequest, tail: int) -> tuple[str, ...]:
    if request.seamless and tail == 0:
        return ("the loop fills the model's window to the last sample, so its seam is a plain cut",)
    return ()


def _tempo(request: LoopRequest) -> Fraction:
    """The one tempo asked for. A float is taken as the decimal it prints as: 92.3 is 923/10."""
    said = find_bpm(request.prompt)
    given = None if request.bpm is None else Fraction(str(request.bpm))
    if said is not None and given is not None and said != given:
        raise InvalidInput(
            f"bpm is {bpm_number(given)} but the prompt says {bpm_number(said)}; give one tempo, or the same twice",
            field="bpm",
        )
    bpm = given or said
    if bpm is None:
        raise InvalidInput(
            f"no tempo: put one into the prompt (`… 120bpm`) or give bpm, from {MIN_BPM} to {MAX_BPM}",
            field="bpm",
            code="missing_parameter",
        )
    if not in_range(bpm):
        raise InvalidInput(
            f"bpm must be a number from {MIN_BPM} to {MAX_BPM}, got {bpm_number(bpm)} in the prompt", field="bpm"
        )
    return bpm


def _with_tempo(prompt: str, bpm: Fraction) -> str:
    """The prompt with the tempo in words: models know it only from there."""
    return prompt if find_bpm(prompt) is not None else f"{prompt} {bpm_number(bpm)}bpm"


def _fit(request: LoopRequest, bpm: Fraction, limits: ModelLimits) -> Loop:
    most = largest_fitting_bars(bpm, limits.window_samples, limits.sample_rate)
    window = f"{float(limits.window_seconds):.2f} s"
    if most is None:
        seconds = float(bar_seconds(bpm))
        raise Impossible(
            f"one bar at {bpm_number(bpm)} bpm is {seconds:.2f} s, the model's window {window}", field="bpm"
        )
    if request.bars == "auto":
        return Loop(bpm, most, request.loop_type)
    if request.bars <= most:
        return Loop(bpm, request.bars, request.loop_type)
    if request.strict:
        seconds = float(request.bars * bar_seconds(bpm))
        raise Impossible(
            f"{request.bars} bars at {bpm_number(bpm)} bpm are {seconds:.2f} s, the model's window {window}; "
            f"{most} bars fit",
            field="bars",
        )
    return Loop(bpm, most, request.loop_type, requested_bars=request.bars)


def _bars_warnings(loop: Loop, limits: ModelLimits) -> tuple[str, ...]:
    if loop.requested_bars is None:
        return ()
    return (
        f"{loop.requested_bars} bars at {bpm_number(loop.bpm)} bpm do not fit the model's window of "
        f"{float(limits.window_seconds):.2f} s; made {loop.bars}",
    )
