"""A model of latents in torch, carrying out plans.

Knows: the order in which a run draws its noise (start noise, the encoder's, one draw a step, the decoder's), devices.
Does not know: which model it is, queues, HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from loopwright.engine.base import Audio, ModelInfo, Run
from loopwright.model.base import LatentModel, LatentSpec, Row, Sampler, TextPrompt
from loopwright.model.guidance import guided
from loopwright.model.inpainting import pulled
from loopwright.model.sampling import evaluations, start
from loopwright.plan import GenerationPlan, Keep

GIGABYTE = 1e9


class TorchEngine:
    """Carries out plans with a model. Noise is drawn on the CPU, so a seed gives the same audio on every device."""

    def __init__(self, model: LatentModel, info: ModelInfo) -> None:
        self.info = info
        self._model: LatentModel | None = model
        self._device = torch.device(info.device)

    @torch.inference_mode()
    def start(self, plan: GenerationPlan) -> Run:
        """Condition the model and draw the start noise."""
        generator = torch.Generator().manual_seed(plan.seed)
        bpm = None if plan.bpm is None else float(plan.bpm)
        text = TextPrompt(plan.words.prompt, plan.words.negative_prompt, plan.seconds_total, bpm)
        positive, negative = self._loaded.condition(text)
        noise = self._noise(generator)
        denoising = guided(self._sampler(plan, noise, generator), positive, negative, plan.guidance)
        return Run(plan, denoising, evaluations(plan.sampler, plan.steps), generator)

    def _sampler(self, plan: GenerationPlan, noise: Tensor, generator: torch.Generator) -> Sampler:
        """The plan's sampler: from noise, from the source noised, or from noise and pulled to the source."""
        spec, more = self._loaded.spec, lambda: self._noise(generator)
        if plan.source is None:
            return start(plan.sampler, spec, plan.steps, noise, more)
        source = self._loaded.encode(self._whole_window(plan.source.audio))
        if plan.keep is None:
            init = source.sample(generator)
            return start(plan.sampler, spec, plan.steps, noise, more, init, plan.init_noise_level)
        mask = torch.from_numpy(_curve(plan.keep, spec)).to(self._device)
        return pulled(start(plan.sampler, spec, plan.steps, noise, more), source.mean, mask, plan.keep.strength)

    def _whole_window(self, audio: Audio) -> Tensor:
        """Audio cut or filled with silence to the model's window, [2, frames * hop]."""
        samples = self._loaded.spec.frames * self._loaded.spec.hop
        padded = np.pad(audio[:, :samples], ((0, 0), (0, max(0, samples - audio.shape[1]))))
        return torch.from_numpy(padded).to(self._device)

    @torch.inference_mode()
    def forward(self, rows: Sequence[Row]) -> Sequence[Tensor]:
        """One forward of the denoiser for all rows."""
        x = torch.stack([row.x for row in rows])
        t = torch.tensor([row.t for row in rows], dtype=x.dtype, device=self._device)
        return self._loaded.denoise(x, t, [row.conditioning for row in rows]).unbind()

    @torch.inference_mode()
    def finish(self, run: Run, latents: Tensor) -> Audio:
        """The plan's audio and what the join takes, [2, plan.made_samples]."""
        audio = self._loaded.decode(latents, run.generator)[:, : run.plan.made_samples]
        return audio.float().cpu().numpy()

    def gpu_memory(self) -> Mapping[str, float]:
        """What the process uses of the GPU's memory, in GB; empty without one."""
        if self._device.type != "cuda":
            return {}
        used, peak = torch.cuda.memory_allocated(self._device), torch.cuda.max_memory_allocated(self._device)
        return {"gpu_memory_used": used / GIGABYTE, "gpu_memory_peak": peak / GIGABYTE}

    def close(self) -> None:
        """Let the model go."""
        self._model = None
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


def _curve(keep: Keep, spec: LatentSpec) -> NDArray[np.float32]:
    """The mask at the centre of each latent frame, [frames]."""
    seconds = (np.arange(spec.frames) + 0.5) * spec.hop / spec.sample_rate
    seconds = seconds if keep.period is None else seconds % keep.period
    points = np.array(keep.points)
    curve: NDArray[np.float32] = np.interp(seconds, points[:, 0], points[:, 1]).astype(np.float32)
    return curve
