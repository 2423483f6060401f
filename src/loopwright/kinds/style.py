"""Style transfer: audio made anew in the words of a prompt."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from loopwright.kinds.audio import plan_audio
from loopwright.kinds.fields import STRENGTH_ALLOWED, Number, field
from loopwright.kinds.kind import Kind
from loopwright.kinds.request import GenerationRequest
from loopwright.planning.plan import GenerationPlan, ModelLimits

STYLE_STRENGTH = field(
    0.8,
    STRENGTH_ALLOWED,
    "How far a style transfer goes from the source audio (the init noise level): 0.1 stays close, "
    "1.0 keeps nothing.",
    ge=0.1,
    le=1.0,
)


class StyleRequest(GenerationRequest):
    """A request to ``/generate/style-transfer``."""

    style_strength: Annotated[float, Number] = STYLE_STRENGTH


def plan_style(request: StyleRequest, limits: ModelLimits) -> GenerationPlan:
    """Plan a style transfer: as ``/generate``, but the model is told of the whole window.

    Raises:
        InvalidInput: As ``plan_audio`` does.
    """
    return replace(
        plan_audio(request, limits),
        seconds_total=limits.whole_seconds,
        init_noise_level=request.style_strength,
    )


STYLE = Kind(
    name="style-transfer",
    path="/generate/style-transfer",
    summary="Audio-to-audio style transfer",
    description="Make the audio sent anew, in the words of the prompt. Mono becomes stereo; what "
    "is longer than the window is cut.",
    request=StyleRequest,
    plan=plan_style,
    source="required",
    file_name="style_transfer_{seed}_{created}",
)
