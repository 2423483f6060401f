"""A model of latents, carrying out plans.

Knows: the order in which a run draws its noise (start noise, the encoder's, one draw a step, the decoder's), devices.
Does not know: which model it is or what computes it, queues, HTTP.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from loopwright.engine.base import Batching, ModelInfo, Run, Steps, Task
from loopwright.model.base import (
    Decoding,
    Encoding,
    Gaussian,
    LatentModel,
    LatentSpec,
    Row,
    Sampler,
    TextPrompt,
)
from loopwright.model.cfg import CFG_OFF, apply_cfg
from loopwright.model.inpainting import guide_latents
from loopwright.model.sampling import evaluations, start_sampler
from loopwright.planning.plan import GenerationPlan, SourceMask

GIGABYTE = 1e9

T = TypeVar("T")


class ModelEngine:
    """Carries out plans with a model. Noise is drawn on the CPU, so a seed gives the same audio on every device."""

    def __init__(
        self, model: LatentModel, info: ModelInfo, batching: Batching = Batching()
    ) -> None:
        self.info = info
        self.batching = batching
        self._model: LatentModel | None = model
        self._device = torch.device(info.device)

    def start(self, plan: GenerationPlan) -> Run:
        """A plan to be carried out. Nothing is computed yet."""
        count = evaluations(plan.sampler, plan.steps)
        return Run(self._steps(plan), count, count * (1 if plan.cfg_scale == CFG_OFF else 2))

    @torch.inference_mode()  # a generator's is entered again each time it goes on
    def _steps(self, plan: GenerationPlan) -> Steps:
        """The whole of a run."""
        model, generator = self._loaded, torch.Generator().manual_seed(plan.seed)
        bpm = None if plan.bpm is None else float(plan.bpm)
        text = TextPrompt(plan.words.prompt, plan.words.negative_prompt, plan.seconds_total, bpm)
        positive, negative = yield _work("conditioning", lambda: model.condition(text))
        sampler = yield from self._sampler(plan, generator)
        latents = yield from apply_cfg(sampler, positive, negative, plan.cfg_scale)
        pieces = yield from _decoded(model.decode(latents, plan.made_samples, generator))
        return np.concatenate(pieces, axis=1)

    def _sampler(
        self, plan: GenerationPlan, generator: torch.Generator
    ) -> Generator[Task, Any, Sampler]:
        """The plan's sampler: from noise, from the source noised, or from noise and led by the source."""
        spec, noise = self._loaded.spec, self._noise(generator)

        def more() -> Tensor:
            return self._noise(generator)

        if plan.source is None:
            return start_sampler(plan.sampler, spec, plan.steps, noise, more)
        source = yield from self._encoded(plan)
        if plan.source_mask is None:
            init = source.sample(generator)
            return start_sampler(
                plan.sampler, spec, plan.steps, noise, more, init, plan.init_noise_level
            )
        mask = torch.from_numpy(_curve(plan.source_mask, spec)).to(self._device)
        return guide_latents(
            start_sampler(plan.sampler, spec, plan.steps, noise, more),
            source.mean,
            mask,
            plan.source_mask.strength,
        )

    def _encoded(self, plan: GenerationPlan) -> Generator[Task, Any, Gaussian]:
        """The source's distribution over the whole window.

        Of a source that goes round, only what is heard is encoded; what comes after is its latents once more, to the nearest
        frame, so that the model hears the music go on.
        """
        assert plan.source is not None
        spec = self._loaded.spec
        audio = torch.from_numpy(plan.source.audio).to(self._device)[:, : spec.frames * spec.hop]
        if plan.source.period is None:
            return (yield from _finished(self._loaded.encode(audio, spec.frames)))
        heard = min(-(-plan.made_samples // spec.hop), spec.frames)
        once = yield from _finished(self._loaded.encode(audio, heard))
        lap = min(max(round(plan.source.period / spec.hop), 1), heard)
        frames = torch.arange(spec.frames, device=self._device)
        frames = torch.where(frames < heard, frames, frames % lap)
        return Gaussian(once.mean[:, frames], once.std[:, frames])

    @torch.inference_mode()
    def forward(self, rows: Sequence[Row]) -> Sequence[Tensor]:
        """One forward of the denoiser for all rows."""
        x = torch.stack([row.x for row in rows])
        t = torch.tensor([row.t for row in rows], dtype=x.dtype, device=self._device)
        return self._loaded.denoise(x, t, [row.conditioning for row in rows]).unbind()

    def ignored_words(self, prompt: str, negative_prompt: str | None) -> tuple[str, ...]:
        """Return the words of both prompts that have no effect on the model."""
        return self._loaded.ignored_words(prompt, negative_prompt)

    def gpu_memory(self) -> Mapping[str, float]:
        """What the process uses of the GPU's memory, in GB; empty without one."""
        if self._device.type != "cuda":
            return {}
        used, peak = (
            torch.cuda.memory_allocated(self._device),
            torch.cuda.max_memory_allocated(self._device),
        )
        return {"gpu_memory_used": used / GIGABYTE, "gpu_memory_peak": peak / GIGABYTE}

    def close(self) -> None:
        """Let the model go."""
        self._model = None
        gc.collect()  # a model remembers texts by a function of its own, a circle that would keep gigabytes
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    @property
    def _loaded(self) -> LatentModel:
        if self._model is None:
            raise RuntimeError(f"engine {self.info.key} was used after it was closed")
        return self._model

    def _noise(self, generator: torch.Generator) -> Tensor:
        """Standard normal noise of the latents' shape, [channels, frames]."""
        spec = self._loaded.spec
        return torch.randn(spec.channels, spec.frames, generator=generator).to(self._device)


def _work(stage: Literal["conditioning", "decoding"], do: Callable[[], T]) -> Task:
    """Work that may be done in any thread: inference mode is a thread's own."""

    def inferring() -> T:
        with torch.inference_mode():
            return do()

    return Task(stage, inferring)


def _finished(encoding: Encoding) -> Generator[Task, Any, Gaussian]:
    """What an encoding returns, a piece of its work at a time."""

    def go_on() -> Gaussian | None:
        try:
            next(encoding)
        except StopIteration as end:
            distribution: Gaussian = end.value
            return distribution
        return None

    while True:
        distribution = yield _work("conditioning", go_on)
        if isinstance(distribution, Gaussian):
            return distribution


def _decoded(decoding: Decoding) -> Generator[Task, Any, list[NDArray[np.float32]]]:
    """All pieces of a decoding, one at a time."""

    def one_more() -> NDArray[np.float32] | None:
        piece = next(decoding, None)
        return None if piece is None else piece.float().cpu().numpy()

    pieces = []
    while (piece := (yield _work("decoding", one_more))) is not None:
        pieces.append(piece)
    return pieces


def _curve(source_mask: SourceMask, spec: LatentSpec) -> NDArray[np.float32]:
    """The mask at the centre of each latent frame, [frames]."""
    seconds = (np.arange(spec.frames) + 0.5) * spec.hop / spec.sample_rate
    seconds = seconds if source_mask.period is None else seconds % source_mask.period
    points = np.array(source_mask.points)
    curve: NDArray[np.float32] = np.interp(seconds, points[:, 0], points[:, 1]).astype(np.float32)
    return curve
