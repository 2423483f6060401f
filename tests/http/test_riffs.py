"""The riff library over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.http.conftest import Client, connected
from tests.sounds import drums, encoded

RIFF = encoded(drums(128, 8))
ASK = {"prompt": "deep house 124bpm", "key": "G#", "bars": 2, "seed": 5, "return_format": "base64"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with connected(riffs_dir=tmp_path / "riffs", cache_dir=tmp_path / "cache") as client:
        yield client


def put(tmp_path: Path, *names: str) -> None:
    (tmp_path / "riffs").mkdir(exist_ok=True)
    for name in names:
        (tmp_path / "riffs" / name).write_bytes(RIFF)


async def test_available(client: Client, tmp_path: Path) -> None:
    assert (await client.get("/riffs/available")).json()["available_keys"] == []
    put(tmp_path, "gsharp_128bpm_1.wav", "a_128bpm.wav", "h_128bpm.wav")
    said = (await client.get("/riffs/available")).json()
    assert (said["available_keys"], said["total_keys"]) == (["a", "gsharp"], 2)
    assert said["riff_details"]["gsharp"] == [
        {
            "filename": "gsharp_128bpm_1.wav",
            "original_bpm": 128,
            "description": "gsharp riff at 128 BPM",
        }
    ]
    assert "no key" in said["skipped"]["h_128bpm.wav"]


async def test_a_loop_with_a_riff(client: Client, tmp_path: Path) -> None:
    put(tmp_path, "gsharp_128bpm_1.wav", "gsharp_128bpm_2.wav")
    metadata = (await client.post("/generate/loop-with-riff", json=ASK)).json()["metadata"]
    assert metadata["key"] == "gsharp"
    assert metadata["source"] == "personal_riff_library"
    assert metadata["riff"] == "gsharp_128bpm_2.wav"
    assert (metadata["original_bpm"], metadata["detected_bpm"], metadata["bars"]) == (128, 124, 2)
    assert (metadata["loop_type"], metadata["steps"], metadata["cfg_scale"]) == (
        "instruments",
        8,
        1.0,
    )
    assert (metadata["style_transfer"], metadata["style_strength"]) == (True, 0.8)
    as_file = await client.post(
        "/generate/loop-with-riff", json={**ASK, "key": "aflat", "return_format": "file"}
    )
    assert (
        'filename="riff_gsharp_instruments_124bpm_2bars_5.wav"'
        in as_file.headers["content-disposition"]
    )


async def test_a_key_without_a_riff(client: Client, tmp_path: Path) -> None:
    put(tmp_path, "a_128bpm.wav")
    reply = await client.post("/generate/loop-with-riff", json={**ASK, "key": "c"})
    assert (reply.status_code, reply.json()["field"], reply.json()["available_keys"]) == (
        400,
        "key",
        ["a"],
    )
    moved = await client.post(
        "/generate/loop-with-riff", json={**ASK, "key": "c", "transpose": True}
    )
    assert (moved.json()["metadata"]["key"], moved.json()["metadata"]["semitones"]) == ("c", 3)


@pytest.mark.parametrize("key", ["h", "", "a minute", 3])
async def test_a_key_that_is_none(client: Client, key: object) -> None:
    reply = await client.post("/generate/loop-with-riff", json={**ASK, "key": key})
    assert (reply.status_code, reply.json()["field"]) == (400, "key")


async def test_a_key_that_is_none_is_told_what_keys_are(client: Client) -> None:
    reply = await client.post("/generate/loop-with-riff", json={**ASK, "key": "H"})
    said = reply.json()["error"]
    assert said.startswith("key must be a musical key such as A, F#m, Bb major or gsharp, got ")
    assert "H" in said.rpartition("got")[2]


async def test_a_key_with_its_mode_is_the_root_of_riffs(client: Client, tmp_path: Path) -> None:
    put(tmp_path, "Am_120bpm.wav")
    reply = await client.post("/generate/loop-with-riff", json={**ASK, "key": "A minor"})
    assert reply.json()["metadata"]["key"] == "A minor"  # sent back, it means the same riff
    assert (await client.get("/riffs/available")).json()["available_keys"] == ["a"]


async def test_adding_and_deleting(client: Client, tmp_path: Path) -> None:
    files = {"audio_file": ("../evil name.wav", RIFF, "audio/wav")}
    reply = await client.post("/riffs", data={"key": "Bb", "bpm": "128"}, files=files)
    assert (reply.status_code, reply.json()["filename"]) == (200, "asharp_128bpm.wav")
    assert [path.name for path in sorted((tmp_path / "riffs").iterdir())] == ["asharp_128bpm.wav"]
    gone = await client.delete("/riffs/asharp_128bpm.wav")
    assert gone.json()["success"] is True
    assert (await client.get("/riffs/available")).json()["available_keys"] == []


@pytest.mark.parametrize(
    "name", ["..%2f..%2fetc%2fpasswd", "%2e%2e", "gone.wav", "a%00.wav", "....//x.wav"]
)
async def test_path_tricks_find_nothing(client: Client, tmp_path: Path, name: str) -> None:
    put(tmp_path, "a_128bpm.wav")
    reply = await client.delete(f"/riffs/{name}")
    assert reply.status_code in {404, 405}
    assert reply.json()["success"] is False
    assert (tmp_path / "riffs" / "a_128bpm.wav").exists()


async def test_what_is_no_riff_is_not_taken(client: Client) -> None:
    assert (await client.post("/riffs", data={"key": "a"})).status_code == 400
    text = {"audio_file": ("a_120bpm.wav", b"text", "audio/wav")}
    assert (await client.post("/riffs", files=text)).status_code == 415
    program = {"audio_file": ("a_120bpm.exe", RIFF, "audio/wav")}
    assert (await client.post("/riffs", files=program)).json()[
        "filename"
    ] == "a_120bpm.wav"  # a WAV by its bytes
