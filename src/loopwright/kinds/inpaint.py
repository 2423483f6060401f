"""Inpainting: some bars or seconds of a loop made new, the rest kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from loopwright.errors import InvalidInput
from loopwright.kinds.fields import MAX_STEPS, STEPS_ALLOWED, Number, field
from loopwright.kinds.guided import EDGE, plan_masked_loop
from loopwright.kinds.kind import Kind
from loopwright.kinds.loop import LoopRequest
from loopwright.planning.plan import GenerationPlan, ModelLimits, SourceMask

MAX_SECONDS = 3600
BARS_COUNTED = "a whole number from 1 to 8"

STRENGTH = 10.0
"""The strength of latent guidance; from here on the source alone decides for most of the run."""


class InpaintRequest(LoopRequest):
    """A request to ``/generate/inpaint``."""

    steps: Annotated[int, Number] | None = field(
        50, STEPS_ALLOWED, "Denoising steps.", ge=1, le=MAX_STEPS
    )
    from_bar: Annotated[int, Number] | None = field(
        None, BARS_COUNTED, "The first bar to make new; bars count from 1.", ge=1, le=8
    )
    to_bar: Annotated[int, Number] | None = field(
        None, BARS_COUNTED, "The last bar to make new. Default: `from_bar`.", ge=1, le=8
    )
    from_seconds: Annotated[float, Number] | None = field(
        None,
        "a number from 0",
        "Instead of bars: the second at which the new part begins.",
        ge=0,
        le=MAX_SECONDS,
    )
    to_seconds: Annotated[float, Number] | None = field(
        None,
        "a number above from_seconds",
        "The second at which the new part ends.",
        gt=0,
        le=MAX_SECONDS,
    )


def plan_inpaint(request: InpaintRequest, limits: ModelLimits) -> GenerationPlan:
    """Plan a loop of which some bars or seconds are made new.

    Raises:
        InvalidInput: The range to make new is empty, ends after the loop or is not named; or as
            ``plan_masked_loop`` does.
        Impossible: As ``plan_loop`` does.
    """
    plan, bar, length = plan_masked_loop(request, limits)
    assert plan.loop is not None
    first, last = request.from_bar, request.to_bar
    start, end = request.from_seconds, request.to_seconds
    if first is not None and start is None and end is None:
        # bars are counted from 1, and the last one is made new too
        start, end = (first - 1) * bar, (last or first) * bar
    elif first is not None or last is not None or start is None or end is None:
        raise InvalidInput(
            "say what is made new: from_bar (and to_bar), or from_seconds and to_seconds",
            field="from_bar",
            code="missing_parameter",
        )
    if not start < end <= length + EDGE:
        raise InvalidInput(
            f"what is made new must begin before it ends, within the loop's {plan.loop.bars} bars "
            f"({length:.2f} s); got {start:.2f} to {end:.2f} s",
            field="from_bar" if request.from_seconds is None else "from_seconds",
        )
    points = ((start, 1.0), (start + EDGE, 0.0), (end, 0.0), (end + EDGE, 1.0))
    mask = SourceMask(points, STRENGTH, length if plan.tail else None)
    return replace(plan, source_mask=mask)


INPAINT = Kind(
    name="inpaint",
    path="/generate/inpaint",
    summary="Some bars of a loop made new",
    description="Make the bars `from_bar` to `to_bar` (or `from_seconds` to `to_seconds`) of the "
    "audio sent new, and keep the rest.",
    request=InpaintRequest,
    plan=plan_inpaint,
    source="required",
    file_name="guided_loop_{seed}_{created}",
)
