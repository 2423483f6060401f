"""The plans that are tried after one that came out as silence or noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from loopwright.audio.loudness import is_silent
from loopwright.planning.plan import DRAWN_SEEDS, GenerationPlan

MAX_REDRAWS = 3

SEED_STEP = 0x4F1BBCDD
"""From one seed to the next that is tried: DRAWN_SEEDS in the golden section.

So all of them are far from each other, and from the seeds after the first that ``n`` and
``candidates`` use.
"""


def redrawn_plans(plan: GenerationPlan) -> Iterator[GenerationPlan]:
    """Yield the plans to try in turn where one gave silence or noise: the same, with other seeds.

    A style transfer is freed of its source, since a source of which the loop type lets nothing
    through gives silence again and again. A plan that keeps parts of a silent source gives silence
    as asked, and is not tried again.
    """
    if plan.source_mask is not None and plan.source is not None and is_silent(plan.source.audio):
        return
    for number in range(1, MAX_REDRAWS + 1):
        seed = (plan.seed + number * SEED_STEP) % DRAWN_SEEDS
        yield replace(plan, seed=seed, init_noise_level=1.0)
