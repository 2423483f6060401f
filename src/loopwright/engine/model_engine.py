"""A model of latents that carries out plans.

Knows: the order in which a plan draws its noise (start noise, the encoder's, one draw per step, the
decoder's), devices. Does not know: which model it is or what computes it, queues, HTTP.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from loopwright.audio.types import Audio
from loopwright.engine.base import Batching, ModelInfo, PlanSteps, Task
from loopwright.model.base import (
    Decoding,
    Encoding,
    Gaussian,
    LatentModel,
    Row,
    Sampler,
    TextPrompt,
)
from loopwright.model.cfg import apply_cfg
from loopwright.model.inpainting import guide_latents
from loopwright.model.sampling import evaluations, start_sampler
from loopwright.planning.plan import GenerationPlan

GIGABYTE = 1e9

ONE_BY_ONE = Batching()
"""Rows in forwards of their own, and nothing in a second thread."""

T = TypeVar("T")


class ModelEngine:
    """An engine that carries out plans with a model of latents.

    Noise is drawn on the CPU, so that a seed gives the same audio on every device.

    Args:
        model: The model, on the device that ``info`` names.
        info: Its facts.
        batching: What is gained by batching and by concurrency.
    """

    def __init__(
        self, model: LatentModel, info: ModelInfo, batching: Batching = ONE_BY_ONE
    ) -> None:
        self.info = info
        self.batching = batching
        self._model: LatentModel | None = model
        self._device = torch.device(info.device)

    def evaluations(self, plan: GenerationPlan) -> int:
        """Return how many times the plan's steps yield rows."""
        return evaluations(plan.sampler, plan.steps)

    @torch.inference_mode()  # a generator's is entered again each time it goes on
    def start(self, plan: GenerationPlan) -> PlanSteps:
        """Carry out a plan step by step; nothing is computed before the first step is taken."""
        model, generator = self._loaded, torch.Generator().manual_seed(plan.seed)
        bpm = None if plan.bpm is None else float(plan.bpm)
        words = plan.words
        text = TextPrompt(words.prompt, words.negative_prompt, plan.seconds_total, bpm)
        positive, negative = yield _task("conditioning", lambda: model.condition(text))
        sampler = yield from self._sampler(plan, generator)
        latents = yield from apply_cfg(sampler, positive, negative, plan.cfg_scale)
        decoding = model.decode(latents, plan.made_samples, generator)
        pieces = yield from _decode_by_tasks(decoding)
        return np.concatenate(pieces, axis=1)

    def _sampler(
        self, plan: GenerationPlan, generator: torch.Generator
    ) -> Generator[Task, Any, Sampler]:
        """Return the plan's sampler, once its source is encoded, where it has one.

        It starts from noise; with a source, from the source noised; with a mask as well, from noise
        and led by the source.
        """
        spec = self._loaded.spec

        def draw() -> Tensor:
            # on the CPU and then moved, so that a seed gives the same noise on every device
            return torch.randn(spec.channels, spec.frames, generator=generator).to(self._device)

        start_noise = draw()  # before the encoder's: the order of the draws is part of the seed
        if plan.source is None:
            return start_sampler(plan.sampler, spec, plan.steps, start_noise, draw)
        source = yield from self._encode_source(plan)
        if plan.source_mask is None:
            init, level = source.sample(generator), plan.init_noise_level
            return start_sampler(plan.sampler, spec, plan.steps, start_noise, draw, init, level)
        # the mask at the centre of each latent frame
        seconds = (np.arange(spec.frames) + 0.5) * spec.hop / spec.sample_rate
        if plan.source_mask.period is not None:
            seconds = seconds % plan.source_mask.period
        points = np.array(plan.source_mask.points)
        weights = np.interp(seconds, points[:, 0], points[:, 1])
        mask = torch.from_numpy(weights.astype(np.float32)).to(self._device)
        sampler = start_sampler(plan.sampler, spec, plan.steps, start_noise, draw)
        # to the mean: what is kept of a source should be the source, not a draw around it
        return guide_latents(sampler, source.mean, mask, plan.source_mask.strength)

    def _encode_source(self, plan: GenerationPlan) -> Generator[Task, Any, Gaussian]:
        """Return the distribution of the source's latents over the whole window.

        Of a source that goes round, only what is heard is encoded; what comes after is its latents
        once more, to the nearest frame, so that the model hears the music go on.
        """
        assert plan.source is not None
        spec = self._loaded.spec
        window = spec.frames * spec.hop
        audio = torch.from_numpy(plan.source.audio).to(self._device)[:, :window]
        if plan.source.period is None:
            return (yield from _encode_by_tasks(self._loaded.encode(audio, spec.frames)))
        heard = min(-(-plan.made_samples // spec.hop), spec.frames)  # rounded up
        once = yield from _encode_by_tasks(self._loaded.encode(audio, heard))
        period = min(max(round(plan.source.period / spec.hop), 1), heard)
        frames = torch.arange(spec.frames, device=self._device)
        frames = torch.where(frames < heard, frames, frames % period)
        return Gaussian(once.mean[:, frames], once.std[:, frames])

    @torch.inference_mode()
    def forward(self, rows: Sequence[Row]) -> Sequence[Tensor]:
        """Evaluate all rows in one forward of the denoiser."""
        x = torch.stack([row.x for row in rows])
        t = torch.tensor([row.t for row in rows], dtype=x.dtype, device=self._device)
        return self._loaded.denoise(x, t, [row.conditioning for row in rows]).unbind()

    def ignored_words(self, prompt: str, negative_prompt: str | None) -> tuple[str, ...]:
        """Return the words of both prompts that have no effect on the model."""
        return self._loaded.ignored_words(prompt, negative_prompt)

    def gpu_memory(self) -> Mapping[str, float]:
        """Return what the process uses of the GPU's memory, in GB; empty without CUDA."""
        if self._device.type != "cuda":
            return {}
        used = torch.cuda.memory_allocated(self._device)
        peak = torch.cuda.max_memory_allocated(self._device)
        return {"gpu_memory_used": used / GIGABYTE, "gpu_memory_peak": peak / GIGABYTE}

    def close(self) -> None:
        """Free the model's memory."""
        self._model = None
        # the model's cache of texts wraps a method of its own, a cycle that would keep gigabytes
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    @property
    def _loaded(self) -> LatentModel:
        if self._model is None:
            raise RuntimeError(f"engine {self.info.key} was used after it was closed")
        return self._model


def _task(stage: Literal["conditioning", "decoding"], do: Callable[[], T]) -> Task:
    """Return a task that may be done in any thread: inference mode is set per thread."""
    return Task(stage, torch.inference_mode()(do))


def _encode_by_tasks(encoding: Encoding) -> Generator[Task, Any, Gaussian]:
    """Yield a task per piece of an encoding; return the distribution it ends with."""

    def encode_piece() -> Gaussian | None:
        try:
            next(encoding)
        except StopIteration as end:
            distribution: Gaussian = end.value
            return distribution
        return None

    while True:
        distribution = yield _task("conditioning", encode_piece)
        if isinstance(distribution, Gaussian):
            return distribution


def _decode_by_tasks(decoding: Decoding) -> Generator[Task, Any, list[Audio]]:
    """Yield a task per piece of a decoding; return the pieces, [2, samples of the piece] each."""

    def decode_piece() -> Audio | None:
        piece = next(decoding, None)
        return None if piece is None else piece.float().cpu().numpy()

    pieces = []
    while (piece := (yield _task("decoding", decode_piece))) is not None:
        pieces.append(piece)
    return pieces
