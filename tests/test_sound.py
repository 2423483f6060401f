"""Does the embedded model make drum loops? Heard with numbers."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from loopwright.assemble import assemble
from loopwright.generation import Generation
from loopwright.request import LoopRequest
from loopwright.settings import Settings
from tests.listen import onsets, share_on_grid

PROMPTS = [
    f"{style} {bpm}bpm"
    for bpm in (90, 110, 124, 140, 160, 174)
    for style in ("aggressive techno drums", "house drum loop")
]
"""Straight ones: hip-hop swings, so its off-beats are late on purpose."""

FIRST_ONSET_SECONDS = 0.03


@pytest.fixture(scope="module")
def loops() -> list[Generation]:
    async def make() -> list[Generation]:
        service = assemble(Settings(model="pocket"))
        try:
            return [
                await service.generate_one(LoopRequest(prompt=prompt, seed=seed)) for seed, prompt in enumerate(PROMPTS)
            ]
        finally:
            service.close()

    return asyncio.run(make())


def test_every_loop_is_whole(loops: list[Generation]) -> None:
    for loop in loops:
        assert loop.plan.loop is not None
        exact = loop.plan.loop.bars * 4 * 60 / float(loop.plan.loop.bpm) * 44100
        assert abs(loop.audio.shape[1] - exact) <= 0.5
        assert np.isfinite(loop.audio).all()
        assert np.abs(loop.audio).max() < 1.0
        assert np.sqrt(np.mean(loop.audio**2)) > 0.02


def test_onsets_sit_on_the_sixteenth_grid(loops: list[Generation]) -> None:
    for loop in loops:
        times = onsets(loop.audio, loop.sample_rate)
        assert loop.plan.bpm is not None
        assert len(times) >= 8, loop.plan.original_prompt
        assert share_on_grid(times, float(loop.plan.bpm), 0.025) >= 0.9, loop.plan.original_prompt


def test_the_first_onset_is_at_the_start(loops: list[Generation]) -> None:
    for loop in loops:
        assert onsets(loop.audio, loop.sample_rate)[0] <= FIRST_ONSET_SECONDS, loop.plan.original_prompt
