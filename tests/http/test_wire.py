"""What surrounds every reply: origins, HEAD, warnings in a header, what a bug leaves in the log."""

from __future__ import annotations

import json

import pytest
import structlog

from loopwright.http.warnings_header import MAX_HEADER_CHARACTERS, warnings_header
from loopwright.system.logs import configure_logs
from tests.fakes import FakeEngine
from tests.http.conftest import Client, connected
from tests.sounds import encoded, tone

LOOP = {"prompt": "techno drums 140bpm", "seed": 7}


@pytest.mark.parametrize("path", ["/health", "/unknown", "/docs"])
async def test_every_reply_has_security_headers(client: Client, path: str) -> None:
    reply = await client.get(path)
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["content-security-policy"] == "frame-ancestors 'none'"
    assert reply.headers["x-frame-options"] == "DENY"
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert reply.headers["cache-control"] == "no-store"


def preflight(origin: str, **more: str) -> dict[str, str]:
    return {"origin": origin, "access-control-request-method": "POST", **more}


ALLOWED = [
    "null",
    "http://localhost:5173",
    "https://localhost",
    "http://127.0.0.1:80",
    "http://[::1]:3000",
    "capacitor://localhost",
    "ionic://localhost",
    "tauri://localhost",
    "http://tauri.localhost",
    "https://tauri.localhost",
]


@pytest.mark.parametrize("origin", ALLOWED)
async def test_pages_of_this_machine_and_app_shells_may_call(client: Client, origin: str) -> None:
    private = preflight(origin, **{"access-control-request-private-network": "true"})
    reply = await client.options("/generate/loop", headers=private)
    assert reply.status_code == 200
    assert reply.headers["access-control-allow-private-network"] == "true"
    for answer in (reply, await client.get("/health", headers={"origin": origin})):
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["access-control-allow-credentials"] == "true"
    exposed = (await client.get("/health", headers={"origin": origin})).headers[
        "access-control-expose-headers"
    ]
    assert {"X-Seed", "X-Warnings", "X-Request-Id", "X-Bpm"} <= set(exposed.split(", "))


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://localhost.evil.example", "http://localhost:80.evil"]
)
async def test_a_refused_preflight_is_an_error_like_every_other(
    client: Client, origin: str
) -> None:
    reply = await client.options("/generate/loop", headers=preflight(origin))
    said = reply.json()
    assert (reply.status_code, said["code"], said["success"]) == (400, "origin_not_allowed", False)
    assert said["request_id"] == reply.headers["x-request-id"]
    assert f'got "{origin}"' in said["error"]
    assert "access-control-allow-origin" not in reply.headers


async def test_all_origins_means_without_credentials() -> None:
    async with connected(cors_origins="*") as client:
        reply = await client.get("/health", headers={"origin": "https://any.example"})
    assert reply.headers["access-control-allow-origin"] == "https://any.example"
    assert "access-control-allow-credentials" not in reply.headers


@pytest.mark.parametrize(
    "path",
    ["/health", "/health/live", "/model/info", "/models/status", "/riffs/available", "/docs"],
)
async def test_head_answers_wherever_get_does(client: Client, path: str) -> None:
    await client.get("/model/info")  # waits for the model: /health says more once it is loaded
    got, head = await client.get(path), await client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    assert head.headers["content-length"] == got.headers["content-length"]


async def test_head_of_what_is_only_posted_to_is_405(client: Client) -> None:
    assert (await client.head("/generate/loop")).status_code == 405


@pytest.mark.parametrize("more", [{}, {"n": 2}, {"return_format": "base64"}])
async def test_warnings_reach_every_kind_of_reply(client: Client, more: dict[str, object]) -> None:
    reply = await client.post("/generate/loop", json={**LOOP, **more, "stpes": 3, "ударные": 1})
    assert json.loads(reply.headers["x-warnings"]) == [
        "unknown field `stpes` was ignored",
        "unknown field `ударные` was ignored",
    ]
    assert reply.headers["x-warnings"].isascii()
    assert "x-warnings" not in (await client.post("/generate/loop", json={**LOOP, **more})).headers


async def test_what_was_cut_or_repaired_is_a_warning(client: Client) -> None:
    long = {"audio_file": ("x.wav", encoded(tone(440, 20)))}
    reply = await client.post("/generate/loop", data={**LOOP, "bars": "2"}, files=long)
    assert json.loads(reply.headers["x-warnings"]) == [
        "audio_file is 20.00 s long; the first 3.43 s of it were used"
    ]
    piped = bytearray(encoded(tone(440, 3)))
    piped[40:44] = b"\xff" * 4
    reply = await client.post(
        "/generate/style-transfer", data=LOOP, files={"audio_file": ("x.wav", bytes(piped))}
    )
    assert "audio_file does not say how long it is" in reply.headers["x-warnings"]


@pytest.mark.parametrize(
    "warnings", [["x" * 10_000], ["ü" * 2000] * 50, [f"warning {n}" for n in range(1000)]]
)
def test_a_header_of_warnings_is_never_too_long(warnings: list[str]) -> None:
    header = warnings_header(warnings)
    assert len(header) <= MAX_HEADER_CHARACTERS
    assert header.isascii()
    assert json.loads(header)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("prefix", ["", "/audio"])
async def test_what_programs_ask_all_the_time_is_logged_for_debugging_only(
    method: str, prefix: str
) -> None:
    configure_logs("debug", "console")
    try:
        async with connected(root_path="/audio") as client:
            with structlog.testing.capture_logs() as lines:
                for path in ("/health", "/health/live", "/health/ready", "/model/info", "/healthy"):
                    await client.request(method, prefix + path)
    finally:
        configure_logs("warning", "console")
    levels = [line["log_level"] for line in lines if line["event"] == "request"]
    assert levels == ["debug", "debug", "debug", "info", "info"]


async def test_a_bug_logs_enough_to_send_its_request_again() -> None:
    async with connected(lambda _: FakeEngine()) as client:
        with structlog.testing.capture_logs() as lines:
            reply = await client.post(
                "/generate/loop",
                data={"prompt": "FAIL 120bpm"},
                files={"audio_file": ("x", encoded(tone(1)))},
            )
    assert (reply.status_code, reply.json()["code"]) == (500, "internal_error")
    (line,) = (line for line in lines if line["event"] == "bug")
    assert (line["method"], line["path"]) == ("POST", "/generate/loop")
    assert line["received"]["fields"] == {"prompt": '"FAIL 120bpm"'}
    assert line["received"]["file_bytes"] == {"audio_file": len(encoded(tone(1)))}
    assert line["content_type"].startswith("multipart/form-data")
