"""The whole service over ASGI, with an engine that needs no weights."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
import pytest

from loopwright.engine.base import ModelKey
from loopwright.engine.registry import Load
from loopwright.generation.service import Service
from loopwright.http.app import create_app
from loopwright.loading.hub import Hub
from loopwright.settings import Settings
from tests.fakes import KEY, fake_service

Client = httpx.AsyncClient
Connect = Callable[..., AbstractAsyncContextManager[Client]]


@asynccontextmanager
async def connected(
    load: Load | None = None,
    *,
    max_requests: int = 36,
    raise_errors: bool = False,
    hub: Hub | None = None,
    key: ModelKey = KEY,
    **settings: object,
) -> AsyncIterator[Client]:
    """A client of an app whose models are loaded by ``load``."""

    def make_service(made: Settings) -> Service:
        return fake_service(load, max_requests=max_requests, settings=made, hub=hub, key=key)

    app = create_app(Settings(**settings), make_service)  # type: ignore[arg-type]
    transport = httpx.ASGITransport(app, raise_app_exceptions=raise_errors)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        yield client


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with connected() as client:
        yield client
