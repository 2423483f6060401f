"""What came of a request: audio, and all that is said about it. Metadata, headers and file names are made here only.

Knows: a plan, the model that carried it out, the audio. Does not know: HTTP, how files are written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from loopwright import __version__
from loopwright.audio.formats.base import FileContent, OutputFormat
from loopwright.audio.formats.table import FORMATS
from loopwright.audio.formats.tags import MIDDLE_C, Tags
from loopwright.audio.types import Audio
from loopwright.engine.base import ModelInfo
from loopwright.generation.postprocess import ProcessedAudio
from loopwright.music.tempo import BEATS_PER_BAR, bar_seconds, bpm_number, loop_samples
from loopwright.planning.plan import GenerationPlan, Loop
from loopwright.serving.active_run import Timings

Metadata = dict[str, object]

NOT_OF_ONE_TAKE = frozenset(["n", "candidates", "return_format"])
"""Fields of a request that say how many takes are made and sent how, not what one of them is."""


@dataclass(frozen=True)
class Redrawn:
    """What was done about a take that was silence or noise.

    seed: its own; attempts: how often the plan was carried out, the first time included.
    release_pages: whether the take that counts left its source, which the first one followed.
    """

    seed: int
    attempts: int
    release_pages: bool = False

    def sentence(self, seed: int, finished: ProcessedAudio) -> str:
        """Return what the client should know. seed: of the take that counts, which is finished."""
        if not finished.is_music:
            how = "silent" if finished.silent else "as noise"
            return (
                f"seed {self.seed} came out {how}, and {self.attempts - 1} other seeds were no better: "
                "ask for something else in prompt, negative_prompt or loop_type"
            )
        freely = ", free from its source (style_strength 1.0)" if self.release_pages else ""
        return f"seed {self.seed} came out silent or as noise, so the audio was drawn again with seed {seed}{freely}"


@dataclass(frozen=True)
class Generation:
    """finished: the audio, [2, plan.samples] within ±1, and its measures. created: seconds since 1970.

    part: of a stack, or its ``mix``. asked: the request's fields, so that the metadata can be sent back as one.
    redrawn: where a take before this one was silent.
    generation_time: seconds, waiting included; post_seconds: of what was done to the audio after decoding.
    """

    finished: ProcessedAudio
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
        """[2, plan.samples]."""
        return self.finished.audio

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the client should know."""
        return (*self.said_of_making, *self.finished.warnings)

    @property
    def said_of_making(self) -> tuple[str, ...]:
        """Warnings of the plan and of how it was carried out, without those of the finished audio."""
        if self.redrawn is None:
            return self.plan.warnings
        again = self.redrawn.sentence(self.plan.seed, self.finished)
        return (*self.plan.warnings, again)

    @property
    def _format(self) -> OutputFormat:
        return FORMATS[self.plan.output.format]

    @property
    def media_type(self) -> str:
        """Of the file."""
        return self._format.media_type

    def encoded(self) -> bytes:
        """The file. Its bytes depend on the plan and the audio alone."""
        content = FileContent(
            self.audio,
            self.sample_rate,
            self.tags(),
            self.plan.output.bit_depth,
            dither_seed=self.plan.seed,
        )
        return self._format.encode(content)

    def tags(self) -> Tags:
        """What the file says of itself."""
        plan, loop, riff = self.plan, self.plan.loop, self.plan.riff
        return Tags(
            title=plan.words.prompt,
            comment=f"prompt: {plan.words.prompt}; seed: {plan.seed}; model: {self.info.name}",
            software=f"Loopwright {__version__}",
            bpm=None if loop is None else float(loop.bpm),
            beats=None if loop is None else loop.bars * BEATS_PER_BAR,
            key=None if riff is None else riff.key.written,
            root_note=None if riff is None else MIDDLE_C + riff.key.root,
        )

    @property
    def sample_rate(self) -> int:
        """Samples a second."""
        return self.info.limits.sample_rate

    @property
    def duration(self) -> float:
        """Seconds of audio."""
        return int(self.audio.shape[1]) / self.sample_rate

    def metadata(self) -> Metadata:
        """Describe what was made, by the contract's names; sent back as a request, it gives the same audio."""
        of_kind = self._of_audio() if self.plan.loop is None else self._of_loop(self.plan.loop)
        asked = {name: value for name, value in self.asked.items() if name not in NOT_OF_ONE_TAKE}
        return {**asked, **of_kind, **self._of_source(), **self._of_making(), **self._of_device()}

    def headers(self) -> Mapping[str, str]:
        """The metadata that fits into headers."""
        headers = {
            "X-Seed": str(self.plan.seed),
            "X-Duration-Seconds": f"{self.duration:.6f}",
            "X-Generation-Time": f"{self.generation_time:.3f}",
        }
        if self.plan.loop is not None:
            headers |= {
                "X-Bpm": str(bpm_number(self.plan.loop.bpm)),
                "X-Bars": str(self.plan.loop.bars),
            }
        return headers

    def summary(self) -> Metadata:
        """The plan in short, the model, and seconds by stage: for the log."""
        plan, timings = self.plan, self.timings
        return {
            "model": self.info.name,
            "seed": plan.seed,
            "steps": plan.steps,
            "cfg_scale": plan.cfg_scale,
            "sampler": plan.sampler,
            "samples": plan.samples,
            "bpm": None if plan.bpm is None else bpm_number(plan.bpm),
            "bars": None if plan.loop is None else plan.loop.bars,
            "source": plan.source is not None,
            **{f"seconds_{name}": round(seconds, 4) for name, seconds in asdict(timings).items()},
            "seconds_post": round(self.post_seconds, 4),
        }

    def file_name(self) -> str:
        """A name that tells what the file is."""
        plan, seed = self.plan, self.plan.seed
        if plan.loop is None:
            return f"{'style_transfer' if plan.source else 'stable_audio'}_{seed}_{self.created}{self._format.extension}"
        if self.part is not None:
            return f"stack_{self.part}_{bpm_number(plan.loop.bpm)}bpm_{plan.loop.bars}bars_{seed}{self._format.extension}"
        if plan.source_mask is not None:
            return f"guided_loop_{seed}_{self.created}{self._format.extension}"
        of = "loop" if plan.riff is None else f"riff_{plan.riff.key.name}"
        return f"{of}_{plan.loop.loop_type}_{bpm_number(plan.loop.bpm)}bpm_{plan.loop.bars}bars_{seed}{self._format.extension}"

    def _of_audio(self) -> Metadata:
        return {
            "prompt": self.plan.words.prompt,
            "negative_prompt": self.plan.words.negative_prompt,
            "duration_seconds": self.duration,
            # a style transfer is told of the whole window, however much of it is returned
            "seconds_total": self.plan.seconds_total if self.plan.source is None else self.duration,
            "detected_bpm": None if self.plan.bpm is None else bpm_number(self.plan.bpm),
        }

    def _of_loop(self, loop: Loop) -> Metadata:
        said: Metadata = {
            "prompt": self.plan.words.prompt,
            "original_prompt": self.plan.original_prompt,
            "negative_prompt": self.plan.words.negative_prompt,
            "loop_type": loop.loop_type,
            "detected_bpm": bpm_number(loop.bpm),
            "bars": loop.bars,
            "loop_duration_seconds": loop_samples(loop.bars, loop.bpm, self.sample_rate)
            / self.sample_rate,
            "calculated_duration_seconds": float(loop.bars * bar_seconds(loop.bpm)),
            "available_audio_seconds": float(self.info.limits.window_seconds),
            "seconds_per_bar": float(bar_seconds(loop.bpm)),
            "style_transfer": self._is_style_transfer,
            "style_strength": self.plan.init_noise_level if self._is_style_transfer else None,
            "seam": None if self.finished.seam is None else asdict(self.finished.seam),
            "grid": None if self.finished.grid is None else asdict(self.finished.grid),
            "shifted_ms": self.finished.shifted_ms,
        }
        if loop.requested_bars is not None:
            said["requested_bars"] = loop.requested_bars
        return said

    @property
    def _is_style_transfer(self) -> bool:
        return self.plan.source is not None and self.plan.source_mask is None

    def _of_source(self) -> Metadata:
        plan, said = self.plan, Metadata()
        if self.part is not None:
            said |= {"part": self.part}
        if plan.source is not None and plan.riff is None:
            said |= {"input_audio_shape": list(plan.source.shape)}
        if self._is_style_transfer:
            said |= {"style_strength": plan.init_noise_level}
        if plan.riff is not None:
            said |= {
                "key": plan.riff.key.name if plan.riff.key.mode is None else plan.riff.key.written,
                "source": "personal_riff_library",
                "riff": plan.riff.filename,
                "original_bpm": bpm_number(plan.riff.original_bpm),
                "semitones": plan.riff.semitones,
            }
        return said

    def _of_making(self) -> Metadata:
        key, again = self.info.key, self.redrawn
        said: Metadata = {}
        if key.checkpoint is not None:  # with `model_type` alone nobody could ask for it again
            said |= {"finetune_repo": key.source, "finetune_checkpoint": key.checkpoint}
        if again is not None:
            said["redrawn"] = {"seed": again.seed, "attempts": again.attempts}
        return {
            **said,
            "steps": self.plan.steps,
            "cfg_scale": self.plan.cfg_scale,
            "sampler_type": self.plan.sampler,
            "seed": self.plan.seed,
            "sample_rate": self.sample_rate,
            "generation_time": round(self.generation_time, 3),
            "realtime_factor": round(self.duration / self.generation_time, 2),
            "model": self.info.name,
            "model_type": key.type,
            "warnings": list(self.warnings),
        }

    def _of_device(self) -> Metadata:
        info = self.info
        return {
            "device": info.device,
            "engine": info.engine,
            "precision": info.precision,
            **self.gpu_memory,
        }
