"""What came of a request: the audio, how it was made, and the file it becomes.

Knows: a plan, the model that carried it out, the audio. Does not know: HTTP, the command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from loopwright import __version__
from loopwright.audio.formats.base import FileContent, OutputFormat
from loopwright.audio.formats.table import FORMATS
from loopwright.audio.formats.tags import MIDDLE_C, Tags
from loopwright.audio.types import Audio
from loopwright.engine.base import ModelInfo
from loopwright.generation.postprocess import ProcessedAudio
from loopwright.kinds.kind import Kind
from loopwright.music.tempo import BEATS_PER_BAR, bpm_number
from loopwright.planning.plan import GenerationPlan
from loopwright.serving.active_run import Timings


@dataclass(frozen=True)
class Redrawn:
    """What was done about a take that came out as silence or noise.

    Attributes:
        seed: The seed of that take.
        attempts: How often the plan was carried out, the first time included.
        without_source: Whether the take that counts was freed of its source, unlike the first.
    """

    seed: int
    attempts: int
    without_source: bool = False

    def warning(self, seed: int, processed: ProcessedAudio) -> str:
        """Return what the client should know.

        Args:
            seed: The seed of the take that counts.
            processed: Its audio.
        """
        if not processed.is_music:
            how = "silent" if processed.silent else "as noise"
            return (
                f"seed {self.seed} came out {how}, and {self.attempts - 1} other seeds were no "
                "better: ask for something else in prompt, negative_prompt or loop_type"
            )
        freely = ", free from its source (style_strength 1.0)" if self.without_source else ""
        return (
            f"seed {self.seed} came out silent or as noise, so the audio was drawn again with "
            f"seed {seed}{freely}"
        )


@dataclass(frozen=True)
class Generation:
    """One take: the audio, and all that is known of how it was made.

    Attributes:
        kind: The kind of generation that was asked for.
        processed: The audio, [2, plan.samples] within ±1, and its measures.
        plan: What was done.
        info: The model that did it.
        timings: Seconds by stage.
        created: Seconds since 1970.
        generation_time: Seconds from request to result, waiting included.
        post_seconds: Seconds of what was done to the audio after decoding.
        part: The part of a stack that it is, or ``mix``.
        asked: The request's fields, so that the metadata can be sent back as a request.
        redrawn: What was done about a take before this one; None: it is the first.
        gpu_memory: In GB, by the metadata's names.
    """

    kind: Kind[Any]
    processed: ProcessedAudio
    plan: GenerationPlan
    info: ModelInfo
    timings: Timings
    created: int
    generation_time: float = 0.0
    post_seconds: float = 0.0
    part: str | None = None
    asked: Mapping[str, object] = field(default_factory=dict)
    redrawn: Redrawn | None = None
    gpu_memory: Mapping[str, float] = field(default_factory=dict)

    @property
    def audio(self) -> Audio:
        """The audio, [2, plan.samples]."""
        return self.processed.audio

    @property
    def sample_rate(self) -> int:
        """The audio's sample rate in Hz."""
        return self.info.limits.sample_rate

    @property
    def duration(self) -> float:
        """The audio's length in seconds."""
        return int(self.audio.shape[1]) / self.sample_rate

    @property
    def warnings(self) -> tuple[str, ...]:
        """All that the client should know."""
        return (*self.plan_warnings, *self.processed.warnings)

    @property
    def plan_warnings(self) -> tuple[str, ...]:
        """Warnings of the plan and of how it was carried out, but not of the audio."""
        if self.redrawn is None:
            return self.plan.warnings
        return (*self.plan.warnings, self.redrawn.warning(self.plan.seed, self.processed))

    @property
    def _format(self) -> OutputFormat:
        return FORMATS[self.plan.output.format]

    @property
    def media_type(self) -> str:
        """The media type of the file."""
        return self._format.media_type

    def encoded(self) -> bytes:
        """Return the file. Its bytes depend on the plan and the audio alone."""
        content = FileContent(
            self.audio,
            self.sample_rate,
            self.tags(),
            self.plan.output.bit_depth,
            dither_seed=self.plan.seed,
        )
        return self._format.encode(content)

    def tags(self) -> Tags:
        """Return what the file says of itself."""
        plan, loop, riff = self.plan, self.plan.loop, self.plan.riff
        prompt = plan.words.prompt
        return Tags(
            title=prompt,
            comment=f"prompt: {prompt}; seed: {plan.seed}; model: {self.info.name}",
            software=f"Loopwright {__version__}",
            bpm=None if loop is None else float(loop.bpm),
            beats=None if loop is None else loop.bars * BEATS_PER_BAR,
            key=None if riff is None else riff.key.written,
            root_note=None if riff is None else MIDDLE_C + riff.key.root,
        )

    def file_name(self) -> str:
        """Return a name that says what the file is, by the template of its kind."""
        plan, loop = self.plan, self.plan.loop
        names: dict[str, object] = {"seed": plan.seed, "created": self.created, "part": self.part}
        if loop is not None:
            bpm = bpm_number(loop.bpm)
            names |= {"loop_type": loop.loop_type, "bpm": bpm, "bars": loop.bars}
        if plan.riff is not None:
            names["key"] = plan.riff.key.name
        return self.kind.file_name.format(**names) + self._format.extension
