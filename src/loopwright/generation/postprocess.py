"""What is done to audio after the model has made it: joined at the seam, moved to the grid, brought to a level; and measured.

Knows: the order. Does not know: how each is done (``audio``), who asked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from loopwright.audio.grid import Grid, align, measure_grid
from loopwright.audio.loudness import is_noise, is_silent, normalized
from loopwright.audio.seam import Seam, join, measure_seam
from loopwright.audio.types import Audio
from loopwright.planning.plan import GenerationPlan


@dataclass(frozen=True)
class ProcessedAudio:
    """Audio as it is sent, and its measures.

    audio: [2, plan.samples]. seam, grid: of a loop. shifted_ms: by how much it was late, and was moved.
    silent: whether the model made nothing that can be heard; the audio is then left as it is.
    noise: whether a loop of drums or instruments came out as noise alone.
    """

    audio: Audio
    seam: Seam | None = None
    grid: Grid | None = None
    shifted_ms: float = 0.0
    silent: bool = False
    noise: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def is_music(self) -> bool:
        """Whether there is more in it than silence or noise."""
        return not (self.silent or self.noise)


def postprocess(audio: Audio, plan: GenerationPlan, sample_rate: int) -> ProcessedAudio:
    """Join, align, level and measure audio as the model made it, [2, plan.samples + plan.tail]."""
    audio = join(audio, plan.samples)
    grid, shifted = None, 0.0
    if plan.loop is not None:
        bpm = float(plan.loop.bpm)
        grid = measure_grid(audio, sample_rate, bpm)
        if plan.output.align:
            audio, shifted = align(audio, sample_rate, bpm, grid)
            grid = measure_grid(audio, sample_rate, bpm) if shifted else grid
    silent = is_silent(audio)
    # who asks for drums or instruments does not mean hiss; without a loop type it may be meant
    has_type = plan.loop is not None and plan.loop.loop_type != "auto"
    noise = has_type and not silent and is_noise(audio)
    if silent:
        warnings: tuple[str, ...] = ("the model made silence, left as it is",)
    else:
        audio, warnings = normalized(
            audio, plan.output.normalize, sample_rate, plan.output.target_lufs
        )
    seam = None if plan.loop is None else measure_seam(audio, sample_rate)
    return ProcessedAudio(audio, seam, grid, shifted, silent, noise, warnings)


def score(finished: ProcessedAudio) -> float:
    """Return how good a loop is among candidates; more is better.

    The best are on the grid, with a seam no louder than the loop's own changes. Silence is the worst.
    """
    if not finished.is_music:
        return -math.inf
    if finished.grid is None or finished.seam is None:
        return 0.0
    return finished.grid.share_on_grid * finished.grid.confidence - 0.1 * math.log2(
        max(1.0, finished.seam.jump / 4)
    )
