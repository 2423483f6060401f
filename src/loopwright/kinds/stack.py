"""A stack: parts of one theme that play together, and their mix."""

from __future__ import annotations

import json
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, WithJsonSchema

from loopwright.kinds.fields import KEY_ALLOWED, KeyField, field
from loopwright.kinds.kind import Kind
from loopwright.kinds.loop import LoopRequest, plan_loop

StackPart = Literal["drums", "bass", "chords", "lead"]
STACK_PARTS: tuple[StackPart, ...] = get_args(StackPart)
PART_NAMES = ", ".join(STACK_PARTS)

_NAME = "|".join(STACK_PARTS)
PARTS_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": f"^ *({_NAME})( *, *({_NAME}))* *$"},
        {"type": "array", "items": {"enum": list(STACK_PARTS)}, "minItems": 1},
        {
            "type": "object",
            "propertyNames": {"enum": list(STACK_PARTS)},
            "additionalProperties": {"type": ["string", "null"]},
            "minProperties": 1,
        },
    ]
}


def _read_parts(value: object) -> object:
    """Read ``drums,bass``, a list of names, or an object of prompts by name."""
    if isinstance(value, str):
        is_json = value.lstrip().startswith(("[", "{"))
        value = json.loads(value) if is_json else value.split(",")
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return dict.fromkeys(name.strip().lower() for name in value)
    return value


class StackRequest(LoopRequest):
    """A request to ``/generate/stack``."""

    parts: Annotated[
        dict[StackPart, str | None], BeforeValidator(_read_parts), WithJsonSchema(PARTS_SCHEMA)
    ] = field(
        # names, not prompts by name: OpenAPI leaves out all that is null, and would show no part
        list(STACK_PARTS),
        f"a list of some of {PART_NAMES}, or an object with a prompt (or null) for each",
        f"Which parts: some of {PART_NAMES}, as a list or as `drums,bass`; or an object with a "
        "prompt of its own (or null) for each.",
        min_length=1,
        validate_default=True,
    )
    key: KeyField | None = field(
        None,
        KEY_ALLOWED,
        "The key the tonal parts are asked to be in, such as A, F#m, Bb major or gsharp.",
    )


def part_requests(request: StackRequest) -> dict[str, LoopRequest]:
    """Return the request of each part: its own prompt, or the theme and the part's name.

    Raises:
        InvalidInput: A part's prompt is empty or too long: the part's name makes the theme longer.
    """
    fields = {name: getattr(request, name) for name in LoopRequest.model_fields}
    requests: dict[str, LoopRequest] = {}
    for part, own_prompt in request.parts.items():
        is_tonal = part != "drums"
        in_key = f" in {request.key.written}" if request.key and is_tonal else ""
        changes = {
            "prompt": own_prompt or f"{request.prompt} {part}{in_key}",
            "loop_type": "instruments" if is_tonal else "drums",
            "n": 1,
        }
        requests[part], _ = LoopRequest.parse({**fields, **changes})
    return requests


STACK = Kind(
    name="stack",
    path="/generate/stack",
    summary="Loops that play together, and their mix",
    description="Make parts of one theme at one tempo, and their mix: a zip, or `results` with a "
    "`part` each (the mix first).",
    request=StackRequest,
    plan=plan_loop,
    source="none",
    file_name="stack_{part}_{bpm}bpm_{bars}bars_{seed}",
    parts=part_requests,
)
