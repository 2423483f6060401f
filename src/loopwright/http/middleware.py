"""What happens to every request: its id, its path prefix, its line in the log, a clean reply where we have a bug."""

from __future__ import annotations

import re
import sys
import time
import uuid

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loopwright.http.errors import internal_error

try:
    import resource  # here, for an import in the middle of a request waits for whatever library a model's load is mapping
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

log = structlog.get_logger()

_REQUEST_ID = re.compile(rb"[\w.-]{1,64}", re.ASCII)


class RequestMiddleware:
    """Gives each request an id (the client's own ``X-Request-Id`` if sane) and a line in the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; the ASGI protocol."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        method, status = scope["method"], None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        began = time.perf_counter()
        await self._app(scope, receive, send_with_id)
        seconds = round(time.perf_counter() - began, 3)
        log.info(
            "request",
            request_id=request_id,
            method=method,
            path=scope["path"],
            status=status,
            seconds=seconds,
            **getattr(Request(scope).state, "facts", {}),
            peak_memory_mb=_peak_memory_mb(),
        )


class InternalErrorMiddleware:
    """Answers where we have a bug, and logs enough of the request to send it again."""

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
            if not is_started:
                await internal_error(request_id)(scope, receive, send)


class HeadMiddleware:
    """Answers HEAD wherever GET is answered: the same reply without its body."""

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

        await self._app({**scope, "method": "GET"}, receive, send_without_body)


def _peak_memory_mb() -> int | None:
    """The most memory the process has used so far, in MB; None where the system does not tell."""
    if resource is None:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // 1_000_000


class PrefixMiddleware:
    """Answers under a path prefix, whether or not the proxy before it takes the prefix off."""

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


def _request_id(scope: Scope) -> str:
    sent = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return sent.decode() if _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex
