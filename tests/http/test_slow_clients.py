"""Clients that do not finish their request, or do not take their reply."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import structlog
from fastapi import FastAPI
from starlette.responses import Response

from loopwright.http.protocol import MIN_BODY_BYTES
from tests.fakes import FakeEngine
from tests.http.running import Running, running
from tests.http.test_nonsense import SHAPE
from tests.waiting import Gate, eventually

LIMIT = 0.3
SHORT: dict[str, Any] = {"header_timeout_seconds": LIMIT, "body_timeout_seconds": LIMIT}
LOOP = {"prompt": "techno drums 140bpm", "bars": 1, "seed": 7}
BODY = json.dumps(LOOP).encode()
HEAD = b"POST /generate/loop HTTP/1.1\r\nHost: x\r\n"
GET = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


def with_length(length: int) -> bytes:
    return HEAD + f"Content-Length: {length}\r\n\r\n".encode()


async def rest_of(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the server closes the connection."""
    received = bytearray()
    with suppress(ConnectionResetError):
        while chunk := await reader.read(1 << 16):
            received += chunk
    return bytes(received)


async def sent(here: Running, *parts: bytes, pause: float = 0) -> bytes:
    """Send parts over a connection of its own, and return all that the server answers."""
    reader, writer = await asyncio.open_connection(*here.address)
    answer = asyncio.ensure_future(rest_of(reader))
    for part in parts:
        if not answer.done():
            writer.write(part)
            await asyncio.sleep(pause)
    received = await answer
    writer.close()
    return received


def error_of(received: bytes) -> tuple[int, dict[str, object]]:
    """Check that a reply is an error in the contract's shape; return its status and body."""
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    said: dict[str, object] = json.loads(body)
    assert set(said) == SHAPE
    assert said["success"] is False
    assert "content-type: application/json" in lines
    assert f"content-length: {len(body)}" in lines
    assert f"x-request-id: {said['request_id']}" in lines
    assert "connection: close" in lines
    return int(lines[0].split()[1]), said


HALF = [
    (GET[:20], "headers"),
    (HEAD, "headers"),
    (with_length(1000), "body"),
    (with_length(1000) + BODY, "body"),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", "body"),
    (with_length(1000).replace(b"/loop", b"/style-transfer"), "body"),
]


@pytest.mark.parametrize(("half", "what"), HALF)
async def test_half_a_request_is_closed_with_a_reason(half: bytes, what: str) -> None:
    async with running(**SHORT) as here:
        status, said = error_of(await sent(here, half))
        assert (status, said["code"]) == (408, "too_slow")
        assert what in str(said["error"])
        assert (await here.client.get("/health/live")).status_code == 200


async def test_a_client_that_says_nothing_is_closed_without_a_word() -> None:
    async with running(**SHORT) as here:
        assert await sent(here) == b""


async def test_a_client_that_does_not_close_is_closed() -> None:
    async with running(**SHORT) as here:
        client = socket.create_connection(here.address)
        client.sendall(GET[:20])
        await eventually(lambda: here.server.server_state.connections)
        await eventually(lambda: not here.server.server_state.connections)
        assert error_of(client.recv(1 << 16))[0] == 408  # there all the same
        client.close()
        assert not here.serving.done()


async def test_headers_have_a_limit_in_all_however_often_some_come() -> None:
    async with running(**SHORT) as here:
        drops = [bytes([byte]) for byte in HEAD + b"X-Long: " + b"x" * 100]
        status, said = error_of(await sent(here, *drops[:50], pause=LIMIT / 20))
        assert (status, said["code"]) == (408, "too_slow")


async def test_a_byte_of_the_body_now_and_then_is_no_progress() -> None:
    async with running(**SHORT) as here:
        drops = [bytes([byte]) for byte in b" " * 50]
        status, _ = error_of(await sent(here, with_length(1000), *drops, pause=LIMIT / 20))
        assert status == 408


async def test_a_body_that_comes_slowly_but_steadily_is_taken() -> None:
    async with running(**SHORT) as here:
        reader, writer = await asyncio.open_connection(*here.address)
        pieces = [b" " * MIN_BODY_BYTES] * 12
        writer.write(with_length(len(BODY) + len(b"".join(pieces))))
        for piece in pieces:  # 1.2 times the limit in all
            writer.write(piece)
            await asyncio.sleep(LIMIT / 10)
        writer.write(BODY)
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        writer.close()


