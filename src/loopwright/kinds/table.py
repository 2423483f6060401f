"""All kinds of generation. Endpoints, OpenAPI, ``/model/info`` and the command line follow it."""

from __future__ import annotations

from typing import Any

from loopwright.errors import InvalidInput, shown
from loopwright.kinds.audio import AUDIO
from loopwright.kinds.guided import GUIDED
from loopwright.kinds.inpaint import INPAINT
from loopwright.kinds.kind import Kind
from loopwright.kinds.loop import LOOP
from loopwright.kinds.request import GenerationRequest
from loopwright.kinds.riff import RIFF
from loopwright.kinds.stack import STACK
from loopwright.kinds.style import STYLE
from loopwright.kinds.variation import VARIATION
from loopwright.planning.plan import GenerationPlan, ModelLimits

KINDS: tuple[Kind[Any], ...] = (
    AUDIO,
    STYLE,
    LOOP,
    RIFF,
    GUIDED,
    VARIATION,
    INPAINT,
    STACK,
)

KIND_NAMES = [kind.name for kind in KINDS]

_BY_REQUEST = {kind.request: kind for kind in KINDS}


def kind_of(request: GenerationRequest) -> Kind[Any]:
    """Return the kind that a request asks for."""
    return _BY_REQUEST[type(request)]


def kind_named(name: str) -> Kind[Any]:
    """Return the kind of a name.

    Raises:
        InvalidInput: There is none; the message lists the names.
    """
    for kind in KINDS:
        if kind.name == name:
            return kind
    raise InvalidInput(
        f"kind must be one of {', '.join(KIND_NAMES)}, got {shown(name)}", field="kind"
    )


def plan_request(request: GenerationRequest, limits: ModelLimits) -> GenerationPlan:
    """Plan a request of any kind, without its source. Raises InvalidInput and Impossible."""
    return kind_of(request).plan(request, limits)
