"""A loop whose source is a riff of the personal library."""

from __future__ import annotations

from typing import Annotated

from loopwright.kinds.fields import (
    KEY_ALLOWED,
    LOOP_TYPES_ALLOWED,
    MAX_STEPS,
    STEPS_ALLOWED,
    KeyField,
    Number,
    Word,
    field,
)
from loopwright.kinds.kind import Kind
from loopwright.kinds.loop import LoopRequest, plan_loop
from loopwright.music.prompt import LoopType


class RiffLoopRequest(LoopRequest):
    """A request to ``/generate/loop-with-riff``."""

    key: KeyField = field(
        ...,
        KEY_ALLOWED,
        "The key of the riff, such as A, F#m, Bb major or gsharp. Riffs are kept by their root: "
        "`gsharp`, `G#`, `Ab` and `G# minor` are one key here.",
    )
    transpose: bool = field(
        False,
        "true or false",
        "Where there is no riff in the key, move the nearest key's riff to it.",
    )
    loop_type: Annotated[LoopType, Word] = field(
        "instruments",
        LOOP_TYPES_ALLOWED,
        "`drums` keeps tones out, `instruments` keeps drums out.",
    )
    steps: Annotated[int, Number] | None = field(
        8, STEPS_ALLOWED, "Denoising steps.", ge=1, le=MAX_STEPS
    )
    cfg_scale: Annotated[float, Number] | None = field(
        1.0, "a number from 0 to 20", "Scale of classifier-free guidance.", ge=0, le=20
    )


RIFF = Kind(
    name="loop-with-riff",
    path="/generate/loop-with-riff",
    summary="Loops from the personal riff library",
    description="Choose a riff in the key (the same seed chooses the same), stretch it to the "
    "tempo, and use it as the source of a style transfer.",
    request=RiffLoopRequest,
    plan=plan_loop,
    source="riff",
    file_name="riff_{key}_{loop_type}_{bpm}bpm_{bars}bars_{seed}",
)
