"""Requests that begin with a loop: parts of it made new, versions near it, others that play with it."""

from __future__ import annotations

import json
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator

from loopwright.kinds.request import (
    KEY_ALLOWED,
    MAX_SEED,
    MAX_STEPS,
    MAX_VARIATIONS,
    STEPS_ALLOWED,
    KeyField,
    LoopRequest,
    Number,
    field,
)

MAX_SECONDS = 3600

StackPart = Literal["drums", "bass", "chords", "lead"]
STACK_PARTS: tuple[StackPart, ...] = get_args(StackPart)


def _parts(value: object) -> object:
    """`drums,bass`, a list of names, or an object of prompts by name."""
    if isinstance(value, str):
        value = json.loads(value) if value.lstrip().startswith(("[", "{")) else value.split(",")
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return dict.fromkeys(name.strip().lower() for name in value)
    return value


class InpaintRequest(LoopRequest):
    """A request to ``/generate/inpaint``: some bars or seconds of a loop made new, the rest kept."""

    steps: Annotated[int, Number] | None = field(
        50, STEPS_ALLOWED, "Denoising steps.", ge=1, le=MAX_STEPS
    )
    from_bar: Annotated[int, Number] | None = field(
        None,
        "a whole number from 1 to 8",
        "The first bar to make new; bars count from 1.",
        ge=1,
        le=8,
    )
    to_bar: Annotated[int, Number] | None = field(
        None,
        "a whole number from 1 to 8",
        "The last bar to make new. Default: `from_bar`.",
        ge=1,
        le=8,
    )
    from_seconds: Annotated[float, Number] | None = field(
        None,
        "a number from 0",
        "Instead of bars: where what is made new begins.",
        ge=0,
        le=MAX_SECONDS,
    )
    to_seconds: Annotated[float, Number] | None = field(
        None, "a number above from_seconds", "Where it ends.", gt=0, le=MAX_SECONDS
    )


class VariationRequest(LoopRequest):
    """A request to ``/generate/variation``: versions near a loop, sent as audio or named by its seed."""

    style_strength: Annotated[float, Number] = field(
        0.4,
        "a number from 0.1 to 1.0",
        "How far from the loop: 0.1 stays close, 1.0 keeps nothing.",
        ge=0.1,
        le=1,
    )
    n: Annotated[int, Number] = field(
        4,
        f"a whole number from 1 to {MAX_VARIATIONS}",
        "So many versions.",
        ge=1,
        le=MAX_VARIATIONS,
    )
    source_seed: Annotated[int, Number] | None = field(
        None,
        f"a whole number from 0 to {MAX_SEED}",
        "Without audio: the seed of an earlier loop with the same other parameters.",
        ge=0,
        le=MAX_SEED,
    )

    def of_source(self) -> LoopRequest:
        """The earlier loop's request."""
        fields = {name: getattr(self, name) for name in LoopRequest.model_fields}
        return LoopRequest.model_validate(
            {**fields, "seed": self.source_seed, "n": 1, "format": "wav", "bit_depth": 32}
        )


class StackRequest(LoopRequest):
    """A request to ``/generate/stack``: parts of one theme that play together, and their mix."""

    parts: Annotated[dict[StackPart, str | None], BeforeValidator(_parts)] = field(
        dict.fromkeys(STACK_PARTS),
        f"a list of some of {', '.join(STACK_PARTS)}, or an object with a prompt (or null) for each",
        f"Which parts: some of {', '.join(STACK_PARTS)}; as an object, each with a prompt of its own or null.",
        min_length=1,
    )
    key: KeyField | None = field(
        None,
        KEY_ALLOWED,
        "The key the tonal parts are asked to be in, such as A, F#m, Bb major or gsharp.",
    )

    def of_part(self, part: StackPart) -> LoopRequest:
        """Return one part's request: its own prompt, or the theme and the part's name.

        Raises:
            InvalidInput: The part's prompt is empty or too long: the part's name makes the theme longer.
        """
        fields = {name: getattr(self, name) for name in LoopRequest.model_fields}
        in_key = "" if self.key is None or part == "drums" else f" in {self.key.written}"
        prompt = self.parts[part] or f"{self.prompt} {part}{in_key}"
        loop_type = "drums" if part == "drums" else "instruments"
        request, _ = LoopRequest.parse({**fields, "prompt": prompt, "loop_type": loop_type, "n": 1})
        return request
