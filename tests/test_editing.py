"""Does the embedded model keep what it should of its sources? Heard with numbers."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from tools.listen import likeness, onsets, share_kept

from loopwright.generation.result import Generation
from loopwright.generation.service import Service
from loopwright.generation.sources import Upload
from loopwright.kinds.guided import GuidedLoopRequest
from loopwright.kinds.inpaint import InpaintRequest
from loopwright.kinds.loop import LoopRequest
from loopwright.kinds.request import GenerationRequest
from tests.sounds import encoded

PROMPT = {"prompt": "aggressive techno drums 124bpm", "bars": 4}


def make(
    service: Service, request: GenerationRequest, source: Generation | None = None
) -> Generation:
    upload = Upload(encoded(source.audio, subtype="FLOAT")) if source else None
    return asyncio.run(service.generate_one(request, upload))


@pytest.fixture(scope="module")
def source(pocket: Service) -> Generation:
    return make(pocket, LoopRequest(prompt="house drum loop 124bpm", bars=4, seed=1))


@pytest.fixture(scope="module")
def unrelated(pocket: Service) -> Generation:
    return make(pocket, LoopRequest.model_validate({**PROMPT, "seed": 51}))


def by_bar(one: Generation, other: Generation) -> list[float]:
    bars = zip(
        np.array_split(one.audio, 4, axis=1), np.array_split(other.audio, 4, axis=1), strict=True
    )
    return [likeness(a, b, 44100) for a, b in bars]


def test_a_guided_loop_keeps_the_first_bar_and_makes_the_rest_new(
    pocket: Service, source: Generation, unrelated: Generation
) -> None:
    request = GuidedLoopRequest.model_validate({**PROMPT, "seed": 51, "guidance_mask": "first_bar"})
    kept, *rest = by_bar(source, make(pocket, request, source))
    anything = by_bar(source, unrelated)
    assert kept > 0.95
    assert max(rest) < 0.9
    assert (
        abs(np.mean(rest) - np.mean(anything)) < 0.08
    )  # no nearer to the source than a loop that never saw it


def test_fade_keeps_less_and_less_and_full_keeps_all(pocket: Service, source: Generation) -> None:
    faded = by_bar(
        source, make(pocket, GuidedLoopRequest.model_validate({**PROMPT, "seed": 51}), source)
    )
    assert faded[0] > 0.95
    assert faded[0] > faded[2] > faded[3]
    request = GuidedLoopRequest.model_validate({**PROMPT, "seed": 51, "guidance_mask": "full"})
    assert min(by_bar(source, make(pocket, request, source))) > 0.95


def test_style_strength_goes_from_the_source_to_something_else(
    pocket: Service, source: Generation, unrelated: Generation
) -> None:
    likenesses = []
    for strength in (0.1, 0.8, 1.0):
        request = LoopRequest.model_validate({**PROMPT, "seed": 51, "style_strength": strength})
        made = make(pocket, request, source)
        likenesses.append(likeness(source.audio, made.audio, 44100))
        if strength == 0.1:
            assert share_kept(onsets(source.audio, 44100), onsets(made.audio, 44100), 0.025) > 0.9
    assert likenesses[0] > likenesses[1] > likenesses[2]
    assert likenesses[2] == pytest.approx(likeness(source.audio, unrelated.audio, 44100), abs=0.02)


def test_free_of_the_source_at_full_strength(
    pocket: Service, source: Generation, unrelated: Generation
) -> None:
    request = LoopRequest.model_validate({**PROMPT, "seed": 51, "style_strength": 1.0})
    of_one, of_another = make(pocket, request, source), make(pocket, request, unrelated)
    assert np.abs(of_one.audio - of_another.audio).max() < 1e-4


def test_inpainting_makes_the_bar_new_and_keeps_the_rest(
    pocket: Service, source: Generation
) -> None:
    request = InpaintRequest.model_validate({**PROMPT, "seed": 51, "from_bar": 3})
    likenesses = by_bar(source, make(pocket, request, source))
    assert min(likenesses[0], likenesses[1], likenesses[3]) > 0.95
    assert likenesses[2] < min(likenesses[0], likenesses[1], likenesses[3]) - 0.02
