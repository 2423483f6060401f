"""From what was asked to what will be done: the one place where all the music logic meets.

Knows: a request, and the limits of the model that will carry it out. Pure: the same request and limits give the same
plan, and the same plan gives the same audio. Does not know: tensors, threads, HTTP.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from loopwright.audio.seam import tail_samples
from loopwright.errors import Impossible, InvalidInput
from loopwright.music.prompt import LoopType, Words, words_for
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
from loopwright.request import Format, GenerationRequest, GuidedLoopRequest, LoopRequest, StyleRequest

MIN_SECONDS = 1

EDGE = 1e-6
"""The width of an edge between what is kept and what is not, as a share of a bar: none."""


@dataclass(frozen=True)
class ModelLimits:
    """What a model can be asked for.

    sample_rate: Hz. window_samples: the most it makes at once. samplers: those that fit its objective, the default first.
    can_be_guided: whether it can keep parts of a source.
    """

    sample_rate: int
    window_samples: int
    samplers: tuple[str, ...]
    default_steps: int
    max_steps: int
    default_cfg_scale: float
    can_be_guided: bool = True

    @property
    def window_seconds(self) -> Fraction:
        """The window's exact length in seconds."""
        return Fraction(self.window_samples, self.sample_rate)

    @property
    def whole_seconds(self) -> int:
        """The window in seconds, rounded up: what the model is conditioned on where no other length is asked for."""
        return math.ceil(self.window_seconds)


@dataclass(frozen=True)
class Loop:
    """The musical length of a loop. requested_bars: what was asked for, where it did not fit."""

    bpm: Fraction
    bars: int
    loop_type: LoopType
    requested_bars: int | None = None


@dataclass(frozen=True)
class Source:
    """Audio that a run starts from, or is led by.

    audio: [2, samples] at the model's rate; shape: [channels, samples] as it was sent.
    """

    audio: NDArray[np.float32] = field(repr=False, compare=False)
    shape: tuple[int, int]


@dataclass(frozen=True)
class RiffUse:
    """A riff of the personal library that is a loop's source. semitones: how far it was moved to be in the key."""

    key: str
    filename: str
    original_bpm: Fraction
    semitones: int = 0


@dataclass(frozen=True)
class Keep:
    """How much of the source is kept where. points: (seconds, weight 0 … 1), joined by lines; strength: of the pull.

    period: seconds after which the curve begins anew, as a seamless loop's source does; None: it does not.
    """

    points: tuple[tuple[float, float], ...]
    strength: float
    period: float | None = None


@dataclass(frozen=True)
class FinishPlan:
    """What is done to the audio once it is made, and the file it becomes."""

    align: bool = False
    normalize: Literal["peak", "loudness", "none"] = "peak"
    target_lufs: float = -14.0
    format: Format = "wav"
    bit_depth: Literal[16, 24, 32] = 16


@dataclass(frozen=True)
class GenerationPlan:
    """What will be done, with nothing left to parse or decide.

    seconds_total: what the model is told of the length; samples: what is returned. bpm: as told to the model.
    steps: as asked; guidance: 1 is none; seed: 0 … 2^32-1.
    source: audio the run starts from, noised to ``init_noise_level``, or (with ``keep``) is led by.
    tail: samples after the loop's end that are made too, for the join.
    """

    original_prompt: str
    words: Words
    seconds_total: float
    samples: int
    bpm: Fraction | None
    loop: Loop | None
    seed: int
    steps: int
    guidance: float
    sampler: str
    warnings: tuple[str, ...] = ()
    source: Source | None = None
    init_noise_level: float = 1.0
    keep: Keep | None = None
    riff: RiffUse | None = None
    tail: int = 0
    finish: FinishPlan = FinishPlan()

    @property
    def made_samples(self) -> int:
        """Samples that are decoded: what is returned, and what the join at the seam takes."""
        return self.samples + self.tail


def plan_request(request: GenerationRequest, limits: ModelLimits) -> GenerationPlan:
    """Plan any request, without its source. Raises InvalidInput and Impossible."""
    match request:
        case GuidedLoopRequest():
            return plan_guided(request, limits)
        case LoopRequest():
            return plan_loop(request, limits)
        case StyleRequest():
            return plan_style(request, limits)
        case _:
            return plan_audio(request, limits)


def with_source(plan: GenerationPlan, source: Source, strength: float, riff: RiffUse | None = None) -> GenerationPlan:
    """The plan as a style transfer from a source; one that keeps its source where a mask says is led by it instead."""
    warnings = plan.warnings if source.audio.any() else (*plan.warnings, "the source audio is silent")
    level = 1.0 if plan.keep else strength
    if plan.tail:
        source = replace(source, audio=_lapped(source.audio, plan.samples))
    return replace(plan, source=source, init_noise_level=level, riff=riff, warnings=warnings)


def _lapped(audio: NDArray[np.float32], samples: int) -> NDArray[np.float32]:
    """A loop of ``samples`` samples and, after it, its own beginning: what a seamless loop goes on with."""
    lap = np.pad(audio[:, :samples], ((0, 0), (0, max(0, samples - audio.shape[1]))))
    return np.tile(lap, 2)


def plan_style(request: StyleRequest, limits: ModelLimits) -> GenerationPlan:
    """Plan a style transfer: as ``/generate``, but the model is always told of the whole window."""
    return replace(plan_audio(request, limits), seconds_total=limits.whole_seconds)


def plan_guided(request: GuidedLoopRequest, limits: ModelLimits) -> GenerationPlan:
    """Plan a loop that keeps its source where the mask says. Raises InvalidInput for a model that cannot be led so."""
    if not limits.can_be_guided:
        raise InvalidInput(
            "guided loops need a model of a rectified flow; the model that is loaded has another objective",
            field="finetune_repo" if request.model_type == "finetune" else "model_type",
        )
    plan = plan_loop(request, limits)
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
