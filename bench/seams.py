"""Seams compared: plain cut, crossfade with the continuation, circular denoising.

`python -m bench.seams` generates forty loops of the embedded model. It prints the flux at the seam,
in medians of the flux at the loop's own bar lines, and the step between the last sample and the
first, in medians of the steps around it. Circular: after each step the latents after the loop's end
are set to the loop's beginning, to the nearest latent frame.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import numpy as np
import torch
from tools.run_model import run_denoising
from torch import Tensor

from loopwright.audio.seam import flux_at, join, measure_seam, spectral_flux, tail_samples
from loopwright.audio.types import Audio
from loopwright.model.base import Sampler, TextPrompt
from loopwright.model.cfg import apply_cfg
from loopwright.model.pocket.layers import HOP, SAMPLE_RATE
from loopwright.model.pocket.model import PocketModel, load_pocket
from loopwright.model.schedules import log_snr_times
from loopwright.music.tempo import loop_samples

STYLES = (
    "aggressive techno drums",
    "house drum loop",
    "hip-hop beat",
    "dnb drums",
    "techno drums with acid bass",
)
TEMPI = (90, 100, 110, 120, 124, 130, 140, 174)
BARS, LOOPS, STEPS, CFG_SCALE = 4, 40, 12, 2.0


def euler(x: Tensor, wrap: Callable[[Tensor], Tensor]) -> Sampler:
    """Take Euler steps, and wrap the latents after each."""
    for t, t_next in pairwise(log_snr_times(STEPS, 1.0)):
        x = wrap(x + (t_next - t) * (yield x, t))
    return x


def lapped(frames: int) -> Callable[[Tensor], Tensor]:
    """Return a function that repeats the first frames over the rest."""
    return lambda x: x[:, torch.arange(x.shape[1]) % frames]


@torch.inference_mode()
def make(
    model: PocketModel, prompt: str, bpm: float, seed: int, wrap: Callable[[Tensor], Tensor]
) -> Audio:
    """Generate a whole window of audio."""
    generator = torch.Generator().manual_seed(seed)
    noise = wrap(torch.randn(model.spec.channels, model.spec.frames, generator=generator))
    run = apply_cfg(
        euler(noise, wrap), *model.condition(TextPrompt(prompt, None, 12, bpm)), CFG_SCALE
    )
    latents = run_denoising(model, run)
    return next(iter(model.decode(latents, model.spec.window_samples, generator))).numpy()


def against_bar_lines(loop: Audio) -> float:
    """Return the flux at the seam, in medians of the flux at the loop's own bar lines."""
    flux, bar = spectral_flux(loop), loop.shape[1] / BARS
    inside = np.median([flux_at(flux, round(number * bar)) for number in range(1, BARS)])
    middle = loop.shape[1] // 2
    return float(flux_at(spectral_flux(np.roll(loop, middle, axis=1)), middle) / inside)


def main() -> None:
    """Print the table."""
    model, found = load_pocket(), dict[str, list[tuple[float, float]]]()
    for number in range(LOOPS):
        bpm = Fraction(TEMPI[number % len(TEMPI)])
        samples = loop_samples(BARS, bpm, SAMPLE_RATE)
        longer = samples + tail_samples(SAMPLE_RATE, model.spec.window_samples - samples)
        for kind, wrap in (("", lambda x: x), ("circular, ", lapped(round(samples / HOP)))):
            audio = make(model, STYLES[number % len(STYLES)], float(bpm), number, wrap)
            for name, loop in (
                ("plain cut", audio[:, :samples]),
                ("crossfade", join(audio[:, :longer], samples)),
            ):
                measured = against_bar_lines(loop), measure_seam(loop, SAMPLE_RATE).jump
                found.setdefault(kind + name, []).append(measured)
    print("| | flux, median | worst | jump, median | worst |\n|---|---|---|---|---|")
    for name, rows in found.items():
        flux, jump = np.array(rows).T
        row = f"| {name} | {np.median(flux):.3f} | {flux.max():.2f} | "
        print(f"{row}{np.median(jump):.1f} | {jump.max():.1f} |")


if __name__ == "__main__":
    main()
