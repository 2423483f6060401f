"""The contract's generate endpoints."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import structlog

from loopwright.audio.formats.base import OutputFormat
from loopwright.audio.formats.table import FORMATS
from loopwright.engine.base import Engine, ModelKey
from loopwright.errors import one_of
from loopwright.system.logs import configure_logs
from tests.fakes import FakeEngine
from tests.http.conftest import Client, connected
from tests.waiting import Gate, eventually

LOOP = {"prompt": "aggressive techno drums 140bpm", "bars": 4, "seed": 7}

LOOP_METADATA = {
    "prompt",
    "original_prompt",
    "negative_prompt",
    "loop_type",
    "detected_bpm",
    "bars",
    "loop_duration_seconds",
    "calculated_duration_seconds",
    "available_audio_seconds",
    "seconds_per_bar",
    "style_transfer",
    "style_strength",
    "model_type",
    "steps",
    "cfg_scale",
    "seed",
    "sample_rate",
    "generation_time",
    "realtime_factor",
    "device",
}
AUDIO_METADATA = {
    "prompt",
    "negative_prompt",
    "steps",
    "cfg_scale",
    "seed",
    "sample_rate",
    "duration_seconds",
    "generation_time",
    "realtime_factor",
    "detected_bpm",
    "device",
}


def samples(wav: bytes) -> int:
    return int(soundfile.info(io.BytesIO(wav)).frames)


@pytest.mark.parametrize("how", ["json", "urlencoded", "multipart"])
async def test_a_loop_in_each_kind_of_body(client: Client, how: str) -> None:
    form = {name: str(value) for name, value in LOOP.items()}
    match how:
        case "json":
            reply = await client.post("/generate/loop", json=LOOP)
        case "urlencoded":
            reply = await client.post("/generate/loop", data=form)
        case _:
            reply = await client.post(
                "/generate/loop", files={name: (None, value) for name, value in form.items()}
            )
    assert reply.status_code == 200, reply.text
    assert samples(reply.content) == 302400
    assert reply.headers["content-type"] == "audio/wav"
    assert (
        reply.headers["content-disposition"]
        == 'attachment; filename="loop_auto_140bpm_4bars_7.wav"'
    )
    assert (reply.headers["x-seed"], reply.headers["x-bpm"], reply.headers["x-bars"]) == (
        "7",
        "140",
        "4",
    )
    assert float(reply.headers["x-duration-seconds"]) == pytest.approx(302400 / 44100)
    assert float(reply.headers["x-generation-time"]) >= 0
    assert reply.headers["x-request-id"]


async def test_a_loop_as_base64(client: Client) -> None:
    reply = (await client.post("/generate/loop", json={**LOOP, "return_format": "base64"})).json()
    assert reply["success"] is True
    assert samples(base64.b64decode(reply["audio_base64"])) == 302400
    metadata = reply["metadata"]
    assert set(metadata) >= LOOP_METADATA
    assert (metadata["detected_bpm"], metadata["bars"], metadata["seed"]) == (140, 4, 7)
    assert metadata["loop_duration_seconds"] == pytest.approx(6.857, abs=0.001)


async def test_audio(client: Client) -> None:
    reply = await client.post("/generate", json={"prompt": "rain", "seconds_total": 2, "seed": 3})
    assert samples(reply.content) == 88200
    assert re.fullmatch(
        r'attachment; filename="stable_audio_3_\d{10}\.wav"', reply.headers["content-disposition"]
    )
    as_base64 = {"prompt": "rain 90bpm", "return_format": "base64"}
    metadata = (await client.post("/generate", json=as_base64)).json()["metadata"]
    assert set(metadata) >= AUDIO_METADATA
    assert metadata["detected_bpm"] == 90
    assert metadata["duration_seconds"] == pytest.approx(11.889, abs=0.001)


async def test_bars_that_do_not_fit(client: Client) -> None:
    too_long = {**LOOP, "bars": 8, "return_format": "base64"}
    metadata = (await client.post("/generate/loop", json=too_long)).json()["metadata"]
    assert (metadata["bars"], metadata["requested_bars"]) == (4, 8)
    assert "made 4" in metadata["warnings"][0]
    reply = await client.post("/generate/loop", json={**too_long, "strict": True})
    assert (reply.status_code, reply.json()["code"], reply.json()["field"]) == (
        422,
        "impossible",
        "bars",
    )


async def test_words_the_model_does_not_know_are_named_in_the_warnings(client: Client) -> None:
    sent = {
        **LOOP,
        "prompt": "zydeco drums 120bpm",
        "negative_prompt": "theremin zydeco",
        "return_format": "base64",
    }
    reply = await client.post("/generate/loop", json=sent)
    assert reply.json()["metadata"]["warnings"] == [
        "the model does not know these words, or has no use or room for them: zydeco, theremin"
    ]


async def test_unknown_fields_are_named_in_the_warnings(client: Client) -> None:
    reply = await client.post(
        "/generate/loop", json={**LOOP, "tempo": 3, "return_format": "base64"}
    )
    assert reply.json()["metadata"]["warnings"] == ["unknown field `tempo` was ignored"]


@pytest.mark.parametrize(
    ("body", "field", "part"),
    [
        ({}, "prompt", "prompt is missing"),
        ({"prompt": "drums"}, "bpm", "no tempo"),
        ({"prompt": "drums 140bpm", "steps": 0}, "steps", "got 0"),
        (
            {"prompt": "drums 140bpm", "steps": 101, "strict": True},
            "steps",
            "from 1 to 100 with this model, got 101",
        ),
        ({"prompt": "drums 140bpm", "seed": 2**32}, "seed", "got 4294967296"),
        (
            {"prompt": "drums 140bpm", "sampler_type": "k-heun", "strict": True},
            "sampler_type",
            "pingpong, euler, dpmpp, rk4",
        ),
        ({"prompt": "drums 20bpm"}, "bpm", "got 20"),
    ],
)
async def test_bad_input_is_400_and_says_what(
    client: Client, body: object, field: str, part: str
) -> None:
    reply = await client.post("/generate/loop", json=body)
    said = reply.json()
    assert reply.status_code == 400
    assert set(said) == {"success", "error", "code", "field", "request_id"}
    assert said["success"] is False
    assert said["field"] == field
    assert part in said["error"]
    assert said["request_id"] == reply.headers["x-request-id"]


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "invalid_json"),
        (b"[1]", "application/json", 400, "invalid_json"),
        (b"\xff\xfe", "application/json", 400, "invalid_json"),
        (b"[" * 100_000, "application/json", 400, "invalid_json"),
        (b"1" * 5000, "application/json", 400, "invalid_json"),
        (b"", "application/json", 400, "missing_parameter"),
        (b"<xml/>", "text/xml", 400, "invalid_content_type"),
        (b"x", "multipart/form-data", 400, "invalid_form"),
        (b"x", "multipart/form-data; boundary=b", 400, "invalid_form"),
        (b"a=b&" * 200, "application/x-www-form-urlencoded", 400, "invalid_form"),
        (b"\xff=\xff", "application/x-www-form-urlencoded", 400, "missing_parameter"),
    ],
)
async def test_a_body_that_cannot_be_read(
    client: Client, content: bytes, kind: str, status: int, code: str
) -> None:
    reply = await client.post("/generate/loop", content=content, headers={"content-type": kind})
    assert (reply.status_code, reply.json()["code"]) == (status, code), reply.text


async def test_a_body_that_is_too_long() -> None:
    async with connected(max_body_bytes=1000) as client:
        contents: tuple[bytes | AsyncIterator[bytes], ...] = (b"x" * 2000, _chunks())
        for content in contents:
            reply = await client.post(
                "/generate", content=content, headers={"content-type": "application/json"}
            )
            assert (reply.status_code, reply.json()["code"]) == (413, "too_large")


async def _chunks() -> AsyncIterator[bytes]:
    for _ in range(20):
        yield b"x" * 100


async def test_unknown_paths_and_methods_have_the_same_shape(client: Client) -> None:
    lost = await client.get("/nowhere")
    assert (lost.status_code, lost.json()["code"], lost.json()["success"]) == (
        404,
        "not_found",
        False,
    )
    wrong = await client.get("/generate/loop")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "POST"


async def test_the_same_seed_gives_the_same_bytes_in_any_company(client: Client) -> None:
    alone = (await client.post("/generate/loop", json=LOOP)).content
    replies = await asyncio.gather(
        *(client.post("/generate/loop", json={**LOOP, "seed": seed}) for seed in (1, 7, 2, 3))
    )
    assert replies[1].content == alone
    assert len({reply.content for reply in replies}) == 4


async def test_a_random_seed_is_told_and_can_be_sent_back(client: Client) -> None:
    first = await client.post("/generate/loop", json={**LOOP, "seed": -1})
    again = await client.post("/generate/loop", json={**LOOP, "seed": int(first.headers["x-seed"])})
    assert again.content == first.content


async def test_our_bug_is_500_without_a_trace(client: Client) -> None:
    reply = await client.post(
        "/generate/loop", json={"prompt": "FAIL 140bpm"}, headers={"x-request-id": "abc-1"}
    )
    assert reply.status_code == 500
    assert reply.json()["code"] == "internal_error"
    assert reply.json()["request_id"] == "abc-1"
    assert "Traceback" not in reply.text
    assert "fake engine" not in reply.text


async def test_peaks_are_just_below_full_scale(client: Client) -> None:
    audio, _ = soundfile.read(io.BytesIO((await client.post("/generate/loop", json=LOOP)).content))
    assert 20 * np.log10(np.abs(audio).max()) == pytest.approx(-0.1, abs=0.01)


async def test_silence_stays_silence_and_is_warned_of() -> None:
    async with connected(lambda _: FakeEngine(silent=True)) as client:
        reply = (
            await client.post("/generate/loop", json={**LOOP, "return_format": "base64"})
        ).json()
        audio, _ = soundfile.read(io.BytesIO(base64.b64decode(reply["audio_base64"])))
        assert not audio.any()
        assert reply["metadata"]["warnings"] == [
            "seed 7 came out silent, and 3 other seeds were no better: ask for something else in "
            "prompt, negative_prompt or loop_type",
            "the model made silence, left as it is",
        ]


async def test_a_full_queue_is_503_with_retry_after() -> None:
    gate = Gate()

    async def is_full(client: Client) -> bool:
        return bool((await client.get("/health")).json()["queue_depth"] == 2)

    async with connected(lambda _: FakeEngine(gate=gate), max_requests=2) as client:
        waiting = [
            asyncio.ensure_future(client.post("/generate/loop", json=LOOP)) for _ in range(2)
        ]
        await eventually(lambda: is_full(client))
        reply = await client.post("/generate/loop", json=LOOP)
        assert (reply.status_code, reply.json()["code"]) == (503, "queue_full")
        assert int(reply.headers["retry-after"]) > 0
        assert await is_full(client)
        gate.open()
        assert [(await one).status_code for one in waiting] == [200, 200]
        assert (await client.post("/generate/loop", json=LOOP)).status_code == 200


async def test_the_first_request_waits_for_the_model() -> None:
    gate = Gate()

    def load(_: ModelKey) -> Engine:
        gate.enter()
        return FakeEngine()

    async def has_a_request(client: Client) -> bool:
        return bool((await client.get("/health")).json()["queue_depth"])

    async with connected(load) as client:
        waiting = asyncio.ensure_future(client.post("/generate/loop", json=LOOP))
        await eventually(lambda: has_a_request(client))
        assert (await client.get("/health")).json()["status"] == "loading"
        assert (await client.get("/health/ready")).status_code == 503
        gate.open()
        assert (await waiting).status_code == 200
        assert (await client.get("/health/ready")).status_code == 200


async def test_replies_are_kept_where_it_is_asked_for(tmp_path: Path) -> None:
    async with connected(outputs_dir=tmp_path) as client:
        reply = await client.post("/generate/loop", json=LOOP)
    assert [path.read_bytes() for path in _files(tmp_path)] == [reply.content]


async def test_a_reply_is_not_lost_when_it_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    async with connected(outputs_dir=tmp_path / "file") as client:
        assert (await client.post("/generate/loop", json=LOOP)).status_code == 200


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_the_documented_body_is_the_one_taken(client: Client) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    content = paths["/generate/loop"]["post"]["requestBody"]["content"]
    assert set(content) == {
        "application/json",
        "multipart/form-data",
        "application/x-www-form-urlencoded",
    }
    assert "bars" in json.dumps(content)


async def test_the_log_tells_of_each_request(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    before = structlog.get_config()
    configure_logs("info", "json")
    try:
        await client.post("/generate/loop", json=LOOP, headers={"x-request-id": "one"})
        await client.post("/generate/loop", json={"prompt": "x"}, headers={"x-request-id": "two"})
    finally:
        structlog.configure(**before)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    good, bad = (
        [line for line in lines if line.get("request_id") == name] for name in ("one", "two")
    )
    assert len(good) == len(bad) == 1
    assert {
        "path",
        "status",
        "seconds",
        "model",
        "seed",
        "steps",
        "sampler",
        "bpm",
        "bars",
        "peak_memory_mb",
    } <= set(good[0])
    stages = ("queued", "conditioning", "denoising", "decoding", "post", "encoding")
    assert {f"seconds_{stage}" for stage in stages} <= set(good[0])
    assert (bad[0]["status"], bad[0]["code"]) == (400, "missing_parameter")


async def test_several_at_once(client: Client) -> None:
    ask = {**LOOP, "n": 3}
    reply = await client.post("/generate/loop", json=ask)
    assert reply.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        assert archive.namelist() == [f"loop_auto_140bpm_4bars_{seed}.wav" for seed in (7, 8, 9)]
        single = (await client.post("/generate/loop", json={**LOOP, "seed": 8})).content
        assert archive.read("loop_auto_140bpm_4bars_8.wav") == single
    said = (await client.post("/generate/loop", json={**ask, "return_format": "base64"})).json()
    assert [one["metadata"]["seed"] for one in said["results"]] == [7, 8, 9]
    assert said["audio_base64"] == said["results"][0]["audio_base64"]
    assert (await client.post("/generate/loop", json=ask)).content == reply.content


async def test_the_best_candidate_is_one_of_the_seeds(client: Client) -> None:
    ask = {**LOOP, "candidates": 4, "return_format": "base64"}
    said = (await client.post("/generate/loop", json=ask)).json()
    seed = said["metadata"]["seed"]
    assert seed in range(7, 11)
    alone = (
        await client.post("/generate/loop", json={**LOOP, "seed": seed, "return_format": "base64"})
    ).json()
    assert alone["audio_base64"] == said["audio_base64"]


async def test_seeds_wrap_around(client: Client) -> None:
    said = (
        await client.post(
            "/generate/loop", json={**LOOP, "seed": 2**32 - 1, "n": 2, "return_format": "base64"}
        )
    ).json()
    assert [one["metadata"]["seed"] for one in said["results"]] == [2**32 - 1, 0]


@pytest.mark.parametrize("row", FORMATS.values(), ids=list(FORMATS))
async def test_every_format(client: Client, row: OutputFormat) -> None:
    fields = {**LOOP, "format": row.name}
    reply = await client.post("/generate/loop", json=fields)
    assert reply.headers["content-type"] == row.media_type
    assert f'_7{row.extension}"' in reply.headers["content-disposition"]
    file = soundfile.info(io.BytesIO(reply.content))
    reply = await client.post("/generate/loop", json={**fields, "return_format": "base64"})
    assert reply.json()["metadata"]["warnings"] == list(row.limitations)
    if not row.limitations:
        assert file.frames == round(302_400 * file.samplerate / 44_100)


async def test_a_format_that_is_in_no_table(client: Client) -> None:
    reply = await client.post("/generate/loop", json={**LOOP, "format": "wma"})
    allowed = one_of(FORMATS, quote="`")
    assert reply.json()["error"] == f'format must be {allowed}, got "wma"'


async def test_a_bit_depth_flac_cannot_hold(client: Client) -> None:
    reply = await client.post("/generate/loop", json={**LOOP, "format": "flac", "bit_depth": 32})
    assert (reply.status_code, reply.json()["field"]) == (400, "bit_depth")


async def test_seam_and_grid_are_told(client: Client) -> None:
    metadata = (
        await client.post("/generate/loop", json={**LOOP, "return_format": "base64"})
    ).json()["metadata"]
    assert set(metadata["seam"]) == {"jump", "flux", "level_step_db"}
    assert set(metadata["grid"]) == {"tempo", "offset_ms", "share_on_grid", "confidence"}
    assert metadata["grid"]["tempo"] == pytest.approx(140, rel=0.001)
    assert metadata["grid"]["share_on_grid"] == 1
