"""What clients send, and what they are told when it is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopwright.errors import InvalidInput, shown
from loopwright.kinds.kind import Kind
from loopwright.kinds.loop import LoopRequest
from loopwright.kinds.request import GenerationRequest, request_schema
from loopwright.kinds.table import KINDS
from loopwright.planning.plan import MAX_SEED

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda v: st.lists(v) | st.dictionaries(st.text(), v),
)


def test_form_strings_are_numbers() -> None:
    request, warnings = LoopRequest.parse(
        {
            "prompt": "x",
            "steps": "8",
            "cfg_scale": "1.0",
            "seed": "-1",
            "bars": "4",
            "bpm": "92.5",
            "strict": "true",
        }
    )
    assert (request.steps, request.cfg_scale, request.seed, request.bars, request.bpm) == (
        8,
        1.0,
        -1,
        4,
        92.5,
    )
    assert request.strict
    assert warnings == ()


def test_an_empty_string_and_null_are_absent() -> None:
    request, warnings = LoopRequest.parse(
        {"prompt": "x", "steps": "", "bars": "", "seed": None, "unknown": ""}
    )
    assert request == LoopRequest(prompt="x")
    assert warnings == ()


def test_unknown_fields_are_named() -> None:
    _, warnings = GenerationRequest.parse({"prompt": "x", "stpes": 8, "\x00\n": 1})
    assert warnings == (
        "unknown field `stpes` was ignored",
        r"unknown field `\u0000\n` was ignored",
    )


@pytest.mark.parametrize(
    ("fields", "field", "sentence"),
    [
        ({}, "prompt", "prompt is missing; it must be a text of 1 to 2000 characters"),
        ({"prompt": "  "}, "prompt", 'prompt must be a text of 1 to 2000 characters, got "  "'),
        ({"prompt": 7}, "prompt", "prompt must be a text of 1 to 2000 characters, got 7"),
        (
            {"prompt": "\ud800"},
            "prompt",
            r'prompt must be a text of 1 to 2000 characters, got "\ud800"',
        ),
        ({"prompt": "x", "bars": 3}, "bars", "bars must be `auto`, 1, 2, 4 or 8, got 3"),
        ({"prompt": "x", "bars": True}, "bars", "bars must be `auto`, 1, 2, 4 or 8, got true"),
        (
            {"prompt": "x", "bars": "1e999"},
            "bars",
            'bars must be `auto`, 1, 2, 4 or 8, got "1e999"',
        ),
        (
            {"prompt": "x", "bpm": "nan"},
            "bpm",
            'bpm must be a number of beats per minute from 30 to 300, got "nan"',
        ),
        (
            {"prompt": "x", "cfg_scale": 20.5},
            "cfg_scale",
            "cfg_scale must be a number from 0 to 20, got 20.5",
        ),
        (
            {"prompt": "x", "loop_type": "bass"},
            "loop_type",
            'loop_type must be `drums`, `instruments` or `auto`, got "bass"',
        ),
        (
            {"prompt": "x", "seed": -2},
            "seed",
            f"seed must be -1 (random) or a whole number from 0 to {MAX_SEED}, got -2",
        ),
        (
            {"prompt": "x", "return_format": "mp3"},
            "return_format",
            'return_format must be `file` or `base64`, got "mp3"',
        ),
    ],
)
def test_the_error_names_the_field_the_value_and_what_is_allowed(
    fields: dict[str, object], field: str, sentence: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        LoopRequest.parse(fields)
    assert (caught.value.message, caught.value.field) == (sentence, field)


def test_a_long_value_is_shown_short() -> None:
    with pytest.raises(InvalidInput) as caught:
        LoopRequest.parse({"prompt": "x", "seed": "9" * 5000})
    assert len(caught.value.message) < 200


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(sorted(LoopRequest.model_fields)) | st.text(), json_values))
def test_anything_is_a_request_or_an_error_that_can_be_sent(fields: dict[str, object]) -> None:
    try:
        _, warnings = LoopRequest.parse(fields)
    except InvalidInput as error:
        error.message.encode()
    else:
        "".join(warnings).encode()


def test_a_random_seed_is_drawn_once() -> None:
    request = GenerationRequest(prompt="x")
    assert 0 <= request.with_drawn_seed().seed <= MAX_SEED
    assert GenerationRequest(prompt="x", seed=7).with_drawn_seed().seed == 7
    assert len({request.with_drawn_seed().seed for _ in range(20)}) > 1


@pytest.mark.parametrize("text", ["techno\0 drums", "techno\x1b drums", "techno\x7f drums"])
def test_characters_that_say_nothing_are_no_part_of_a_prompt(text: str) -> None:
    assert GenerationRequest.parse({"prompt": text})[0].prompt == "techno  drums"


def test_other_servers_names_are_read_with_a_warning() -> None:
    request, warnings = GenerationRequest.parse({"prompt": "x", "duration": 5})
    assert (request.seconds_total, warnings) == (5, ("duration was read as seconds_total",))
    request, warnings = GenerationRequest.parse({"prompt": "x", "duration": 5, "seconds_total": 3})
    assert (request.seconds_total, warnings) == (3, ("unknown field `duration` was ignored",))


def test_seeds_that_are_drawn_are_int32() -> None:
    seeds = [GenerationRequest(prompt="x").with_drawn_seed().seed for _ in range(200)]
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert max(seeds) > 2**30  # one in 2^200 draws would not be
    assert GenerationRequest(prompt="x", seed=2**32 - 1).with_drawn_seed().seed == 2**32 - 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (None, "null"),
        (float("nan"), "NaN"),
        ({"a": [1, "b"]}, '{"a": [1, "b"]}'),
        ('say "x"', r'"say \"x\""'),
        ("line\nbreak", r'"line\nbreak"'),
        ("x" * 70, f'"{"x" * 60}…" (70 characters)'),
        (b"bytes", "\"b'bytes'\""),
    ],
)
def test_values_are_shown_as_json_would(value: object, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_schema_of_every_kind_bounds_its_fields_in_json_schemas_words(kind: Kind[Any]) -> None:
    fields = request_schema(kind.request)["properties"]
    assert fields["steps"]["anyOf"][0]["minimum"] == 1
    assert fields["seconds_total"]["anyOf"][0]["exclusiveMinimum"] == 0
    for field in fields.values():
        for variant in (field, *field.get("anyOf", ())):
            assert not variant.keys() & {"ge", "le", "gt", "lt", "allowed"}


def test_every_kind_has_a_name_a_path_and_a_request_of_its_own() -> None:
    for attribute in ("name", "path", "request"):
        assert len({getattr(kind, attribute) for kind in KINDS}) == len(KINDS)
