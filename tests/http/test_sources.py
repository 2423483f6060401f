"""Audio that clients send, for each kind of generation, and everything that is not audio."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from tests.http.conftest import Client, connected
from tests.sounds import drums, encoded, tone

STYLE = {"prompt": "house drums", "seed": "3", "style_strength": "0.6", "return_format": "base64"}
LOOP = {"prompt": "techno drums 140bpm", "seed": "7", "bars": "2", "return_format": "base64"}
WAV = encoded(tone(440))


def file(data: bytes, name: str = "combined_loop.wav") -> dict[str, tuple[str, bytes, str]]:
    return {"audio_file": (name, data, "audio/wav")}


async def test_a_style_transfer(client: Client) -> None:
    reply = await client.post(
        "/generate/style-transfer", data=STYLE, files=file(encoded(tone(440, 2, channels=1)))
    )
    metadata = reply.json()["metadata"]
    assert (metadata["style_strength"], metadata["input_audio_shape"]) == (0.6, [1, 88200])
    assert metadata["duration_seconds"] == pytest.approx(11.889, abs=0.001)
    as_file = await client.post(
        "/generate/style-transfer", data={**STYLE, "return_format": "file"}, files=file(WAV)
    )
    assert 'filename="style_transfer_3_' in as_file.headers["content-disposition"]


async def test_a_style_transfer_in_json(client: Client) -> None:
    for text in (
        base64.b64encode(WAV).decode(),
        f"data:audio/wav;base64,{base64.b64encode(WAV).decode()}",
    ):
        reply = await client.post("/generate/style-transfer", json={**STYLE, "audio_base64": text})
        assert reply.json()["metadata"]["input_audio_shape"] == [2, 44100]


async def test_a_loop_from_audio(client: Client) -> None:
    metadata = (await client.post("/generate/loop", data=LOOP, files=file(WAV))).json()["metadata"]
    assert (metadata["style_transfer"], metadata["style_strength"]) == (True, 0.8)
    plain = (await client.post("/generate/loop", data=LOOP)).json()["metadata"]
    assert (plain["style_transfer"], plain["style_strength"]) == (False, None)


async def test_a_guided_loop(client: Client) -> None:
    reply = await client.post(
        "/generate/loop-guided", data={**LOOP, "guidance_mask": "first_bar"}, files=file(WAV)
    )
    metadata = reply.json()["metadata"]
    assert (metadata["steps"], metadata["bars"], metadata["guidance_strength"]) == (50, 2, 1.0)
    as_file = await client.post(
        "/generate/loop-guided", data={**LOOP, "return_format": "file"}, files=file(WAV)
    )
    assert 'filename="guided_loop_' in as_file.headers["content-disposition"]


async def test_silence_is_taken_with_a_warning(client: Client) -> None:
    silence = encoded(np.zeros((2, 44100), np.float32))
    reply = await client.post("/generate/loop", data=LOOP, files=file(silence))
    assert "the source audio is silent" in reply.json()["metadata"]["warnings"]


@pytest.mark.parametrize("path", ["/generate/style-transfer", "/generate/loop-guided"])
async def test_audio_that_is_missing(client: Client, path: str) -> None:
    reply = await client.post(path, data=LOOP)
    assert (reply.status_code, reply.json()["field"], reply.json()["code"]) == (
        400,
        "audio_file",
        "missing_parameter",
    )


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 415),
        (b"I am a text file", 415),
        (WAV[:30_000], 415),
        (encoded(np.full((2, 1000), np.nan, np.float32), subtype="FLOAT"), 415),
        (encoded(np.zeros((1, 601 * 8000), np.float32), 8000, "FLAC"), 413),
        (encoded(tone(440, channels=9)), 413),
    ],
    ids=["empty", "text", "truncated", "NaN", "ten minutes and a second", "nine channels"],
)
async def test_what_is_no_audio_is_refused_in_a_sentence(
    client: Client, data: bytes, status: int
) -> None:
    for path in ("/generate/style-transfer", "/generate/loop", "/generate/loop-guided"):
        reply = await client.post(path, data=LOOP, files=file(data))
        said = reply.json()
        assert (reply.status_code, said["field"], said["success"]) == (
            status,
            "audio_file",
            False,
        ), said
        assert said["error"].startswith("audio_file ")
    assert (await client.post("/generate/loop", data=LOOP, files=file(WAV))).status_code == 200


@pytest.mark.parametrize("text", ["not base64!", 7, ["a"], {"a": 1}])
async def test_base64_that_is_none(client: Client, text: object) -> None:
    reply = await client.post("/generate/loop", json={**LOOP, "audio_base64": text})
    assert (reply.status_code, reply.json()["field"]) == (400, "audio_base64")


async def test_audio_sent_as_text_or_twice(client: Client) -> None:
    reply = await client.post("/generate/loop", data={**LOOP, "audio_file": "loop.wav"})
    assert (reply.status_code, reply.json()["field"]) == (400, "audio_file")
    both = await client.post(
        "/generate/loop", data={**LOOP, "audio_base64": "AAAA"}, files=file(WAV)
    )
    assert (both.status_code, both.json()["field"]) == (400, "audio_base64")


async def test_a_browsers_empty_file_field_is_no_file(client: Client) -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\ndrums 140bpm\r\n'
        b'--b\r\nContent-Disposition: form-data; name="audio_file"; filename=""\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n\r\n--b--\r\n"
    )
    reply = await client.post(
        "/generate/loop", content=body, headers={"content-type": "multipart/form-data; boundary=b"}
    )
    assert reply.status_code == 200, reply.text


async def test_the_longest_upload_is_a_setting() -> None:
    async with connected(max_upload_seconds=1.0) as client:
        reply = await client.post("/generate/loop", data=LOOP, files=file(encoded(tone(440, 2))))
        assert reply.status_code == 413
        assert "at most 1 seconds" in reply.json()["error"]


async def test_a_field_sent_twice(client: Client) -> None:
    reply = await client.post("/generate/loop", data={"prompt": ["a 140bpm", "b 120bpm"]})
    assert (reply.status_code, reply.json()["field"]) == (400, "prompt")


async def test_drums_keep_the_model_busy_no_longer_than_it_takes(client: Client) -> None:
    """A long source costs no more than the window of it that is used."""
    reply = await client.post("/generate/loop", data=LOOP, files=file(encoded(drums(120, 64))))
    assert reply.json()["metadata"]["input_audio_shape"] == [2, 1411200]
