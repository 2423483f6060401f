"""Outputs of the package's weights, recorded; `python -m tests.model.pocket.vectors` records anew.

They guard seeds: a change of code that is not meant to change audio must not change it.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from tools.run_model import run_denoising, run_encoding
from torch import Tensor

from loopwright.model.base import TextPrompt
from loopwright.model.cfg import apply_cfg
from loopwright.model.flow_samplers import euler
from loopwright.model.pocket.layers import HOP
from loopwright.model.pocket.model import PocketModel, load_pocket
from loopwright.model.schedules import log_snr_times

VECTORS = Path(__file__).parents[2] / "golden" / "pocket" / "vectors.safetensors"
CHORDS = TextPrompt("house drums with piano chords in f# minor 124bpm", None, 12, 124.0)
FRAMES, STEPS, CFG_SCALE = 64, 6, 2.0


@torch.inference_mode()
def outputs(model: PocketModel) -> dict[str, Tensor]:
    """Compute one velocity, a run's latents, its first second of audio, and that encoded."""
    noise = torch.randn(model.spec.channels, FRAMES, generator=torch.Generator().manual_seed(3))
    conditioning = model.condition(CHORDS)
    sampler = apply_cfg(euler(noise, log_snr_times(STEPS, 1.0)), *conditioning, CFG_SCALE)
    latents = run_denoising(model, sampler)
    audio = next(iter(model.decode(latents, 22 * HOP, torch.Generator().manual_seed(0))))
    return {
        "velocity": model.denoise(noise[None], torch.tensor([0.7]), conditioning[:1])[0],
        "latents": latents,
        "audio": audio,
        "encoded": run_encoding(model.encode(audio, 22)).mean,
    }


if __name__ == "__main__":
    save_file({name: value.contiguous() for name, value in outputs(load_pocket()).items()}, VECTORS)
