"""A prompt with a loop type is answered with music, not with silence or loud noise.

The prompts are such as plugins draw, single words, and halves that the loop type takes away.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from tools.listen import flatness, level_dbfs

from loopwright.audio.types import Audio
from loopwright.generation.metadata import metadata_of
from loopwright.generation.result import Generation
from loopwright.generation.service import Service
from loopwright.generation.sources import Upload
from loopwright.kinds.loop import LoopRequest
from tests.sounds import RATE, encoded

PROMPTS = (Path(__file__).parent / "prompts.txt").read_text().splitlines()

NOISE_FLATNESS, NOISE_DBFS = 0.3, -40.0
"""A take that is flatter than this, above this level, is noise."""
SILENCE_PEAK = 1e-3
STEADY_DB = 20.0

# What plugins, phones and riffs send: loop type, guidance, steps.
SETTINGS = [
    ("auto", 1.0, 8),
    ("drums", 1.0, 8),
    ("drums", 6.0, 8),
    ("instruments", 0.5, 4),
    ("instruments", 1.0, 8),
    ("instruments", 2.0, 16),
]


def take(
    service: Service,
    prompt: str,
    kind: tuple[str, float, int],
    seed: int,
    audio: Upload | None = None,
) -> Generation:
    loop_type, cfg_scale, steps = kind
    fields = {"prompt": prompt, "bpm": 80 + seed * 7 % 90, "bars": 1, "seed": seed}
    request, _ = LoopRequest.parse(
        {**fields, "loop_type": loop_type, "cfg_scale": cfg_scale, "steps": steps}
    )
    return asyncio.run(service.generate_one(request, audio))


def what_is_wrong(made: Generation) -> str | None:
    if np.abs(made.audio).max() < SILENCE_PEAK:
        return "silent"
    is_noise = flatness(made.audio) > NOISE_FLATNESS and level_dbfs(made.audio) > NOISE_DBFS
    if is_noise and (
        made.plan.loop is None or made.plan.loop.loop_type != "auto" or is_steady(made.audio)
    ):
        return f"noise: flatness {flatness(made.audio):.2f} at {level_dbfs(made.audio):.0f} dBFS"
    return None


def is_steady(audio: Audio) -> bool:
    """Whether the level is the same all the time: a few hits of a snare are as flat as noise."""
    levels = [level_dbfs(part) for part in np.array_split(audio, 16, axis=1)]
    return max(levels) - min(levels) < STEADY_DB


def test_the_measure_knows_noise_from_music() -> None:
    noise = np.random.default_rng(0).normal(0, 0.2, (2, RATE)).astype(np.float32)
    assert flatness(noise) == pytest.approx(
        np.exp(-np.euler_gamma), abs=0.02
    )  # that of a periodogram of noise
    assert level_dbfs(noise) == pytest.approx(-14, abs=0.5)


@pytest.mark.parametrize("kind", SETTINGS)
def test_some_of_the_prompts_at_clients_settings(
    pocket: Service, kind: tuple[str, float, int]
) -> None:
    wrong = {}
    for number, prompt in list(enumerate(PROMPTS))[SETTINGS.index(kind) :: 30]:
        if said := what_is_wrong(take(pocket, prompt, kind, number)):
            wrong[prompt] = said
    assert not wrong


@pytest.mark.slow
@pytest.mark.parametrize("kind", SETTINGS)
def test_all_prompts_at_clients_settings(pocket: Service, kind: tuple[str, float, int]) -> None:
    wrong, redrawn = {}, 0
    for number, prompt in enumerate(PROMPTS):
        for seed in (number, number + 1000):
            made = take(pocket, prompt, kind, seed)
            redrawn += made.redrawn is not None
            if said := what_is_wrong(made):
                wrong[prompt, seed] = said
    assert not wrong
    assert (
        redrawn <= len(PROMPTS) // 5
    )  # drawing again is for the exceptions: it takes twice the time


@pytest.mark.parametrize("seed", [11, *range(5)])
def test_a_prompt_that_was_seen_to_be_white_noise(pocket: Service, seed: int) -> None:
    made = take(pocket, "hip hop beat", ("instruments", 1.0, 8), seed)
    assert what_is_wrong(made) is None
    assert made.redrawn is None


@pytest.mark.parametrize(
    ("source", "loop_type"), [("techno drums", "instruments"), ("sub bass", "drums")]
)
def test_a_source_of_which_the_loop_type_lets_nothing_through(
    pocket: Service, source: str, loop_type: str
) -> None:
    of_source = take(pocket, source, ("auto", 1.0, 8), 1)
    upload = Upload(encoded(of_source.audio, subtype="FLOAT"))
    for seed in range(4):
        made = take(pocket, "house loop", (loop_type, 1.0, 8), seed, upload)
        assert what_is_wrong(made) is None
        if made.redrawn is not None:
            assert f"drawn again with seed {made.plan.seed}, free from its source" in " ".join(
                made.warnings
            )
            assert metadata_of(made)["style_strength"] == 1.0
