"""What happens to every request.

Its id, its path prefix, its line in the log, headers of every reply; a reply where there is a bug,
or where the server is stopping.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loopwright.errors import ShuttingDown
from loopwright.http.draining import Draining
from loopwright.http.errors import error_response, internal_error
from loopwright.http.metrics import Metrics
from loopwright.http.state import set_log_fields
from loopwright.http.tracing import trace_fields

try:
    # here, since an import during a request waits for whatever library a loading model is mapping
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

log = structlog.get_logger()

QUIET_ROUTES = frozenset({"/health", "/health/live", "/health/ready", "/metrics"})
"""Routes that programs ask every few seconds; their lines in the log are of level debug."""

NO_STATUS = 499
"""Counted where nothing was sent: nginx's code for a client that has closed the connection."""

_REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)

NEW_WORK = frozenset({"POST", "PUT", "PATCH"})
"""Methods that are refused while the server stops. Reading and cancelling go on."""

SECURITY_HEADERS = {
    # seeds, prompts and states are for the client that asked, and change
    "Cache-Control": "no-store",
    # no page may show a reply in a frame
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    # a reply is what its Content-Type says, whatever it looks like
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class RequestMiddleware:
    """ASGI middleware that gives each request an id and a line in the log, and counts it.

    The id is the client's own ``X-Request-Id`` if that is well formed; the reply has it too.

    Args:
        app: The application inside.
        metrics: Where it is counted.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; the ASGI protocol."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent_id = Headers(scope=scope).get("x-request-id", "")
        request_id = sent_id if _REQUEST_ID.fullmatch(sent_id) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        method, status = scope["method"], None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                id_header = (b"x-request-id", request_id.encode())
                message["headers"] = [*message.get("headers", ()), id_header]
            await send(message)

        began = time.perf_counter()
        log_fields = {"request_id": request_id, **trace_fields(request_id)}
        with structlog.contextvars.bound_contextvars(**log_fields):
            await self._app(scope, receive, send_with_id)
            seconds = time.perf_counter() - began
            route = route_of(scope)
            self._metrics.count_request(method, route, status or NO_STATUS, seconds)
            say = log.debug if route in QUIET_ROUTES else log.info
            say(
                "request",
                **log_fields,
                method=method,
                path=scope["path"],
                status=status,
                seconds=round(seconds, 3),
                **getattr(Request(scope).state, "log_fields", {}),
                peak_memory_mb=_peak_memory_mb(),
            )


class InternalErrorMiddleware:
    """ASGI middleware that answers where an exception escapes a route.

    It logs enough of the request to send it again.

    Args:
        app: The application inside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; the ASGI protocol."""
        is_started = False

        async def watched_send(message: Message) -> None:
            nonlocal is_started
            is_started = True
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except Exception as error:
            if scope["type"] != "http":
                raise
            request_id = scope["state"]["request_id"]
            log.error(
                "bug",
                request_id=request_id,
                method=scope["method"],
                path=scope["path"],
                query=scope["query_string"].decode("latin-1"),
                content_type=Request(scope).headers.get("content-type"),
                received=getattr(Request(scope).state, "received", None),
                exc_info=error,
            )
            # once a reply has begun, its status is with the client: all that is left is to end it
            if not is_started:
                await internal_error(request_id)(scope, receive, send)


class HeadMiddleware:
    """ASGI middleware that answers HEAD as GET, without the body.

    Args:
        app: The application inside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; the ASGI protocol."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        as_get = {**scope, "method": "GET"}
        await self._app(as_get, receive, send_without_body)
        scope["route"] = as_get.get("route")  # for the log, which is outside


def route_of(scope: Scope) -> str:
    """Return the template of the API's route, such as ``/riffs/{filename}``; "": it has none."""
    return getattr(scope.get("route"), "path_format", "")


def _peak_memory_mb() -> int | None:
    """Return the most memory the process has used so far, in MB; None on Windows."""
    if resource is None:
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kilobytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // 1_000_000


class PrefixMiddleware:
    """ASGI middleware that answers under a path prefix, whether or not the proxy removes it.

    Args:
        app: The application inside.
        prefix: The path prefix, with or without slashes around it; "": none.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = f"/{prefix.strip('/')}" if prefix.strip("/") else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; the ASGI protocol."""
        if scope["type"] == "http" and self._prefix:
            path = scope["path"]
            has_prefix = path == self._prefix or path.startswith(f"{self._prefix}/")
            scope["root_path"] = self._prefix
            scope["path"] = path if has_prefix else self._prefix + path
        await self._app(scope, receive, send)


class SecurityHeadersMiddleware:
    """ASGI middleware that adds security headers to replies that have none of their own.

    Args:
        app: The application inside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; the ASGI protocol."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class DrainMiddleware:
    """ASGI middleware that refuses new work while the server stops, and answers what it ends.

    Args:
        app: The application inside.
        draining: Whether the server is stopping; every request counts as work.
    """

    def __init__(self, app: ASGIApp, draining: Draining) -> None:
        self._app = app
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; the ASGI protocol."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_started = False

        async def watched_send(message: Message) -> None:
            nonlocal is_started
            if message["type"] == "http.response.start":
                is_started = True
                if self._draining.has_begun:  # the client's next request goes to another server
                    close = (b"connection", b"close")
                    message = {**message, "headers": [*message.get("headers", ()), close]}
            await send(message)

        if self._draining.has_begun and scope["method"] in NEW_WORK:
            error = ShuttingDown(
                "the server is stopping and takes no new work; send the request again in a moment"
            )
            await _answer(error, scope, receive, watched_send)
            return
        try:
            with self._draining.work():
                await self._app(scope, receive, watched_send)
        except asyncio.CancelledError:
            if not self._draining.has_begun:
                raise
            if is_started:  # its status is with the client: all that is left is to end it
                return
            error = ShuttingDown(
                "the server stopped before the request was done; send it again in a moment"
            )
            await _answer(error, scope, receive, watched_send)


async def _answer(error: ShuttingDown, scope: Scope, receive: Receive, send: Send) -> None:
    set_log_fields(Request(scope), code=error.code, error=error.message)
    await error_response(error, scope["state"]["request_id"])(scope, receive, send)
