"""Plans, and the limits of the model that carries them out: frozen, with nothing left to decide.

Knows: samples, seconds, words. Does not know: how a request becomes a plan (``kinds``), tensors,
threads, HTTP.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Self

from loopwright.audio.formats.table import Format
from loopwright.audio.types import Audio, BitDepth, Normalize
from loopwright.music.key import Key
from loopwright.music.prompt import LoopType, Words

MAX_SEED = 2**32 - 1
DRAWN_SEEDS = 2**31
"""Seeds that are drawn stay below this: clients read them as int32."""


@dataclass(frozen=True)
class ModelLimits:
    """What a model can be asked for.

    Attributes:
        sample_rate: Hz.
        window_samples: The most samples it makes at once.
        samplers: The samplers that fit its objective, the default first.
        default_steps: Denoising steps where a request names none.
        max_steps: Most denoising steps.
        default_cfg_scale: The scale of classifier-free guidance where a request names none.
        supports_inpainting: Whether it can keep parts of a source.
        default_bpm: The tempo it plays at where a prompt names none; None: that is left to it.
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
        """The window in seconds, rounded up: the length a model is told where none is asked for."""
        return math.ceil(self.window_seconds)


@dataclass(frozen=True)
class Loop:
    """The musical length of a loop.

    Attributes:
        bpm: Its tempo.
        bars: Bars of four beats.
        loop_type: What is kept out of it.
        requested_bars: The bars asked for, where they did not fit the window.
    """

    bpm: Fraction
    bars: int
    loop_type: LoopType
    requested_bars: int | None = None


@dataclass(frozen=True)
class Source:
    """Audio that a run starts from, or keeps parts of.

    Attributes:
        audio: [2, samples] at the model's rate.
        shape: [channels, samples] as it was sent.
        period: Samples after which it goes round, as the source of a seamless loop does; None: it
            ends.
    """

    audio: Audio = field(repr=False, compare=False)
    shape: tuple[int, int]
    period: int | None = None


@dataclass(frozen=True)
class RiffUse:
    """The riff of the personal library that is a loop's source.

    Attributes:
        key: The key asked for.
        filename: The riff's file.
        original_bpm: The riff's own tempo.
        semitones: How far it was moved to be in the key.
    """

    key: Key
    filename: str
    original_bpm: Fraction
    semitones: int = 0


@dataclass(frozen=True)
class SourceMask:
    """How much of the source is kept, over time.

    Attributes:
        points: (seconds, weight from 0 to 1), joined by lines.
        strength: Strength of latent guidance, from 0 to 10.
        period: Seconds after which the curve begins anew, as the source of a seamless loop does;
            None: it does not.
    """

    points: tuple[tuple[float, float], ...]
    strength: float
    period: float | None = None


@dataclass(frozen=True)
class OutputPlan:
    """What is done to the audio once it is made, and the file it becomes.

    Attributes:
        align: Whether the loop is moved to the grid.
        normalize: How its level is set.
        target_lufs: The loudness for ``normalize="loudness"``, in LUFS.
        format: The format of the file.
        bit_depth: Bits per sample, where the format has them.
    """

    align: bool = False
    normalize: Normalize = "peak"
    target_lufs: float = -14.0
    format: Format = "wav"
    bit_depth: BitDepth = 16


@dataclass(frozen=True)
class GenerationPlan:
    """What will be done for a request.

    Attributes:
        original_prompt: The prompt as it was sent.
        words: What the model is told.
        seconds_total: The length the model is told of, in seconds.
        samples: The length that is returned, in samples.
        bpm: The tempo the model is told of; None: none.
        loop: The musical length; None: the audio is no loop.
        seed: From 0 to MAX_SEED.
        steps: Denoising steps.
        cfg_scale: Scale of classifier-free guidance; 1 switches it off.
        sampler: Its name.
        warnings: What the client should know of the plan.
        source: Audio that the run starts from, or with ``source_mask`` keeps parts of.
        init_noise_level: How much of the source gives way to noise, above 0 up to 1. Without a
            source it has no effect.
        source_mask: What is kept of the source.
        riff: The riff that the source is of.
        tail: Samples after the loop's end that are made too, for the join at the seam.
        output: What is done to the audio.
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
        """Samples that are decoded: those that are returned, and those that the join takes."""
        return self.samples + self.tail

    @property
    def rows_per_evaluation(self) -> int:
        """Rows per evaluation of the denoiser: 2 with classifier-free guidance, 1 without it."""
        return 1 if self.cfg_scale == 1 else 2

    @property
    def is_style_transfer(self) -> bool:
        """Whether the run starts from its source."""
        return self.source is not None and self.source_mask is None

    def with_warnings(self, *warnings: str) -> Self:
        """Return the plan with more warnings, after its own."""
        return replace(self, warnings=(*self.warnings, *warnings))
