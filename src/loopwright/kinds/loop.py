"""A loop: a whole number of bars at a tempo, exact to the sample."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Annotated

from loopwright.audio.seam import tail_samples
from loopwright.errors import Impossible, InvalidInput
from loopwright.kinds.audio import clamp, plan_window
from loopwright.kinds.fields import (
    BARS_ALLOWED,
    LOOP_TYPES_ALLOWED,
    MAX_TAKES,
    Bars,
    Number,
    Word,
    field,
)
from loopwright.kinds.kind import Kind
from loopwright.kinds.request import GenerationRequest
from loopwright.kinds.style import STYLE_STRENGTH
from loopwright.music.prompt import LoopType, words_for
from loopwright.music.tempo import (
    BPM_ALLOWED,
    MAX_BPM,
    MIN_BPM,
    bar_seconds,
    bpm_number,
    find_tempo,
    largest_fitting_bars,
    loop_samples,
)
from loopwright.planning.plan import GenerationPlan, Loop, ModelLimits
from loopwright.planning.tempo_in_prompt import drop_unplayable_tempi, name_tempo


class LoopRequest(GenerationRequest):
    """A request to ``/generate/loop``, and what requests of all kinds of loops have."""

    bpm: Annotated[float, Number] | None = field(
        None,
        BPM_ALLOWED,
        "The tempo in beats per minute, where the prompt does not name it.",
        ge=MIN_BPM,
        le=MAX_BPM,
    )
    bars: Bars = field(
        "auto",
        BARS_ALLOWED,
        "Length in bars of four beats. `auto`: the most that fits the model's window.",
    )
    loop_type: Annotated[LoopType, Word] = field(
        "auto", LOOP_TYPES_ALLOWED, "`drums` keeps tones out, `instruments` keeps drums out."
    )
    style_strength: Annotated[float, Number] = STYLE_STRENGTH
    seamless: bool = field(
        True,
        "true or false",
        "Join the loop's end to its start, so that it repeats with no click. false: a plain cut.",
    )
    align: bool = field(
        True,
        "true or false",
        "Shift a loop onto the beat where all its onsets are early, or all late.",
    )
    candidates: Annotated[int, Number] = field(
        1,
        f"a whole number from 1 to {MAX_TAKES}",
        "Number of loops to make for each that is sent: the one best on the grid and at the seam. "
        "Its seed is in the metadata.",
        ge=1,
        le=MAX_TAKES,
    )

    @property
    def attempts_per_take(self) -> int:
        """How many loops are made for each that is sent."""
        return self.candidates


def plan_loop(request: LoopRequest, limits: ModelLimits) -> GenerationPlan:
    """Plan a whole number of bars at a tempo, to the nearest sample.

    The model is always told of the whole window, so that the music does not end inside the loop.

    Raises:
        InvalidInput: There is no tempo, or there are two; or as ``clamp`` does.
        Impossible: Not even one bar fits the model's window, or with ``strict``, fewer bars than
            asked for.
    """
    bpm = _read_tempo(request)
    loop = _fit(request, bpm, limits)
    clamped, changes = clamp(request.model_copy(update={"seconds_total": None}), limits)
    plan = plan_window(clamped, changes, limits)

    samples = loop_samples(loop.bars, bpm, limits.sample_rate)
    room = limits.window_samples - samples
    tail = tail_samples(limits.sample_rate, room) if request.seamless else 0

    prompt = name_tempo(plan.words.prompt, bpm)
    words = words_for(request.loop_type, prompt, request.negative_prompt)
    # without a word, what stood around it may say another tempo: "80 drums bpm"
    prompt = name_tempo(drop_unplayable_tempi(words.prompt), bpm)

    warnings = _warnings(request, loop, limits)
    if request.seamless and tail == 0:
        warnings.append(
            "the loop fills the model's window to the last sample, so its seam is a plain cut"
        )
    return replace(
        plan,
        words=replace(words, prompt=prompt),
        samples=samples,
        tail=tail,
        output=replace(plan.output, align=request.align),
        bpm=bpm,
        loop=loop,
        init_noise_level=request.style_strength,
        warnings=(*plan.warnings, *warnings),
    )


def _read_tempo(request: LoopRequest) -> Fraction:
    """Return the one tempo asked for.

    The prompt's number counts as it is written. A float is taken as the decimal it prints as: 92.3
    is 923/10. The two agree if they are the same float, since metadata gives a tempo back as one.
    """
    named = find_tempo(request.prompt)
    given = None if request.bpm is None else Fraction(str(request.bpm))
    if named is None:
        if given is None:
            raise InvalidInput(
                f"no tempo: put one into the prompt (`… 120bpm`) or give bpm, {BPM_ALLOWED}",
                field="bpm",
                code="missing_parameter",
            )
        return given
    playable = named.playable
    if given is not None and (playable is None or float(playable) != request.bpm):
        raise InvalidInput(
            f"bpm is {bpm_number(given)} but the prompt says {named.shown}; "
            "give one tempo, or the same twice",
            field="bpm",
        )
    if playable is None:
        raise InvalidInput(
            f"bpm must be {BPM_ALLOWED}, in the prompt (`… 120bpm`) or as bpm; "
            f"got {named.shown} in the prompt",
            field="bpm",
        )
    return playable


def _fit(request: LoopRequest, bpm: Fraction, limits: ModelLimits) -> Loop:
    """Return the bars that are made: those asked for, or the most that fit. Raises Impossible."""
    most = largest_fitting_bars(bpm, limits.window_samples, limits.sample_rate)
    window = f"the model's window {float(limits.window_seconds):.2f} s"
    if most is None:
        seconds = float(bar_seconds(bpm))
        raise Impossible(
            f"one bar at {bpm_number(bpm)} bpm is {seconds:.2f} s, {window}", field="bpm"
        )
    if request.bars == "auto":
        return Loop(bpm, most, request.loop_type)
    if request.bars <= most:
        return Loop(bpm, request.bars, request.loop_type)
    if request.strict:
        seconds = float(request.bars * bar_seconds(bpm))
        raise Impossible(
            f"{request.bars} bars at {bpm_number(bpm)} bpm are {seconds:.2f} s, {window}; "
            f"{most} bars fit",
            field="bars",
        )
    return Loop(bpm, most, request.loop_type, requested_bars=request.bars)


def _warnings(request: LoopRequest, loop: Loop, limits: ModelLimits) -> list[str]:
    warnings = []
    if request.seconds_total is not None:
        warnings.append("seconds_total has no effect on a loop, whose length is its bars")
    if loop.requested_bars is not None:
        warnings.append(
            f"{loop.requested_bars} bars at {bpm_number(loop.bpm)} bpm do not fit the model's "
            f"window of {float(limits.window_seconds):.2f} s; made {loop.bars}"
        )
    return warnings


LOOP = Kind(
    name="loop",
    path="/generate/loop",
    summary="BPM-aware loop generation (text or style transfer)",
    description="Make a loop of a whole number of bars at a tempo, which the prompt names "
    "(`… 140bpm`) or `bpm` gives. With audio it is a style transfer from that.",
    request=LoopRequest,
    plan=plan_loop,
    source="optional",
    file_name="loop_{loop_type}_{bpm}bpm_{bars}bars_{seed}",
)
