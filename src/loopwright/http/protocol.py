"""Connections of clients: they are closed when the client makes no progress.

uvicorn limits how long a connection may be idle between two requests, but not how long a request
may take to come, or a reply to be taken. And it answers what is no HTTP in words of its own.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

import h11
import structlog
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from loopwright.errors import InvalidInput, LoopwrightError, TooSlow
from loopwright.http.errors import error_response

log = structlog.get_logger()

MIN_BODY_BYTES = 1024
"""Less of a body within the time limit is no progress: a byte now and then would hold a connection
for as long as a client likes."""

LINGER_SECONDS = 1
"""Time to read an answer that a request was not finished for: if the connection were closed while
the client is still sending, its system would throw the answer away."""

Awaited = Literal["headers", "body", "reply"]
"""What a client has to do next: send the rest of its headers or body, or take the reply."""


@dataclass
class _Wait:
    """What a connection waits for.

    Attributes:
        awaited: What the client has to do; None: nothing.
        cycle: The request that it is about.
        amount: Bytes received, or of the reply still to be sent, at the last progress.
        since: When that was.
    """

    awaited: Awaited | None
    cycle: object
    amount: int
    since: float


class ClientProtocol(H11Protocol):
    """A client's connection, which is looked at now and then and closed if it makes no progress."""

    # set here, since uvicorn makes the object
    _wait: _Wait | None = None
    _received = 0
    _is_answered = False

    def data_received(self, data: bytes) -> None:
        """Count what comes in; leave it out after an answer that closes the connection."""
        self._received += len(data)
        if not self._is_answered:
            super().data_received(data)

    def close_if_stalled(self, now: float, limits: Mapping[Awaited, float]) -> None:
        """Close the connection if the client has made no progress for too long.

        Args:
            now: The time in seconds, by any clock that does not jump.
            limits: The seconds that each may take without progress; headers in all.
        """
        if self._is_answered:  # it is closed soon, whatever the client does
            return
        awaited, amount = self._awaited()
        wait = self._wait
        if wait is None or wait.awaited != awaited or wait.cycle is not self.cycle:
            self._wait = _Wait(awaited, self.cycle, amount, now)
        elif awaited == "body" and amount - wait.amount >= MIN_BODY_BYTES:
            wait.amount, wait.since = amount, now
        elif awaited == "reply" and amount != wait.amount:
            # that there is more to send is no progress of the client
            wait.since = now if amount < wait.amount else wait.since
            wait.amount = amount
        elif awaited is not None and now - wait.since > limits[awaited]:
            self._give_up(awaited, limits[awaited])

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP as every other error is answered; uvicorn calls this."""
        self._answer(
            InvalidInput("what was sent is not an HTTP/1.1 request", code="invalid_http"), cause=msg
        )

    def _awaited(self) -> tuple[Awaited | None, int]:
        unsent = self.transport.get_write_buffer_size()
        if unsent:
            return "reply", unsent
        # a client may do nothing while nobody reads what it sends
        if self.conn.their_state is h11.SEND_BODY and not self.flow.read_paused:
            return "body", self._received
        # uvicorn has a timer for the time between two requests
        if self.conn.their_state is h11.IDLE and self.timeout_keep_alive_task is None:
            return "headers", 0
        return None, 0

    def _give_up(self, awaited: Awaited, limit: float) -> None:
        is_silent = awaited == "headers" and not self.conn.trailing_data[0]
        if awaited == "reply" or is_silent:
            log.info("slow client", awaited=awaited, client=self.client and self.client[0])
            self.transport.abort()
            return
        sentence = f"the headers of the request did not arrive within {limit:g} seconds"
        if awaited == "body":
            sentence = f"too little of the request's body arrived in {limit:g} seconds"
        self._answer(TooSlow(sentence), cause="slow client")

    def _answer(self, error: LoopwrightError, cause: str) -> None:
        """Answer in the place of the application, and close the connection."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            # the application sees a client that has gone, and sends nothing more
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.abort()
                return
        request_id = uuid.uuid4().hex
        reply = error_response(error, request_id)
        self.transport.write(_as_bytes(reply, request_id))
        log.info(
            "request",
            request_id=request_id,
            status=reply.status_code,
            code=error.code,
            error=error.message,
            cause=cause,
            client=self.client and self.client[0],
        )
        self._is_answered = True
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)


def _as_bytes(reply: Response, request_id: str) -> bytes:
    """Return a reply as it goes over the connection, which it closes."""
    status = HTTPStatus(reply.status_code)
    headers = [
        *reply.raw_headers,
        (b"x-request-id", request_id.encode()),
        (b"connection", b"close"),
    ]
    lines = [f"HTTP/1.1 {status} {status.phrase}".encode()]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join([*lines, b"", bytes(reply.body)])
