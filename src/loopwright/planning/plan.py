"""What will be done: plans, and the limits of the model that carries them out. Frozen, with nothing left to parse or decide.

Knows: samples, seconds, words. Does not know: how a plan is made (``planner``), tensors, threads, HTTP.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

from loopwright.audio.formats.table import Format
from loopwright.audio.types import Audio, BitDepth, Normalize
from loopwright.music.key import Key
from loopwright.music.prompt import LoopType, Words


@dataclass(frozen=True)
class ModelLimits:
    """What a model can be asked for.

    sample_rate: Hz. window_samples: the most it makes at once. samplers: those that fit its objective, the default first.
    supports_inpainting: whether it can keep parts of a source.
    default_bpm: the tempo it plays at where none is named; None where that is left to it.
    """

    sample_rate: int
    window_samples: int
    samplers: tuple[str, ...]
    default_steps: int
    max_steps: int
    default_cfg_scale: float
    supports_inpainting: bool = True
    default_bpm: Fraction | None = None

    @property
    def window_seconds(self) -> Fraction:
        """The window's exact length in seconds."""
        return Fraction(self.window_samples, self.sample_rate)

    @property
    def whole_seconds(self) -> int:
        """The window in seconds, rounded up: what the model is conditioned on where no other length is asked for."""
        return math.ceil(self.window_seconds)


@dataclass(frozen=True)
class Loop:
    """The musical length of a loop. requested_bars: what was asked for, where it did not fit."""

    bpm: Fraction
    bars: int
    loop_type: LoopType
    requested_bars: int | None = None


@dataclass(frozen=True)
class Source:
    """Audio that a run starts from, or is led by.

    audio: [2, samples] at the model's rate; shape: [channels, samples] as it was sent. period: samples after which the audio
    goes round, as a seamless loop's source does; None: it ends.
    """

    audio: Audio = field(repr=False, compare=False)
    shape: tuple[int, int]
    period: int | None = None


@dataclass(frozen=True)
class RiffUse:
    """A riff of the personal library that is a loop's source. semitones: how far it was moved to be in the key."""

    key: Key
    filename: str
    original_bpm: Fraction
    semitones: int = 0


@dataclass(frozen=True)
class SourceMask:
    """How much of the source is kept where. points: (seconds, weight 0 … 1), joined by lines; strength: of the pull.

    period: seconds after which the curve begins anew, as a seamless loop's source does; None: it does not.
    """

    points: tuple[tuple[float, float], ...]
    strength: float
    period: float | None = None


@dataclass(frozen=True)
class OutputPlan:
    """What is done to the audio once it is made, and the file it becomes."""

    align: bool = False
    normalize: Normalize = "peak"
    target_lufs: float = -14.0
    format: Format = "wav"
    bit_depth: BitDepth = 16


@dataclass(frozen=True)
class GenerationPlan:
    """What will be done, with nothing left to parse or decide.

    seconds_total: what the model is told of the length; samples: what is returned. bpm: as told to the model.
    steps: as asked; guidance: 1 is none; seed: 0 … 2^32-1.
    source: audio the run starts from, noised to ``init_noise_level``, or (with ``keep``) is led by.
    tail: samples after the loop's end that are made too, for the join.
    """

    original_prompt: str
    words: Words
    seconds_total: float
    samples: int
    bpm: Fraction | None
    loop: Loop | None
    seed: int
    steps: int
    cfg_scale: float
    sampler: str
    warnings: tuple[str, ...] = ()
    source: Source | None = None
    init_noise_level: float = 1.0
    source_mask: SourceMask | None = None
    riff: RiffUse | None = None
    tail: int = 0
    output: OutputPlan = OutputPlan()

    @property
    def made_samples(self) -> int:
        """Samples that are decoded: what is returned, and what the join at the seam takes."""
        return self.samples + self.tail

    @property
    def rows_per_evaluation(self) -> int:
        """Rows per evaluation of the denoiser: 2 with classifier-free guidance, 1 without it."""
        return 1 if self.cfg_scale == 1 else 2
