"""Variations, inpainting and stacks over HTTP."""

from __future__ import annotations

import base64
import io
import zipfile

import numpy as np
import pytest
import soundfile

from tests.http.conftest import Client
from tests.sounds import drums, encoded

LOOP = {"prompt": "techno 140bpm", "bars": 2, "seed": 7}
FILE = {"audio_file": ("loop.wav", encoded(drums(140, 8)), "audio/wav")}


def form(**fields: object) -> dict[str, str]:
    return {
        name: str(value) for name, value in {**LOOP, "return_format": "base64", **fields}.items()
    }


async def test_versions_near_a_loop_that_is_sent(client: Client) -> None:
    said = (await client.post("/generate/variation", data=form(n=3), files=FILE)).json()
    assert [one["metadata"]["seed"] for one in said["results"]] == [7, 8, 9]
    assert {one["metadata"]["style_strength"] for one in said["results"]} == {0.4}
    assert all(one["metadata"]["style_transfer"] for one in said["results"])


async def test_versions_near_an_earlier_loop(client: Client) -> None:
    said = (
        await client.post(
            "/generate/variation", json={**LOOP, "source_seed": 3, "return_format": "base64"}
        )
    ).json()
    assert len(said["results"]) == 4
    assert said["metadata"]["input_audio_shape"] == [2, 151200]
    nothing = await client.post("/generate/variation", json=LOOP)
    assert (nothing.status_code, nothing.json()["field"]) == (400, "audio_file")


async def test_some_bars_made_new(client: Client) -> None:
    for stretch in (
        {"from_bar": 2},
        {"from_bar": 1, "to_bar": 2},
        {"from_seconds": 0.5, "to_seconds": 1.5},
    ):
        reply = await client.post("/generate/inpaint", data=form(**stretch), files=FILE)
        assert reply.status_code == 200, reply.text
        assert reply.json()["metadata"]["steps"] == 50


@pytest.mark.parametrize(
    ("stretch", "field"),
    [
        ({}, "from_bar"),
        ({"from_bar": 3}, "from_bar"),
        ({"from_bar": 2, "to_bar": 1}, "from_bar"),
        ({"from_bar": 0}, "from_bar"),
        ({"from_seconds": 1}, "from_bar"),
        ({"from_seconds": 3, "to_seconds": 9}, "from_seconds"),
        ({"from_bar": 1, "from_seconds": 0, "to_seconds": 1}, "from_bar"),
    ],
)
async def test_a_stretch_that_is_none(
    client: Client, stretch: dict[str, object], field: str
) -> None:
    reply = await client.post("/generate/inpaint", data=form(**stretch), files=FILE)
    assert (reply.status_code, reply.json()["field"]) == (400, field), reply.text


async def test_a_stack_plays_together(client: Client) -> None:
    ask = {**LOOP, "key": "f#m", "return_format": "base64"}
    said = (await client.post("/generate/stack", json=ask)).json()
    parts = [one["metadata"]["part"] for one in said["results"]]
    assert parts == ["mix", "drums", "bass", "chords", "lead"]
    audio = [
        soundfile.read(io.BytesIO(base64.b64decode(one["audio_base64"])))[0]
        for one in said["results"]
    ]
    assert {one.shape for one in audio} == {(151200, 2)}
    total = np.sum(audio[1:], axis=0)
    assert np.corrcoef(total[:, 0], audio[0][:, 0])[0, 1] > 0.999
    metadata = {one["metadata"]["part"]: one["metadata"] for one in said["results"]}
    assert metadata["bass"]["prompt"] == "techno 140bpm bass in F# minor"
    assert metadata["drums"]["prompt"] == "techno 140bpm drums"
    assert metadata["drums"]["loop_type"] == "drums"
    assert metadata["lead"]["loop_type"] == "instruments"


async def test_a_stack_of_some_parts_with_prompts_of_their_own(client: Client) -> None:
    ask = {**LOOP, "parts": {"drums": "house drums 140bpm", "bass": None}}
    with zipfile.ZipFile(
        io.BytesIO((await client.post("/generate/stack", json=ask)).content)
    ) as archive:
        assert archive.namelist() == [
            f"stack_{part}_140bpm_2bars_7.wav" for part in ("mix", "drums", "bass")
        ]
    listed = await client.post(
        "/generate/stack", data=form(parts="drums,bass", return_format="file")
    )
    assert listed.headers["content-type"] == "application/zip"


async def test_the_mix_of_a_stack_has_every_parts_warnings_once(client: Client) -> None:
    parts = {
        "drums": "zydeco drums 140bpm",
        "bass": "zydeco theremin bass 140bpm",
        "lead": "zydeco lead 140bpm",
    }
    said = (
        await client.post(
            "/generate/stack", json={**LOOP, "parts": parts, "return_format": "base64"}
        )
    ).json()
    unknown = "the model does not know these words, or has no use or room for them: zydeco"
    assert [one["metadata"]["warnings"] for one in said["results"]] == [
        [unknown, f"{unknown}, theremin"],
        [unknown],
        [f"{unknown}, theremin"],
        [unknown],
    ]


async def test_the_documented_default_of_parts_is_what_a_stack_has(client: Client) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    body = paths["/generate/stack"]["post"]["requestBody"]["content"]["application/json"]
    default = body["schema"]["properties"]["parts"]["default"]
    said = (await client.post("/generate/stack", json={**LOOP, "return_format": "base64"})).json()
    assert [one["metadata"]["part"] for one in said["results"]] == ["mix", *default]


@pytest.mark.parametrize("parts", [["tuba"], [], {}, "tuba", 3, {"drums": 3}, "[1"])
async def test_parts_that_are_none(client: Client, parts: object) -> None:
    reply = await client.post("/generate/stack", json={**LOOP, "parts": parts})
    assert (reply.status_code, reply.json()["field"]) == (400, "parts"), reply.text


@pytest.mark.parametrize("fields", [{"prompt": "x" * 1998}, {"parts": {"drums": " "}}])
async def test_a_part_whose_prompt_is_too_long_or_empty(
    client: Client, fields: dict[str, object]
) -> None:
    reply = await client.post("/generate/stack", json={**LOOP, "bpm": 140, **fields})
    assert (reply.status_code, reply.json()["field"]) == (400, "prompt")
