"""Trained weights in int8 arithmetic: the embedded model with rounded matrix products.

Weights have a scale per row, activations a scale per token and 128 channels, both symmetric: as in
OpenVINO, but computed in float32.
Knows: how to do that in torch. Does not know: how results are shown.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from tools.listen import onsets, share_kept, share_on_grid
from tools.run_model import run_denoising
from torch import Tensor, nn

from bench.distance import mel_distance, relative_error, snr
from bench.seams import CFG_SCALE, STEPS, STYLES, TEMPI
from loopwright.audio.types import Audio
from loopwright.loading.openvino.model import CHANNELS_PER_SCALE
from loopwright.model.base import TextPrompt
from loopwright.model.cfg import apply_cfg
from loopwright.model.pocket.layers import SAMPLE_RATE
from loopwright.model.pocket.model import PocketModel, load_pocket
from loopwright.model.sampling import start_sampler

LOOPS, BARS, BEATS_A_BAR = 8, 4, 4
MOST = 127
TOLERANCE = 0.025
"""Seconds that an onset may be off a sixteenth, or off the same onset in float32."""

ANOTHER_SEED = 1000


@dataclass(frozen=True)
class Listened:
    """A loop compared with the same loop in float32.

    Args:
        name: How it was generated.
        latents: Relative error.
        snr: In dB.
        mel: Mel distance in dB.
        kept: Share of onsets found again.
        grid: Share of onsets on sixteenths.
    """

    name: str
    latents: float
    snr: float
    mel: float
    kept: float
    grid: float


def rounded(x: Tensor) -> Tensor:
    """Round each row of the last dimension as int8 does."""
    scale = x.abs().amax(-1, keepdim=True).clamp_min(1e-12) / MOST
    return (x / scale).round() * scale


def rounded_by_groups(x: Tensor) -> Tensor:
    """Round x, [..., channels], with a scale per group of channels."""
    channels = x.shape[-1]
    padded = F.pad(x, (0, -channels % CHANNELS_PER_SCALE))
    groups = rounded(padded.reshape(*padded.shape[:-1], -1, CHANNELS_PER_SCALE))
    return groups.flatten(-2)[..., :channels]


def in_int8(model: PocketModel) -> PocketModel:
    """Return a copy whose denoiser's matrix products are rounded."""
    copied = copy.deepcopy(model)
    for module in copied.denoiser.modules():
        if isinstance(module, nn.Linear):
            module.weight.copy_(rounded(module.weight))
            module.register_forward_pre_hook(_round_input)
    return copied


def _round_input(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return (rounded_by_groups(inputs[0]),)


@torch.inference_mode()
def make(model: PocketModel, prompt: str, seed: int, bpm: int) -> tuple[Tensor, Audio]:
    """Generate a loop.

    Returns:
        Latents [channels, frames] of the whole window, and the loop's audio, [2, samples].
    """
    generator = torch.Generator().manual_seed(seed)

    def noise() -> Tensor:
        return torch.randn(model.spec.channels, model.spec.frames, generator=generator)

    text = TextPrompt(prompt, None, 12, bpm)
    run = apply_cfg(
        start_sampler("euler", model.spec, STEPS, noise(), noise), *model.condition(text), CFG_SCALE
    )
    latents = run_denoising(model, run)
    samples = round(BARS * BEATS_A_BAR * 60 / bpm * SAMPLE_RATE)
    return latents, next(iter(model.decode(latents, samples, generator))).numpy()


def listen() -> Iterator[Listened]:
    """Compare loops in int8, and with another seed, with float32."""
    model = load_pocket()
    with torch.inference_mode():
        quantised = in_int8(model)
    for number in range(LOOPS):
        bpm = TEMPI[number % len(TEMPI)]
        prompt = f"{STYLES[number % len(STYLES)]} {bpm}bpm"
        reference = make(model, prompt, number, bpm)
        yield _listened("f32", reference, reference, bpm)
        yield _listened("int8", make(quantised, prompt, number, bpm), reference, bpm)
        yield _listened(
            "f32, another seed", make(model, prompt, number + ANOTHER_SEED, bpm), reference, bpm
        )


def _listened(
    name: str, one: tuple[Tensor, Audio], reference: tuple[Tensor, Audio], bpm: int
) -> Listened:
    times, wanted = (onsets(audio, SAMPLE_RATE) for _, audio in (one, reference))
    return Listened(
        name,
        relative_error(one[0], reference[0]),
        snr(one[1], reference[1]),
        mel_distance(one[1], reference[1], SAMPLE_RATE),
        share_kept(wanted, times, TOLERANCE),
        share_on_grid(times, bpm, TOLERANCE),
    )
