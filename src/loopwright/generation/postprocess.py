"""What is done to audio after the model has made it, in order, and what is measured.

Knows: the order. Does not know: how each step is done (``audio``), or who asked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from loopwright.audio.grid import Grid, align, measure_grid
from loopwright.audio.loudness import is_noise, is_silent, normalize
from loopwright.audio.seam import Seam, join, measure_seam
from loopwright.audio.types import Audio
from loopwright.planning.plan import GenerationPlan


@dataclass(frozen=True)
class ProcessedAudio:
    """Audio as it is sent, and its measures.

    Attributes:
        audio: [2, plan.samples].
        seam: The join of a loop's end to its start; None: it is no loop.
        grid: Where a loop's onsets lie on the sixteenths; None: it is no loop.
        shifted_ms: By how much a loop was late, and was moved.
        silent: Whether there is nothing to hear; the audio is then left as it is.
        noise: Whether a loop of drums or instruments came out as noise alone.
        warnings: What the client should know of the audio.
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
    """Join, align, level and measure audio as the model made it.

    Args:
        audio: [2, plan.samples + plan.tail].
        plan: The plan it was made for.
        sample_rate: Hz.
    """
    audio = join(audio, plan.samples)
    grid, shifted = None, 0.0
    if plan.loop is not None:
        bpm = float(plan.loop.bpm)
        grid = measure_grid(audio, sample_rate, bpm)
        if plan.output.align:
            audio, shifted = align(audio, sample_rate, bpm, grid)
            grid = measure_grid(audio, sample_rate, bpm) if shifted else grid
    silent = is_silent(audio)
    # nobody who asks for drums or instruments means hiss; without a loop type it may be meant
    has_type = plan.loop is not None and plan.loop.loop_type != "auto"
    noise = has_type and not silent and is_noise(audio)
    warnings: tuple[str, ...] = ("the model made silence, left as it is",)
    if not silent:
        output = plan.output
        audio, warnings = normalize(audio, output.normalize, sample_rate, output.target_lufs)
    seam = None if plan.loop is None else measure_seam(audio, sample_rate)
    return ProcessedAudio(audio, seam, grid, shifted, silent, noise, warnings)


def score(processed: ProcessedAudio) -> float:
    """Return how good a loop is among candidates; higher is better.

    The best loops are on the grid, with a seam no louder than the loop's own changes. Silence and
    noise are the worst.
    """
    if not processed.is_music:
        return -math.inf
    grid, seam = processed.grid, processed.seam
    if grid is None or seam is None:
        return 0.0
    loud_seam = math.log2(max(1.0, seam.jump / 4))
    return grid.share_on_grid * grid.confidence - 0.1 * loud_seam
