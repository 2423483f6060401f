"""A server that is told to stop: what it still does, what it refuses, and when it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import StreamingResponse

from loopwright.serving.active_run import ActiveRun
from tests.fakes import FakeEngine
from tests.http.running import running
from tests.http.test_nonsense import SHAPE
from tests.waiting import PATIENCE, Gate, eventually

LOOP = {"prompt": "techno drums 140bpm", "bars": 1, "seed": 7, "steps": 100}


async def test_running_work_ends_and_new_work_is_refused() -> None:
    engine = FakeEngine(gate=Gate())
    async with running(engine) as here:
        asked = asyncio.ensure_future(here.client.post("/generate/loop", json=LOOP))
        await engine.gate.reached(1)
        assert (await here.client.get("/health/ready")).status_code == 200
        here.signal()
        await eventually(here.is_draining)
        ready = await here.client.get("/health/ready")
        assert (ready.status_code, ready.headers["connection"]) == (503, "close")
        health = await here.client.get("/health")
        assert (health.status_code, health.json()["status"]) == (200, "draining")
        assert "loopwright_ready 0.0\n" in (await here.client.get("/metrics")).text
        for path in ("/generate/loop", "/models/switch", "/riffs", "/unknown"):
            refused = await here.client.post(path, json=LOOP, headers={"origin": "null"})
            assert (refused.status_code, refused.json()["code"]) == (503, "shutting_down")
            assert set(refused.json()) == SHAPE
            assert int(refused.headers["retry-after"]) > 0
            assert refused.headers["access-control-allow-origin"] == "null"
            assert refused.headers["x-request-id"] == refused.json()["request_id"]
        assert not here.serving.done()
        engine.gate.open()
        done = await asked
        assert (done.status_code, done.headers["content-type"]) == (200, "audio/wav")
        await here.ended()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*here.address)


async def test_work_that_takes_longer_than_the_grace_is_ended(runs: list[ActiveRun]) -> None:
    engine = FakeEngine(gate=Gate())
    async with running(engine, shutdown_grace_seconds=0.3) as here:
        asked = asyncio.ensure_future(here.client.post("/generate/loop", json=LOOP))
        await engine.gate.reached(1)
        here.signal()
        reply = await asked
        assert (reply.status_code, reply.json()["code"]) == (503, "shutting_down")
        assert set(reply.json()) == SHAPE
        assert int(reply.headers["retry-after"]) > 0
        assert runs[0].is_cancelled
        engine.gate.open()
        await here.ended()


async def test_the_second_signal_ends_at_once(runs: list[ActiveRun]) -> None:
    engine = FakeEngine(gate=Gate())
    async with running(engine, shutdown_grace_seconds=10 * PATIENCE) as here:
        asked = asyncio.ensure_future(here.client.post("/generate/loop", json=LOOP))
        await engine.gate.reached(1)
        here.signal()
        await eventually(here.is_draining)
        here.signal()
        reply = await asked
        assert (reply.status_code, reply.json()["code"]) == (503, "shutting_down")
        assert runs[0].is_cancelled
        engine.gate.open()
        await here.ended()


def add_streams(app: FastAPI) -> None:
    async def events() -> AsyncIterator[str]:
        yield "event: hello\n\n"
        await app.state.draining.wait()
        yield "event: draining\n\n"

    async def deaf() -> AsyncIterator[str]:
        yield "event: hello\n\n"
        await asyncio.sleep(10 * PATIENCE)

    async def stream(request: Request) -> StreamingResponse:
        text = deaf() if "deaf" in request.url.path else events()
        return StreamingResponse(text, media_type="text/event-stream")

    app.add_api_route("/events", stream, response_model=None)
    app.add_api_route("/deaf", stream, response_model=None)


async def test_streams_end_with_an_event() -> None:
    async with (
        running(FakeEngine(), add_streams, shutdown_grace_seconds=10 * PATIENCE) as here,
        here.client.stream("GET", "/events") as stream,
    ):
        lines = stream.aiter_lines()
        assert await anext(lines) == "event: hello"
        here.signal()
        assert [line async for line in lines] == ["", "event: draining", ""]
        await here.ended()


async def test_a_stream_that_does_not_listen_is_ended_after_the_grace() -> None:
    async with (
        running(FakeEngine(), add_streams, shutdown_grace_seconds=0.3) as here,
        here.client.stream("GET", "/deaf") as stream,
    ):
        lines = stream.aiter_lines()
        assert await anext(lines) == "event: hello"
        here.signal()
        with pytest.raises(httpx.RemoteProtocolError):
            assert [line async for line in lines] == []
        await here.ended()


async def test_an_idle_server_ends_without_waiting() -> None:
    async with running(FakeEngine(), shutdown_grace_seconds=10 * PATIENCE) as here:
        assert (await here.client.get("/health/live")).status_code == 200
        here.signal()
        await here.ended()


async def test_a_reply_that_is_being_taken_counts_as_work() -> None:
    """Its request is done, and what is left lies in the server's buffer."""
    engine = FakeEngine()
    async with running(engine, shutdown_grace_seconds=PATIENCE) as here:
        reader, writer = await asyncio.open_connection(*here.address, limit=1024)
        body = json.dumps({**LOOP, "n": 8, "bars": 8, "prompt": "techno drums 170bpm"}).encode()
        head = f"POST /generate/loop HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        reply = await reader.readuntil(b"\r\n\r\n")
        assert b"200 OK" in reply
        here.signal()
        await eventually(here.is_draining)
        length = int(reply.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        assert len(await reader.readexactly(length)) == length
        writer.close()
        await here.ended()
