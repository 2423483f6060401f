"""A client that closes its connection frees its place at the next step."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn

from loopwright.http.app import create_app
from loopwright.serving.active_run import ActiveRun
from loopwright.settings import Settings
from tests.fakes import FakeEngine, fake_service
from tests.waiting import PATIENCE, Gate, eventually, until

LOOP = {"prompt": "techno drums 140bpm", "bars": 1, "seed": 7, "steps": 100}


@contextmanager
def listening(engine: FakeEngine) -> Iterator[str]:
    """Serve a fake engine on a socket, since a client over ASGI never closes a connection."""
    app = create_app(Settings(), lambda settings: fake_service(lambda _: engine, settings=settings))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            until(lambda: server.started)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


async def test_a_client_that_goes_away_frees_its_place(runs: list[ActiveRun]) -> None:
    engine = FakeEngine(gate=Gate())
    with listening(engine) as url:
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as client:

            async def depth() -> int:
                found: int = (await client.get("/health")).json()["queue_depth"]
                return found

            async def is_idle() -> bool:
                return await depth() == 0

            asked = asyncio.ensure_future(client.post("/generate/loop", json=LOOP))
            await engine.gate.reached(1)
            assert await depth() == 1
            asked.cancel()
            await eventually(lambda: runs[0].is_cancelled)
            assert await depth() == 1  # the worker is in a step
            engine.gate.open()
            await eventually(is_idle)
            assert engine.forwards == 1
            assert (await client.post("/generate/loop", json=LOOP)).status_code == 200
