"""A guided loop: one that keeps its source where a mask says."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from loopwright.errors import InvalidInput
from loopwright.kinds.fields import MAX_STEPS, STEPS_ALLOWED, Number, Word, field
from loopwright.kinds.kind import Kind
from loopwright.kinds.loop import LoopRequest, plan_loop
from loopwright.music.tempo import bar_seconds
from loopwright.planning.plan import GenerationPlan, ModelLimits, SourceMask

EDGE = 1e-6
"""How far apart two points of a mask are that make a step, since lines join its points."""


class GuidedLoopRequest(LoopRequest):
    """A request to ``/generate/loop-guided``."""

    steps: Annotated[int, Number] | None = field(
        50, STEPS_ALLOWED, "Denoising steps.", ge=1, le=MAX_STEPS
    )
    guidance_mask: Annotated[Literal["first_bar", "fade", "full"], Word] = field(
        "fade",
        "`first_bar`, `fade` or `full`",
        "What is kept of your audio: `first_bar`, the first bar; `fade`, less and less towards "
        "the end; `full`, the same share throughout.",
    )
    guidance_strength: Annotated[float, Number] = field(
        1.0,
        "a number from 0 to 10",
        "How strongly the loop is pulled towards your audio; 0 keeps nothing of it.",
        ge=0,
        le=10,
    )
    guidance_start_weight: Annotated[float, Number] = field(
        1.0,
        "a number from 0 to 1",
        "How much is kept at the start: 1 all, 0 nothing. With `full` throughout, with `first_bar` "
        "in the first bar.",
        ge=0,
        le=1,
    )
    guidance_end_weight: Annotated[float, Number] = field(
        0.0,
        "a number from 0 to 1",
        "How much is kept at the end of a `fade`, and with `first_bar` after the first bar.",
        ge=0,
        le=1,
    )


def plan_guided(request: GuidedLoopRequest, limits: ModelLimits) -> GenerationPlan:
    """Plan a loop that keeps its source where the mask says.

    Raises:
        InvalidInput: The model cannot keep parts of a source; or as ``plan_loop`` does.
        Impossible: As ``plan_loop`` does.
    """
    plan, bar, length = plan_masked_loop(request, limits)
    start, end = request.guidance_start_weight, request.guidance_end_weight
    points = {
        "full": ((0.0, start),),
        "fade": ((0.0, start), (length, end)),
        "first_bar": ((bar, start), (bar * (1 + EDGE), end)),
    }[request.guidance_mask]
    period = length if plan.tail else None
    return replace(plan, source_mask=SourceMask(points, request.guidance_strength, period))


def plan_masked_loop(
    request: LoopRequest, limits: ModelLimits
) -> tuple[GenerationPlan, float, float]:
    """Plan a loop that will keep parts of its source.

    Returns:
        The plan, still without a mask, and the seconds of one bar and of the loop.

    Raises:
        InvalidInput: The model cannot keep parts of a source; or as ``plan_loop`` does.
        Impossible: As ``plan_loop`` does.
    """
    if not limits.supports_inpainting:
        raise InvalidInput(
            "keeping parts of a source needs a model of a rectified flow; "
            "the model that is loaded has another objective",
            field="finetune_repo" if request.model_type == "finetune" else "model_type",
        )
    # what is not kept is made from noise alone
    plan = replace(plan_loop(request, limits), init_noise_level=1.0)
    assert plan.loop is not None
    bar = float(bar_seconds(plan.loop.bpm))
    return plan, bar, plan.loop.bars * bar


GUIDED = Kind(
    name="loop-guided",
    path="/generate/loop-guided",
    summary="Loops that keep parts of their source",
    description="Keep your audio where `guidance_mask` says, and make the rest new.",
    request=GuidedLoopRequest,
    plan=plan_guided,
    source="required",
    file_name="guided_loop_{seed}_{created}",
)
