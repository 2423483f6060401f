"""The seam is as quiet as a loop's own bar lines, and quieter than a plain cut."""

from __future__ import annotations

import asyncio
import statistics

import numpy as np
import pytest

from loopwright.audio.seam import flux_at, measure_seam, spectral_flux
from loopwright.audio.types import Audio
from loopwright.generation.assemble import assemble
from loopwright.kinds.loop import LoopRequest
from loopwright.settings import Settings

STYLES = (
    "aggressive techno drums",
    "house drum loop",
    "hip-hop beat",
    "dnb drums",
    "techno drums with acid bass",
)
TEMPI = (90, 100, 110, 120, 124, 130, 140, 174)
BARS = 4


def seam_to_bar_lines(loop: Audio) -> float:
    """Flux at the seam, in medians of that at the loop's own bar lines."""
    flux, bar = spectral_flux(loop), loop.shape[1] / BARS
    inside = np.median([flux_at(flux, round(number * bar)) for number in range(1, BARS)])
    turned = np.roll(loop, loop.shape[1] // 2, axis=1)
    return float(flux_at(spectral_flux(turned), loop.shape[1] // 2) / inside)


async def make(*, seamless: bool) -> list[Audio]:
    service = assemble(Settings(model="pocket"))
    prompts = [f"{STYLES[number % 5]} {TEMPI[number % 8]}bpm" for number in range(40)]
    requests = [
        LoopRequest(prompt=prompt, bars=BARS, seed=seed, seamless=seamless, align=False)
        for seed, prompt in enumerate(prompts)
    ]
    loops = [(await service.generate_one(request)).audio for request in requests]
    service.close()
    return loops


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_forty_seams() -> None:
    plain, joined = (asyncio.run(make(seamless=seamless)) for seamless in (False, True))
    flux = [statistics.median(map(seam_to_bar_lines, loops)) for loops in (plain, joined)]
    jump = [
        statistics.median(measure_seam(loop, 44100).jump for loop in loops)
        for loops in (plain, joined)
    ]
    print(  # noqa: T201 - the figures are what this is run for
        f"flux against bar lines: plain {flux[0]:.3f}, joined {flux[1]:.3f}; "
        f"jump {jump[0]:.1f}, {jump[1]:.1f}"
    )
    assert flux[1] <= 1
    assert flux[1] < flux[0]
    assert jump[1] < 3 < jump[0]
