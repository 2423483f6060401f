"""From what was asked to what will be done: the one place where all the music logic meets.

Knows: a request, and the limits of the model that will carry it out. Pure: the same request and limits give the same
plan, and the same plan gives the same audio. Does not know: tensors, threads, HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import TypeVar

import numpy as np

from loopwright.audio.formats.table import FORMATS
from loopwright.audio.loudness import is_silent
from loopwright.audio.seam import tail_samples
from loopwright.audio.types import Audio
from loopwright.errors import Impossible, InvalidInput, one_of, shown
from loopwright.kinds.request import (
    BPM_ALLOWED,
    DRAWN_SEEDS,
    GenerationRequest,
    GuidedLoopRequest,
    LoopRequest,
    StyleRequest,
)
from loopwright.kinds.request_edits import InpaintRequest
from loopwright.music.prompt import Words, words_for
from loopwright.music.tempo import (
    bar_seconds,
    bpm_number,
    find_tempo,
    largest_fitting_bars,
    loop_samples,
    named_tempi,
    without_tempi,
)
from loopwright.planning.plan import (
    GenerationPlan,
    Loop,
    ModelLimits,
    OutputPlan,
    RiffUse,
    Source,
    SourceMask,
)

R = TypeVar("R", bound=GenerationRequest)

MIN_SECONDS = 1

STRONGEST = 10.0
"""A pull that is all the way for most of the run."""

WITHOUT_WORDS = "music"
"""The prompt where nothing is left of one: it says nothing to any model, and can be sent back."""

REDRAWS = 3
"""How many times a silent take is drawn again, at most."""

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


def with_source(
    plan: GenerationPlan, source: Source, strength: float, riff: RiffUse | None = None
) -> GenerationPlan:
    """The plan as a style transfer from a source; one that keeps its source where a mask says is led by it instead."""
    warnings = (
        (*plan.warnings, "the source audio is silent") if is_silent(source.audio) else plan.warnings
    )
    level = 1.0 if plan.source_mask else strength
    if plan.tail:
        source = replace(source, audio=_lapped(source.audio, plan.samples), period=plan.samples)
    return replace(plan, source=source, init_noise_level=level, riff=riff, warnings=warnings)


def redrawn_plans(plan: GenerationPlan) -> Iterator[GenerationPlan]:
    """Yield what is tried in turn where a plan gave silence or noise: the same with other seeds.

    A style transfer lets go of its source (a style strength of 1.0), since a source of which the loop
    type lets nothing through gives silence again and again. What keeps parts of a silent source gives
    silence as asked, and is not tried again.
    """
    if plan.source_mask is not None and plan.source is not None and is_silent(plan.source.audio):
        return
    for number in range(1, REDRAWS + 1):
        seed = (plan.seed + number * SEEDS_APART) % DRAWN_SEEDS
        yield replace(plan, seed=seed, init_noise_level=1.0)


def _lapped(audio: Audio, samples: int) -> Audio:
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
    return replace(plan, source_mask=SourceMask(points, request.guidance_strength, period))


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
    return replace(plan, source_mask=SourceMask(points, STRONGEST, length if plan.tail else None))


def _stretch(request: InpaintRequest, bar: float) -> tuple[float, float]:
    """From where to where is made new, in seconds."""
    if request.from_bar is not None and request.from_seconds is None and request.to_seconds is None:
        return (request.from_bar - 1) * bar, (request.to_bar or request.from_bar) * bar
    if (
        request.from_bar is None
        and request.to_bar is None
        and None not in (request.from_seconds, request.to_seconds)
    ):
        return float(request.from_seconds or 0), float(request.to_seconds or 0)
    raise InvalidInput(
        "say what is made new: from_bar (and to_bar), or from_seconds and to_seconds",
        field="from_bar",
        code="missing_parameter",
    )


def _guidable(request: LoopRequest, limits: ModelLimits) -> GenerationPlan:
    if not limits.supports_inpainting:
        raise InvalidInput(
            "keeping parts of a source needs a model of a rectified flow; the model that is loaded has another objective",
            field="finetune_repo" if request.model_type == "finetune" else "model_type",
        )
    return plan_loop(request, limits)


def plan_audio(request: GenerationRequest, limits: ModelLimits) -> GenerationPlan:
    """Plan a request to ``/generate``: ``seconds_total`` seconds of audio, or the whole window.

    Raises InvalidInput for a length, sampler or number of steps that the model does not take.
    """
    request, clamped = _clamped(request, limits)
    whole = _plan_window(request, clamped, limits)
    if whole.bpm is None and limits.default_bpm is not None:
        bpm = bpm_number(limits.default_bpm)
        assumed = f"no tempo in the prompt; made at {bpm} bpm: name one there, such as `{bpm}bpm`"
        whole = replace(whole, warnings=(*whole.warnings, assumed))
    if request.seconds_total is None:
        return whole
    samples = min(round(request.seconds_total * limits.sample_rate), limits.window_samples)
    return replace(whole, seconds_total=request.seconds_total, samples=samples)


def plan_loop(request: LoopRequest, limits: ModelLimits) -> GenerationPlan:
    """Plan a request to ``/generate/loop``: a whole number of bars at a tempo, to the nearest sample.

    The model is always told of the whole window, so that the music does not end inside the loop.
    Raises InvalidInput where there is no tempo, or two; Impossible where the bars cannot fit.
    """
    bpm = _tempo(request)
    loop = _fit(request, bpm, limits)
    whole = _plan_window(
        *_clamped(request.model_copy(update={"seconds_total": None}), limits), limits
    )
    samples = loop_samples(loop.bars, bpm, limits.sample_rate)
    tail = (
        tail_samples(limits.sample_rate, limits.window_samples - samples) if request.seamless else 0
    )
    prompt = _with_tempo(whole.words.prompt, bpm)
    words = words_for(request.loop_type, prompt, request.negative_prompt)
    return replace(
        whole,
        # without a word, what stood around it may say another tempo: "80 drums bpm"
        words=replace(words, prompt=_with_tempo(_without_nonsense(words.prompt), bpm)),
        samples=samples,
        tail=tail,
        output=replace(whole.output, align=request.align),
        bpm=bpm,
        loop=loop,
        warnings=(
            *whole.warnings,
            *_bars_warnings(request, loop, limits),
            *_seam_warnings(request, tail),
        ),
    )


def _plan_window(
    request: GenerationRequest, clamped: tuple[str, ...], limits: ModelLimits
) -> GenerationPlan:
    """Plan the whole window of a model that can take the request. clamped: what was changed for that."""
    prompt = _without_nonsense(request.prompt)
    tempo = find_tempo(prompt)
    return GenerationPlan(
        original_prompt=request.prompt,
        words=Words(prompt, request.negative_prompt),
        seconds_total=limits.whole_seconds,
        samples=limits.window_samples,
        bpm=None if tempo is None else tempo.playable,
        loop=None,
        seed=request.seed,
        steps=limits.default_steps if request.steps is None else request.steps,
        cfg_scale=_cfg_scale(request, limits),
        sampler=request.sampler_type or limits.samplers[0],
        warnings=(
            *clamped,
            *_tempo_warnings(request),
            *_cfg_scale_warnings(request, limits),
            *_format_warnings(request),
        ),
        output=OutputPlan(
            normalize=request.normalize,
            target_lufs=request.target_lufs,
            format=request.format,
            bit_depth=request.bit_depth,
        ),
    )


def _clamped(request: R, limits: ModelLimits) -> tuple[R, tuple[str, ...]]:
    """Replace what this model cannot take by what comes nearest, with a warning for each.

    Clients keep the settings of one model when another is loaded, so this is no mistake of theirs.

    Raises:
        InvalidInput: with ``strict``, where there is anything to replace.
    """
    changes: dict[str, object] = {}
    sentences: dict[str, str] = {}
    if request.steps is not None and request.steps > limits.max_steps:
        changes["steps"] = limits.max_steps
        sentences["steps"] = (
            f"steps must be a whole number from 1 to {limits.max_steps} with this model"
        )
    if request.sampler_type is not None and request.sampler_type not in limits.samplers:
        changes["sampler_type"] = limits.samplers[0]
        sentences["sampler_type"] = (
            f"sampler_type must be one of {', '.join(limits.samplers)} with this model"
        )
    seconds = request.seconds_total
    if seconds is not None and not MIN_SECONDS <= seconds <= limits.whole_seconds:
        changes["seconds_total"] = min(max(seconds, MIN_SECONDS), limits.whole_seconds)
        window = f"{float(limits.window_seconds):.2f} s"
        sentences["seconds_total"] = (
            f"seconds_total must be a number from {MIN_SECONDS} to {limits.whole_seconds} (the model's window is {window})"
        )
    warnings = []
    for field, sentence in sentences.items():
        got = f"{sentence}, got {shown(getattr(request, field))}"
        if request.strict:
            raise InvalidInput(got, field=field)
        warnings.append(f"{got}; {shown(changes[field])} was used")
    return request.model_copy(update=changes), tuple(warnings)


def _cfg_scale(request: GenerationRequest, limits: ModelLimits) -> float:
    return limits.default_cfg_scale if request.cfg_scale is None else request.cfg_scale


def _cfg_scale_warnings(request: GenerationRequest, limits: ModelLimits) -> tuple[str, ...]:
    if request.negative_prompt and _cfg_scale(request, limits) == 1:
        return ("negative_prompt has no effect at cfg_scale 1; raise cfg_scale",)
    return ()


def _format_warnings(request: GenerationRequest) -> tuple[str, ...]:
    output_format = FORMATS[request.format]
    depths = output_format.bit_depths
    if depths and request.bit_depth not in depths:
        raise InvalidInput(
            f"bit_depth must be {one_of(depths)} with format {request.format}, "
            f"got {request.bit_depth}",
            field="bit_depth",
        )
    return output_format.limitations


def _seam_warnings(request: LoopRequest, tail: int) -> tuple[str, ...]:
    if request.seamless and tail == 0:
        return ("the loop fills the model's window to the last sample, so its seam is a plain cut",)
    return ()


def _tempo(request: LoopRequest) -> Fraction:
    """Return the one tempo asked for.

    The prompt's number counts as it is written. A float is taken as the decimal it prints as: 92.3
    is 923/10. The two agree where they are one float: as such metadata gives a tempo back.
    """
    said = find_tempo(request.prompt)
    if said is None and request.bpm is None:
        raise InvalidInput(
            f"no tempo: put one into the prompt (`… 120bpm`) or give bpm, {BPM_ALLOWED}",
            field="bpm",
            code="missing_parameter",
        )
    if said is None:
        return Fraction(str(request.bpm))
    if request.bpm is not None and (said.playable is None or float(said.playable) != request.bpm):
        raise InvalidInput(
            f"bpm is {bpm_number(Fraction(str(request.bpm)))} but the prompt says {said.shown}; "
            "give one tempo, or the same twice",
            field="bpm",
        )
    if said.playable is None:
        raise InvalidInput(
            f"bpm must be {BPM_ALLOWED}, in the prompt (`… 120bpm`) or as bpm; got {said.shown} in the prompt",
            field="bpm",
        )
    return said.playable


def _without_nonsense(prompt: str) -> str:
    """Return the prompt without tempi that nothing is made at, such as what hosts send for none."""
    said = prompt
    while any(tempo.playable is None for tempo in named_tempi(said)):
        said = " ".join(without_tempi(said, keep_playable=True).split())
    return said or WITHOUT_WORDS


def _tempo_warnings(request: GenerationRequest) -> tuple[str, ...]:
    """Return a warning for each number that `_without_nonsense` takes out."""
    nonsense = [tempo.shown for tempo in named_tempi(request.prompt) if tempo.playable is None]
    return tuple(
        f"{number} is no tempo and was left out of the prompt; send {BPM_ALLOWED}, such as `120bpm`"
        for number in dict.fromkeys(nonsense)
    )


def _with_tempo(prompt: str, bpm: Fraction) -> str:
    """Return the prompt with the tempo in words: models know it only from there."""
    said = find_tempo(prompt)
    if said is not None and said.playable == bpm:
        return prompt
    return f"{prompt} {bpm_number(bpm)}bpm"


def _fit(request: LoopRequest, bpm: Fraction, limits: ModelLimits) -> Loop:
    most = largest_fitting_bars(bpm, limits.window_samples, limits.sample_rate)
    window = f"{float(limits.window_seconds):.2f} s"
    if most is None:
        seconds = float(bar_seconds(bpm))
        raise Impossible(
            f"one bar at {bpm_number(bpm)} bpm is {seconds:.2f} s, the model's window {window}",
            field="bpm",
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


def _bars_warnings(request: LoopRequest, loop: Loop, limits: ModelLimits) -> tuple[str, ...]:
    warnings = []
    if request.seconds_total is not None:
        warnings.append("seconds_total has no effect on a loop, whose length is its bars")
    if loop.requested_bars is not None:
        warnings.append(
            f"{loop.requested_bars} bars at {bpm_number(loop.bpm)} bpm do not fit the model's window of "
            f"{float(limits.window_seconds):.2f} s; made {loop.bars}"
        )
    return tuple(warnings)
