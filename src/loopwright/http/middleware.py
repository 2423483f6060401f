"""What happens to every request: its id, its path prefix, its line in the log, a clean reply where we have a bug."""

from __future__ import annotations

import re
import sys
import time
import uuid
from collections.abc import MutableMapping
from typing import Any

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loopwright.http.errors import our_bug

try:
    import resource  # here, for an import in the middle of a request waits for whatever library a model's load is mapping
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

log = structlog.get_logger()

_REQUEST_ID = re.compile(rb"[\w.-]{1,64}", re.ASCII)


class RequestMiddleware:
    """Gives each request an id (the client's own ``X-Request-Id`` if sane), logs it, and catches our bugs."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; the ASGI protocol."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        reply = _Reply(send, request_id)
        began = time.perf_counter()
        try:
            await self._app(scope, receive, reply.send)
        except Exception as error:
            log.error("bug", request_id=request_id, path=scope["path"], exc_info=error)
            if reply.status is None:
                await our_bug(request_id)(scope, receive, reply.send)
        seconds = round(time.perf_counter() - began, 3)
        log.info(
            "request",
            request_id=request_id,
            method=scope["method"],
            path=scope["path"],
            status=reply.status,
            seconds=seconds,
            **getattr(Request(scope).state, "facts", {}),
            peak_memory_mb=_peak_memory_mb(),
        )


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


class _Reply:
    """Passes a reply on with its request id, and remembers its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            _add_header(message, b"x-request-id", self._request_id.encode())
        await self._send(message)


def _add_header(message: MutableMapping[str, Any], name: bytes, value: bytes) -> None:
    message["headers"] = [*message.get("headers", ()), (name, value)]


def _request_id(scope: Scope) -> str:
    sent = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return sent.decode() if _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex
