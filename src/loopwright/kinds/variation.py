"""Variations: versions near a loop, which is sent as audio or named by its seed."""

from __future__ import annotations

from typing import Annotated

from loopwright.kinds.fields import MAX_TAKES, STRENGTH_ALLOWED, Number, field
from loopwright.kinds.kind import Kind
from loopwright.kinds.loop import LoopRequest, plan_loop
from loopwright.planning.plan import MAX_SEED


class VariationRequest(LoopRequest):
    """A request to ``/generate/variation``."""

    style_strength: Annotated[float, Number] = field(
        0.4,
        STRENGTH_ALLOWED,
        "How far from the loop: 0.1 stays close, 1.0 keeps nothing.",
        ge=0.1,
        le=1,
    )
    n: Annotated[int, Number] = field(
        4, f"a whole number from 1 to {MAX_TAKES}", "Number of versions.", ge=1, le=MAX_TAKES
    )
    source_seed: Annotated[int, Number] | None = field(
        None,
        f"a whole number from 0 to {MAX_SEED}",
        "Without audio: the seed of an earlier loop with the same other parameters.",
        ge=0,
        le=MAX_SEED,
    )


def earlier_loop(request: VariationRequest) -> LoopRequest | None:
    """Return the request that made the loop of ``source_seed``; None where none is named."""
    if request.source_seed is None:
        return None
    fields = {name: getattr(request, name) for name in LoopRequest.model_fields}
    lossless = {"format": "wav", "bit_depth": 32}
    return LoopRequest.model_validate({**fields, "seed": request.source_seed, "n": 1, **lossless})


VARIATION = Kind(
    name="variation",
    path="/generate/variation",
    summary="Versions near a loop",
    description="Make `n` loops near the audio sent, or near the earlier loop of `source_seed`.",
    request=VariationRequest,
    plan=plan_loop,
    source="optional",
    file_name="loop_{loop_type}_{bpm}bpm_{bars}bars_{seed}",
    earlier=earlier_loop,
)
