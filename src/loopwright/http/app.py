"""The ASGI application: which routes there are and what surrounds them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from loopwright import __version__
from loopwright.http import errors
from loopwright.http.middleware import PrefixMiddleware, RequestMiddleware
from loopwright.http.routes import generate, health, model, models, riffs
from loopwright.service import Service
from loopwright.settings import Settings

EXPOSED_HEADERS = [
    "Content-Disposition",
    "Retry-After",
    "X-Bars",
    "X-Bpm",
    "X-Duration-Seconds",
    "X-Generation-Time",
    "X-Request-Id",
    "X-Seed",
]


def create_app(settings: Settings, make_service: Callable[[Settings], Service]) -> FastAPI:
    """The app; its service is made when it starts, loads its model in the background, and is closed with it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.service = make_service(settings)
        app.state.service.preload()
        yield
        app.state.service.close()

    app = FastAPI(
        title="Loopwright",
        version=__version__,
        summary="A prompt in, a bar-exact stereo loop out.",
        lifespan=lifespan,
        middleware=[
            Middleware(PrefixMiddleware, prefix=settings.root_path),
            _cors(settings.cors_origins),
            Middleware(RequestMiddleware),
        ],
    )
    app.state.settings = settings
    errors.install(app)
    for routes in (health, model, generate, riffs, models):
        app.include_router(routes.router)
    return app


def _cors(origins: str) -> Middleware:
    return Middleware(
        CORSMiddleware,
        allow_origin_regex=origin_pattern(origins),
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=EXPOSED_HEADERS,
    )


def origin_pattern(origins: str) -> str:
    """A pattern for origins separated by commas; one without a port stands for all its ports, ``*`` for all."""
    names = [name.strip().rstrip("/") for name in origins.split(",") if name.strip()]
    if "*" in names:
        return ".*"
    return "|".join(re.escape(name) + ("" if re.search(r":\d+$", name) else r"(:\d+)?") for name in names) or "(?!)"
