"""Bodies as clients write them, also wrongly: nothing that was sent is dropped without a word."""

from __future__ import annotations

import json

import pytest

from tests.http.conftest import Client
from tests.sounds import encoded, tone

WAV = encoded(tone(440))
LOOP = {"prompt": "techno drums 140bpm", "seed": "7", "return_format": "base64"}
MULTIPART = {"content-type": "multipart/form-data; boundary=b"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


def part(name: str, value: bytes, more: str = "") -> bytes:
    return (
        f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode()
        + value
        + b"\r\n"
    )


WHOLE = (
    part("prompt", b"techno drums 140bpm") + part("seed", b"7") + part("return_format", b"base64")
)


@pytest.mark.parametrize("lost", [1, 2, 4, 7, 40])
async def test_a_form_that_breaks_off_is_refused(client: Client, lost: int) -> None:
    """A client that counts characters instead of bytes sends too small a Content-Length."""
    body = WHOLE + part("audio_file", WAV, '; filename="x.wav"') + b"--b--\r\n"
    assert (await client.post("/generate/loop", content=body, headers=MULTIPART)).status_code == 200
    reply = await client.post("/generate/loop", content=body[: -lost - 2], headers=MULTIPART)
    assert (reply.status_code, reply.json()["code"]) == (400, "invalid_form"), reply.text
    assert "breaks off" in reply.json()["error"]


async def test_a_form_needs_no_line_break_at_its_end(client: Client) -> None:
    reply = await client.post("/generate/loop", content=WHOLE + b"--b--", headers=MULTIPART)
    assert reply.json()["metadata"]["seed"] == 7


@pytest.mark.parametrize("name", ["file", "audio", "Audio_File", "upload\0"])
async def test_a_file_under_another_name_is_refused_and_the_right_name_said(
    client: Client, name: str
) -> None:
    reply = await client.post("/generate/loop", data=LOOP, files={name: ("x.wav", WAV)})
    assert (reply.status_code, reply.json()["code"]) == (400, "unknown_file")
    assert "send the audio as audio_file" in reply.json()["error"]


@pytest.mark.parametrize("path", ["/generate", "/generate/loop-with-riff", "/generate/stack"])
async def test_audio_where_none_is_taken_is_refused(client: Client, path: str) -> None:
    fields = {**LOOP, "key": "a"}
    for sent in (
        {"data": fields, "files": {"audio_file": ("x.wav", WAV)}},
        {"json": {**fields, "audio_base64": "AAAA"}},
    ):
        reply = await client.post(path, **sent)
        assert (reply.status_code, reply.json()["code"]) == (400, "unknown_file")
        assert "takes no audio" in reply.json()["error"]


@pytest.mark.parametrize("path", ["/generate", "/generate/loop", "/riffs", "/models/switch"])
@pytest.mark.parametrize("field", ["prompt", "key", "model_type"])
async def test_a_file_in_a_field_of_text(client: Client, path: str, field: str) -> None:
    reply = await client.post(path, files={field: ("x.mp3", b"\0" * 300_000)})
    said = reply.json()
    assert (reply.status_code, said["field"]) == (400, field)
    assert "Upload(" not in said["error"]
    assert len(said["error"]) < 300


async def test_the_error_of_a_file_as_text_names_it(client: Client) -> None:
    said = (await client.post("/generate/loop", files={"prompt": ("x.mp3", b"abc")})).json()
    assert said["error"] == 'prompt must be text, got a file ("x.mp3", 3 bytes)'


async def test_a_file_with_a_name_in_rfc_5987_alone_is_a_file(client: Client) -> None:
    body = WHOLE + part("audio_file", WAV, "; filename*=UTF-8''na%20me.wav") + b"--b--\r\n"
    reply = await client.post("/generate/loop", content=body, headers=MULTIPART)
    assert reply.json()["metadata"]["input_audio_shape"] == [2, 44100]


@pytest.mark.parametrize(
    "raw", ["café".encode(), b"caf%C3%A9", "café".encode("latin-1"), b"caf%E9"]
)
async def test_a_form_in_any_encoding(client: Client, raw: bytes) -> None:
    body = b"prompt=" + raw + b"+drums+140bpm&return_format=base64"
    reply = await client.post("/generate/loop", content=body, headers=FORM)
    assert reply.json()["metadata"]["original_prompt"] == "café drums 140bpm"


async def test_json_that_is_called_a_form_is_read_with_a_warning(client: Client) -> None:
    """curl -d calls everything so."""
    reply = await client.post("/generate/loop", content=json.dumps(LOOP), headers=FORM)
    assert reply.json()["metadata"]["seed"] == 7
    assert "the body is JSON, but its Content-Type is" in reply.json()["metadata"]["warnings"][0]
    broken = await client.post("/generate/loop", content='{"prompt": ', headers=FORM)
    assert (broken.status_code, broken.json()["code"]) == (400, "invalid_json")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"[1]", "the body must be a JSON object, got [1]"),
        (b"true", "the body must be a JSON object, got true"),
        (b"NaN", "the body must be a JSON object, got NaN"),
        (b'{"a": }', "the body is not valid JSON: Expecting value at line 1, column 7"),
        (b'{"a": "\xff"}', "the body is not valid JSON: it must be UTF-8"),
        (
            b'{"prompt": "x", "seed": ' + b"9" * 5000 + b"}",
            "the body is JSON that is nested too deep",
        ),
        (b"[" * 100_000, "the body is JSON that is nested too deep"),
        (
            b'{"prompt": "x 120bpm", "seed": NaN}',
            "seed must be -1 (random) or a whole number from 0 to 4294967295, got NaN",
        ),
        (b'{"prompt": {"a": 1}}', 'prompt must be a text of 1 to 2000 characters, got {"a": 1}'),
        (b'{"prompt": "x 120bpm", "bars": true}', "bars must be `auto`, 1, 2, 4 or 8, got true"),
        (
            b'{"prompt": "x 120bpm", "bars": null, "steps": [8]}',
            "steps must be a whole number from 1 to 10,000, got [8]",
        ),
    ],
)
async def test_what_is_wrong_is_shown_as_json(client: Client, raw: bytes, said: str) -> None:
    reply = await client.post(
        "/generate/loop", content=raw, headers={"content-type": "application/json"}
    )
    assert reply.status_code == 400
    assert reply.json()["error"].startswith(said)


async def test_errors_of_audio_in_json_name_its_field(client: Client) -> None:
    reply = await client.post("/generate/loop", json={**LOOP, "audio_base64": "aGVsbG8="})
    assert (reply.status_code, reply.json()["field"]) == (415, "audio_base64")
    assert reply.json()["error"].startswith("audio_base64 is text, not audio")
    bad = await client.post(
        "/generate/loop", json={**LOOP, "audio_base64": "AAAA*AAA" + "A" * 100_000}
    )
    assert bad.json()["error"] == 'audio_base64 must be audio in base64: character 5 is "*"'