async def test_time_that_the_server_needs_is_not_the_clients() -> None:
    engine = FakeEngine(gate=Gate())
    async with running(engine, **SHORT) as here:
        asked = asyncio.ensure_future(here.client.post("/generate/loop", json=LOOP))
        await engine.gate.reached(1)
        await asyncio.sleep(3 * LIMIT)
        engine.gate.open()
        assert (await asked).status_code == 200


async def test_an_idle_connection_is_kept_as_before() -> None:
    async with running(**SHORT) as here:
        reader, writer = await asyncio.open_connection(*here.address)
        for _ in range(2):
            writer.write(GET)
            assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
            await reader.readuntil(b"}")
            await asyncio.sleep(3 * LIMIT)
        writer.write(GET[:20])  # and half a request on it is closed as on a new one
        assert error_of(await rest_of(reader))[0] == 408
        writer.close()


async def test_a_body_that_nobody_reads_has_the_same_limit() -> None:
    """The reply comes before the body: it is too large."""
    async with running(max_body_bytes=1000, **SHORT) as here:
        received = await sent(here, with_length(10_000), b" " * 10)
        assert b"413 " in received.split(b"\r\n")[0]


def add_large(app: FastAPI) -> None:
    async def large() -> Response:
        return Response(bytes(20_000_000))

    app.add_api_route("/large", large, response_model=None)


async def test_a_client_that_reads_a_byte_now_and_then_is_closed() -> None:
    async with running(None, add_large, **SHORT) as here:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, here.address)
        await loop.sock_sendall(client, GET.replace(b"/health/live", b"/large"))
        await eventually(lambda: len(here.server.server_state.connections) == 1)
        taken = 0
        while here.server.server_state.connections:
            taken += len(await loop.sock_recv(client, 1))
            await asyncio.sleep(LIMIT / 20)
        assert 0 < taken < 20_000_000
        client.close()
        assert (await here.client.get("/health/live")).status_code == 200


async def test_a_client_that_reads_slowly_but_steadily_gets_all() -> None:
    async with running(None, add_large, **SHORT) as here:
        reader, writer = await asyncio.open_connection(*here.address, limit=1 << 18)
        writer.write(GET.replace(b"/health/live", b"/large"))
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(20):
            await reader.readexactly(1_000_000)
            await asyncio.sleep(LIMIT / 10)
        writer.close()


BAD = [
    b"nonsense\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
    HEAD + b"X: " + b"x" * 100_000,
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nno chunk\r\n",
]


@pytest.mark.parametrize("bad", BAD)
async def test_what_is_no_http_is_answered_as_every_error(bad: bytes) -> None:
    async with running() as here:
        status, said = error_of(await sent(here, bad))
        assert (status, said["code"]) == (400, "invalid_http")
        assert (await here.client.get("/health/live")).status_code == 200


@pytest.mark.parametrize("what", ["websocket", "h2c"])
async def test_an_upgrade_is_a_request_like_any_other(what: str) -> None:
    async with running() as here:
        reply = await here.client.get(
            "/health/live", headers={"Connection": "Upgrade", "Upgrade": what}
        )
        assert reply.json() == {"status": "alive"}


async def test_a_client_that_goes_away_amid_its_body_is_no_bug() -> None:
    async with running() as here:
        with structlog.testing.capture_logs() as lines:
            _, writer = await asyncio.open_connection(*here.address)
            writer.write(with_length(1000))
            await eventually(lambda: here.server.server_state.tasks)
            writer.close()
            await eventually(lambda: not here.server.server_state.tasks)
        assert lines == []


async def test_a_bug_outside_of_all_middleware_is_answered_as_every_error() -> None:
    def prepare(app: FastAPI) -> None:
        async def broken(*_: object) -> AsyncIterator[None]:
            raise RuntimeError("a bug")

        app.add_middleware(lambda _: broken)  # type: ignore[arg-type]

    async with running(None, prepare) as here:
        reply = await here.client.get("/health")
        assert (reply.status_code, reply.json()["code"]) == (500, "internal_error")
        assert set(reply.json()) == SHAPE
