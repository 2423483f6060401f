"""The ASGI application: which routes there are and what surrounds them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from http import HTTPStatus

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import ALL_METHODS, CORSMiddleware
from starlette.types import Receive, Scope, Send

from loopwright import __version__
from loopwright.errors import InvalidInput, shown
from loopwright.generation.loop_service import LoopService, ServiceStatus
from loopwright.http import errors
from loopwright.http.draining import Draining
from loopwright.http.errors import error_response
from loopwright.http.metrics import Metrics
from loopwright.http.middleware import (
    QUIET_ROUTES,
    DrainMiddleware,
    HeadMiddleware,
    InternalErrorMiddleware,
    PrefixMiddleware,
    RequestMiddleware,
    SecurityHeadersMiddleware,
)
from loopwright.http.routes import generate, health, metrics, model, models, riffs
from loopwright.http.tracing import NO_TRACES, Tracing
from loopwright.settings import Settings
from loopwright.system.measurements import listening

EXPOSED_HEADERS = [
    "Content-Length",
    "Content-Disposition",
    "Retry-After",
    "X-Bars",
    "X-Bpm",
    "X-Duration-Seconds",
    "X-Generation-Time",
    "X-Request-Id",
    "X-Seed",
    "X-Warnings",
]


def create_app(settings: Settings, make_service: Callable[[Settings], LoopService]) -> FastAPI:
    """Return the ASGI application.

    Args:
        settings: The settings of the server.
        make_service: Makes the service when the app starts. Its model is loaded in the background,
            and it is closed with the app.
    """
    endpoint = settings.otel_endpoint
    tracing = None if endpoint is None else Tracing(endpoint, untraced=QUIET_ROUTES)

    def status() -> ServiceStatus:
        service: LoopService = app.state.service
        return service.status()

    draining = Draining()
    measured = Metrics(status, draining)
    app = FastAPI(
        title="Loopwright",
        version=__version__,
        summary="A prompt in, a bar-exact stereo loop out.",
        lifespan=_lifespan(settings, make_service, measured, tracing),
        telemetry=NO_TRACES if tracing is None else tracing.config,
        middleware=[
            Middleware(RequestMiddleware, metrics=measured),
            Middleware(SecurityHeadersMiddleware),
            Middleware(PrefixMiddleware, prefix=settings.root_path),
            Middleware(
                _CorsMiddleware,
                allow_origin_regex=origin_pattern(settings.cors_origins),
                allow_methods=ALL_METHODS,
                allow_headers=["*"],
                # credentials need origins that are named; `*` means public use without them
                allow_credentials="*" not in settings.cors_origins,
                # pages of the web may call a server in a private network (Private Network Access)
                allow_private_network=True,
                expose_headers=EXPOSED_HEADERS,
            ),
            Middleware(HeadMiddleware),
            # inside CORS, or a page could not read what went wrong
            Middleware(InternalErrorMiddleware),
            Middleware(DrainMiddleware, draining=draining),
        ],
    )
    app.state.settings = settings
    app.state.metrics = measured
    app.state.draining = draining
    errors.install(app)
    for routes in (health, metrics, model, generate, riffs, models):
        app.include_router(routes.router)
    return app


def _lifespan(
    settings: Settings,
    make_service: Callable[[Settings], LoopService],
    measured: Metrics,
    tracing: Tracing | None,
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Return what makes and starts the service with the app, and closes it with the app."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.service = make_service(settings)
        with ExitStack() as listeners:
            listeners.enter_context(listening(measured.take))
            if tracing is not None:
                listeners.enter_context(listening(tracing.take))
            app.state.service.start()
            yield
        app.state.service.close()
        if tracing is not None:
            await asyncio.to_thread(tracing.close)

    return lifespan


class _CorsMiddleware(CORSMiddleware):
    """Starlette's CORS middleware, but it refuses in the shape of all of Loopwright's errors."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight that is not allowed; leave all else to Starlette."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        is_preflight = scope["type"] == "http" and scope["method"] == "OPTIONS"
        if is_preflight and "access-control-request-method" in headers and "origin" in headers:
            response = self.preflight_response(headers)
            if response.status_code != HTTPStatus.OK:
                response = error_response(self._refusal(headers), scope["state"]["request_id"])
            await response(scope, receive, send)
            return
        await super().__call__(scope, receive, send)

    def _refusal(self, headers: Headers) -> InvalidInput:
        origin, method = headers["origin"], headers["access-control-request-method"]
        if self.is_allowed_origin(origin):
            return InvalidInput(
                f"method must be one of {', '.join(ALL_METHODS)}, got {shown(method)}",
                field="method",
            )
        return InvalidInput(
            f"origin must be one that may call this server from a browser, got {shown(origin)}; "
            "LOOPWRIGHT_CORS_ORIGINS lists them",
            field="origin",
            code="origin_not_allowed",
        )


def origin_pattern(origins: str) -> str:
    """Return a regular expression for origins.

    Args:
        origins: Origins separated by commas; one without a port stands for all its ports, ``*``
            for all origins.
    """
    patterns = list[str]()
    for origin in origins.split(","):
        name = origin.strip().rstrip("/")
        if name == "*":
            return ".*"
        if name:
            has_port = re.search(r":\d+$", name) is not None
            patterns.append(re.escape(name) + ("" if has_port else r"(:\d+)?"))
    return "|".join(patterns) or "(?!)"  # which matches nothing
