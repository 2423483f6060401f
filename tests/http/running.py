"""The web server as it is, on a socket, with an engine that needs no weights."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from fastapi import FastAPI

from loopwright.http.app import create_app
from loopwright.http.server import Server, make_server
from loopwright.settings import Settings
from tests.fakes import FakeEngine, fake_service
from tests.waiting import PATIENCE, eventually


@dataclass
class Running:
    """A server in the test's own event loop, and a client of it."""

    server: Server
    serving: asyncio.Task[None]
    client: httpx.AsyncClient
    address: tuple[str, int]

    def signal(self) -> None:
        """Do what SIGTERM does."""
        self.server.handle_exit(signal.SIGTERM, None)

    async def is_draining(self) -> bool:
        said: dict[str, str] = (await self.client.get("/health/ready")).json()
        return said == {"status": "draining"}

    async def ended(self) -> None:
        """Wait until the server has ended."""
        await asyncio.wait_for(self.serving, PATIENCE)


@asynccontextmanager
async def running(
    engine: FakeEngine | None = None,
    prepare: Callable[[FastAPI], None] = lambda _: None,
    **settings: object,
) -> AsyncIterator[Running]:
    """Run a server.

    Args:
        engine: The engine of its model.
        prepare: Called with the app before it starts.
        settings: What differs from the defaults.
    """
    engine = engine or FakeEngine()
    made = Settings(**settings)  # type: ignore[arg-type]
    app = create_app(made, lambda chosen: fake_service(lambda _: engine, settings=chosen))
    prepare(app)
    server = make_server(app, made)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        # serve() would take the signals of the tests' process
        serving = asyncio.ensure_future(server._serve([listener]))
        try:
            async with httpx.AsyncClient(
                base_url=f"http://{address[0]}:{address[1]}", timeout=PATIENCE
            ) as client:
                await eventually(lambda: server.started)
                yield Running(server, serving, client, address)
        finally:
            engine.gate.open()
            for _ in range(2):
                server.handle_exit(signal.SIGTERM, None)
            await asyncio.wait_for(serving, PATIENCE)
