"""Text to audio of any length, and the part of planning that all kinds have in common."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from loopwright.audio.formats.table import FORMATS
from loopwright.errors import InvalidInput, one_of, shown
from loopwright.kinds.kind import Kind
from loopwright.kinds.request import GenerationRequest
from loopwright.music.prompt import Words
from loopwright.music.tempo import BPM_ALLOWED, bpm_number, find_tempo
from loopwright.planning.plan import GenerationPlan, ModelLimits, OutputPlan
from loopwright.planning.tempo_in_prompt import drop_unplayable_tempi, unplayable_tempi

MIN_SECONDS = 1

R = TypeVar("R", bound=GenerationRequest)


def plan_audio(request: GenerationRequest, limits: ModelLimits) -> GenerationPlan:
    """Plan ``seconds_total`` seconds of audio, or the model's whole window.

    Raises:
        InvalidInput: With ``strict``, a length, sampler or number of steps that the model does not
            take.
    """
    request, changes = clamp(request, limits)
    plan = plan_window(request, changes, limits)
    if plan.bpm is None and limits.default_bpm is not None:
        bpm = bpm_number(limits.default_bpm)
        warning = f"no tempo in the prompt; made at {bpm} bpm: name one there, such as `{bpm}bpm`"
        plan = plan.with_warnings(warning)
    if request.seconds_total is None:
        return plan
    samples = min(round(request.seconds_total * limits.sample_rate), limits.window_samples)
    return replace(plan, seconds_total=request.seconds_total, samples=samples)


def plan_window(
    request: GenerationRequest, warnings: tuple[str, ...], limits: ModelLimits
) -> GenerationPlan:
    """Plan the model's whole window, for a request that is clamped to its limits.

    Args:
        request: The request.
        warnings: What was changed in the request to clamp it.
        limits: The model's limits.

    Raises:
        InvalidInput: The format cannot have as many bits per sample.
    """
    prompt = drop_unplayable_tempi(request.prompt)
    tempo = find_tempo(prompt)
    cfg_scale = limits.default_cfg_scale if request.cfg_scale is None else request.cfg_scale
    depths = FORMATS[request.format].bit_depths
    if depths and request.bit_depth not in depths:
        raise InvalidInput(
            f"bit_depth must be {one_of(depths)} with format {request.format}, "
            f"got {request.bit_depth}",
            field="bit_depth",
        )
    output = OutputPlan(
        normalize=request.normalize,
        target_lufs=request.target_lufs,
        format=request.format,
        bit_depth=request.bit_depth,
    )
    return GenerationPlan(
        original_prompt=request.prompt,
        words=Words(prompt, request.negative_prompt),
        seconds_total=limits.whole_seconds,
        samples=limits.window_samples,
        bpm=None if tempo is None else tempo.playable,
        loop=None,
        seed=request.seed,
        steps=limits.default_steps if request.steps is None else request.steps,
        cfg_scale=cfg_scale,
        sampler=request.sampler_type or limits.samplers[0],
        warnings=(*warnings, *_warnings(request, cfg_scale)),
        output=output,
    )


def clamp(request: R, limits: ModelLimits) -> tuple[R, tuple[str, ...]]:
    """Replace what the model cannot take by what comes nearest, with a warning for each change.

    Clients keep the settings of one model when another is loaded, so this is no mistake of theirs.

    Raises:
        InvalidInput: With ``strict``, where there is anything to replace.
    """
    steps, sampler, seconds = request.steps, request.sampler_type, request.seconds_total
    replacements: dict[str, object] = {}
    allowed: dict[str, str] = {}
    if steps is not None and steps > limits.max_steps:
        replacements["steps"] = limits.max_steps
        allowed["steps"] = f"a whole number from 1 to {limits.max_steps} with this model"
    if sampler is not None and sampler not in limits.samplers:
        replacements["sampler_type"] = limits.samplers[0]
        allowed["sampler_type"] = f"one of {', '.join(limits.samplers)} with this model"
    if seconds is not None and not MIN_SECONDS <= seconds <= limits.whole_seconds:
        replacements["seconds_total"] = min(max(seconds, MIN_SECONDS), limits.whole_seconds)
        window = f"the model's window is {float(limits.window_seconds):.2f} s"
        range_ = f"a number from {MIN_SECONDS} to {limits.whole_seconds}"
        allowed["seconds_total"] = f"{range_} ({window})"
    warnings = []
    for name, replacement in replacements.items():
        sentence = f"{name} must be {allowed[name]}, got {shown(getattr(request, name))}"
        if request.strict:
            raise InvalidInput(sentence, field=name)
        warnings.append(f"{sentence}; {shown(replacement)} was used")
    return request.model_copy(update=replacements), tuple(warnings)


def _warnings(request: GenerationRequest, cfg_scale: float) -> list[str]:
    warnings = [
        f"{number} is no tempo and was left out of the prompt; send {BPM_ALLOWED}, such as `120bpm`"
        for number in unplayable_tempi(request.prompt)
    ]
    if request.negative_prompt and cfg_scale == 1:
        warnings.append("negative_prompt has no effect at cfg_scale 1; raise cfg_scale")
    return [*warnings, *FORMATS[request.format].limitations]


AUDIO = Kind(
    name="audio",
    path="/generate",
    summary="Text-to-audio generation",
    description="Make `seconds_total` seconds of audio from a prompt, or the model's whole window.",
    request=GenerationRequest,
    plan=plan_audio,
    source="none",
    file_name="stable_audio_{seed}_{created}",
)
