"""A plan and its source audio."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from loopwright.audio.loudness import is_silent
from loopwright.audio.types import Audio
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
        source = replace(source, audio=_repeat(source.audio, plan.samples), period=plan.samples)
    return replace(plan, source=source, riff=riff)


def _repeat(audio: Audio, samples: int) -> Audio:
    """Return the first ``samples`` samples of audio twice, with silence where it is shorter."""
    missing = max(0, samples - audio.shape[1])
    lap = np.pad(audio[:, :samples], ((0, 0), (0, missing)))
    return np.tile(lap, 2)
