"""Does the embedded model make loops of what is asked for? Heard with numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from tools.listen import (
    band_energy,
    in_key,
    onsets,
    percussive_energy,
    share_on_grid,
    tonal_energy,
)

from loopwright.generation.result import Generation
from loopwright.generation.service import Service
from loopwright.kinds.loop import LoopRequest

PROMPTS = [
    f"{style} {bpm}bpm"
    for bpm in (90, 124, 140, 174)
    for style in ("aggressive techno drums", "house drum loop")
]
"""Straight ones: hip-hop swings, so its off-beats are late on purpose."""

FIRST_ONSET_SECONDS = 0.03


KEYS = [("f# minor", 6, True), ("c major", 0, False), ("a minor", 9, True), ("d# major", 3, False)]


def make(service: Service, requests: Sequence[LoopRequest]) -> list[Generation]:
    async def one_by_one() -> list[Generation]:
        return [await service.generate_one(request) for request in requests]

    return asyncio.run(one_by_one())


@pytest.fixture(scope="module")
def loops(pocket: Service) -> list[Generation]:
    return make(
        pocket, [LoopRequest(prompt=prompt, seed=seed) for seed, prompt in enumerate(PROMPTS)]
    )


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
        assert onsets(loop.audio, loop.sample_rate)[0] <= FIRST_ONSET_SECONDS, (
            loop.plan.original_prompt
        )


@pytest.mark.parametrize("words", ["house piano chords", "trap sub bass"])
def test_tones_are_in_the_key_that_is_asked_for(pocket: Service, words: str) -> None:
    made = make(
        pocket,
        [LoopRequest(prompt=f"{words} in {key} 130bpm", bars=4, seed=5) for key, _, _ in KEYS],
    )
    for loop, (key, root, minor) in zip(made, KEYS, strict=True):
        asked, another = (
            in_key(loop.audio, loop.sample_rate, tonic, minor=minor) for tonic in (root, root + 6)
        )
        assert asked > 0.8, key
        assert asked > another + 0.2, key


def test_loop_types_leave_out_the_other_half(pocket: Service) -> None:
    prompt = "house groove in a minor 124bpm"
    drums, instruments = make(
        pocket,
        [LoopRequest(prompt=prompt, seed=3, loop_type=kind) for kind in ("drums", "instruments")],
    )
    of_drums, of_instruments = (
        percussive_energy(loop.audio, 44100) / tonal_energy(loop.audio, 44100)
        for loop in (drums, instruments)
    )
    assert of_instruments < 0.3 * of_drums


@pytest.mark.parametrize(("drum", "low", "high"), [("kick", 30, 110), ("hi-hats", 6000, 16000)])
def test_a_negative_prompt_takes_a_drum_out(
    pocket: Service, drum: str, low: float, high: float
) -> None:
    left = []
    for seed in (1, 2, 3):
        made = make(
            pocket,
            [
                LoopRequest(prompt="techno drums 132bpm", negative_prompt=one, bars=2, seed=seed)
                for one in (None, drum)
            ],
        )
        both, without = (band_energy(loop.audio, loop.sample_rate, low, high) for loop in made)
        left.append(without / both)
    assert np.median(left) < 0.6


def test_words_it_does_not_know_are_named_and_do_no_harm(pocket: Service) -> None:
    (loop,) = make(pocket, [LoopRequest(prompt="zydeco accordion techno drums 130bpm", seed=3)])
    assert any("zydeco, accordion" in warning for warning in loop.warnings)
    assert share_on_grid(onsets(loop.audio, loop.sample_rate), 130.0, 0.025) >= 0.9
