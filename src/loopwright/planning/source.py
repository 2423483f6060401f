"""A plan and its source audio."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from loopwright.audio.loudness import is_silent
from loopwright.planning.plan import GenerationPlan, RiffUse, Source


def with_source(
    plan: GenerationPlan, source: Source, riff: RiffUse | None = None
) -> GenerationPlan:
    """Return the plan with its source audio.

    A plan with a source mask keeps parts of the source; any other is a style transfer from it.

    Args:
        plan: The plan without a source.
        source: The audio. The source of a seamless loop goes round: after the loop's end comes its
            own beginning.
        riff: The riff that the audio is of.
    """
    if is_silent(source.audio):
        plan = plan.with_warnings("the source audio is silent")
    if plan.tail:
        missing = max(0, plan.samples - source.audio.shape[1])
        lap = np.pad(source.audio[:, : plan.samples], ((0, 0), (0, missing)))
        # a lap more than the loop has: the tail, and what an encoder hears after it
        source = replace(source, audio=np.tile(lap, 2), period=plan.samples)
    return replace(plan, source=source, riff=riff)
