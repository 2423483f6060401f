"""Our own metadata, sent back as a request, is accepted and means the same audio."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopwright.audio.formats.table import FORMATS
from loopwright.engine.base import ModelKey
from loopwright.generation.metadata import metadata_of
from loopwright.generation.postprocess import ProcessedAudio
from loopwright.generation.result import Generation
from loopwright.kinds.audio import AUDIO
from loopwright.kinds.guided import GuidedLoopRequest
from loopwright.kinds.inpaint import InpaintRequest
from loopwright.kinds.loop import LoopRequest
from loopwright.kinds.request import REPLY_FIELDS, GenerationRequest
from loopwright.kinds.riff import RiffLoopRequest
from loopwright.kinds.style import StyleRequest
from loopwright.kinds.table import plan_request
from loopwright.kinds.variation import VariationRequest
from loopwright.planning.plan import GenerationPlan, RiffUse, Source
from loopwright.planning.source import with_source
from loopwright.serving.active_run import Timings
from tests.fakes import LIMITS, info

SILENCE = np.zeros((2, 44100), np.float32)

prompts = st.sampled_from(
    ["techno drums", "warm pads, drums", "ударные", "Drum & bass loop", "a\nb", "x"]
)
negatives = st.none() | st.sampled_from(
    ["vocals", "drums, percussion, kick, snare, hi-hat", "kick"]
)
bpms = st.sampled_from([30, 93.4567, 120, 127.9999, 140.5, 300]) | st.floats(30, 300).map(
    lambda bpm: round(bpm, 9)
)
common: dict[str, st.SearchStrategy[Any]] = {
    "negative_prompt": negatives,
    "steps": st.none() | st.integers(1, 400),
    "cfg_scale": st.none() | st.floats(0, 20),
    "seed": st.integers(0, 2**32 - 1),
    "sampler_type": st.none() | st.sampled_from(["euler", "k-heun"]),
    "normalize": st.sampled_from(["peak", "loudness", "none"]),
    "target_lufs": st.floats(-40, -5),
    "format": st.sampled_from(list(FORMATS)),
    "bit_depth": st.sampled_from([16, 24]),
    "n": st.integers(1, 8),
}
of_loops: dict[str, st.SearchStrategy[Any]] = {
    **common,
    "bars": st.sampled_from(["auto", 1, 2, 4, 8]),
    "loop_type": st.sampled_from(["drums", "instruments", "auto"]),
    "seamless": st.booleans(),
    "align": st.booleans(),
    "style_strength": st.floats(0.1, 1),
    "candidates": st.integers(1, 8),
}
seconds = st.none() | st.floats(0.1, 400)
audio = st.fixed_dictionaries({"prompt": prompts, "seconds_total": seconds, **common})
style = st.fixed_dictionaries(
    {"prompt": prompts, "seconds_total": seconds, "style_strength": st.floats(0.1, 1), **common}
)


@st.composite
def loops(draw: st.DrawFn, /, **more: st.SearchStrategy[Any]) -> dict[str, Any]:
    """Fields of a loop: the tempo, at which a bar fits, in its own field or in the prompt."""
    fields = draw(st.fixed_dictionaries({**of_loops, **more}))
    bpm, prompt = draw(bpms), draw(prompts)
    return fields | draw(
        st.sampled_from([{"prompt": prompt, "bpm": bpm}, {"prompt": f"{prompt} {bpm}bpm"}])
    )


KINDS = st.one_of(
    st.tuples(st.just(GenerationRequest), audio),
    st.tuples(st.just(StyleRequest), style),
    st.tuples(st.just(LoopRequest), loops()),
    st.tuples(st.just(VariationRequest), loops()),
    st.tuples(
        st.just(RiffLoopRequest),
        loops(key=st.sampled_from(["Ab", "f#m", "c", "B minor"]), transpose=st.booleans()),
    ),
    st.tuples(st.just(InpaintRequest), loops(from_bar=st.just(1))),
    st.tuples(
        st.just(GuidedLoopRequest),
        loops(
            guidance_mask=st.sampled_from(["full", "fade", "first_bar"]),
            guidance_strength=st.floats(0, 10),
            guidance_start_weight=st.floats(0, 1),
            guidance_end_weight=st.floats(0, 1),
        ),
    ),
)


def planned(kind: type[GenerationRequest], request: GenerationRequest) -> GenerationPlan:
    plan = plan_request(request, LIMITS)
    if kind in (GenerationRequest, LoopRequest):
        return plan
    riff = (
        RiffUse(request.key, "a_120bpm.wav", Fraction(120))
        if isinstance(request, RiffLoopRequest)
        else None
    )
    return with_source(plan, Source(SILENCE, (2, 44100)), riff)


def replied(kind: type[GenerationRequest], request: GenerationRequest) -> dict[str, Any]:
    """What a reply says, as a client has it: through JSON."""
    plan = planned(kind, request)
    processed = ProcessedAudio(np.zeros((2, plan.samples), np.float32))
    asked = request.model_dump(mode="json", exclude_none=True)
    made = replace(made_of(plan, processed), asked=asked)
    metadata: dict[str, Any] = json.loads(json.dumps(metadata_of(made)))
    return metadata


def made_of(plan: GenerationPlan, processed: ProcessedAudio) -> Generation:
    return Generation(AUDIO, processed, plan, info(), Timings(), 0, generation_time=1.0)


def comparable(plan: GenerationPlan) -> GenerationPlan:
    """A plan without what is said once: what was changed is changed already the second time."""
    loop = None if plan.loop is None else replace(plan.loop, requested_bars=None)
    level = 1.0 if plan.source is None else plan.init_noise_level  # without a source it is nothing
    return replace(plan, warnings=(), original_prompt="", loop=loop, init_noise_level=level)


@settings(max_examples=200)
@given(asked=KINDS)
def test_metadata_sent_back_plans_the_same_audio(
    asked: tuple[type[GenerationRequest], dict[str, Any]],
) -> None:
    kind, fields = asked
    request = kind.parse(fields)[0]
    first = planned(kind, request)
    again, warnings = kind.parse(replied(kind, request))
    second = planned(kind, again)
    assert comparable(second) == comparable(first)
    assert not warnings


@pytest.mark.parametrize("kind", [GenerationRequest, StyleRequest, LoopRequest, RiffLoopRequest])
def test_every_field_of_the_metadata_is_a_parameter_or_known_to_be_none(
    kind: type[GenerationRequest],
) -> None:
    fields: dict[str, Any] = {"prompt": "techno drums 140bpm", "seed": 1, "key": "a"}
    request = kind.parse(fields)[0]
    assert not set(replied(kind, request)) - set(kind.model_fields) - REPLY_FIELDS


def test_a_finetune_that_was_active_is_named() -> None:
    request = GenerationRequest(prompt="x", seed=1)
    plan = planned(GenerationRequest, request)
    finetune = info(ModelKey("owner/name", "a.ckpt"))
    made = replace(made_of(plan, ProcessedAudio(SILENCE)), info=finetune)
    again, warnings = GenerationRequest.parse(metadata_of(made))
    assert (again.model_type, again.finetune_repo, again.finetune_checkpoint) == (
        "finetune",
        "owner/name",
        "a.ckpt",
    )
    assert not warnings
