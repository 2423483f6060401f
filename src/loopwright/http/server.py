"""The web server: uvicorn, which stops in an orderly way and closes connections that stall.

Knows: signals, connections, time limits. Does not know: what is served.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from types import FrameType
from typing import TYPE_CHECKING, cast

import structlog
import uvicorn

from loopwright.errors import InvalidInput, shown
from loopwright.http.protocol import Awaited, ClientProtocol

if TYPE_CHECKING:
    from fastapi import FastAPI

    from loopwright.http.draining import Draining
    from loopwright.settings import Settings

POLL_SECONDS = 0.05
"""From one look whether the work is done to the next, while the server stops."""

ANSWER_SECONDS = 1
"""Time for requests that are ended to be answered, and then for their replies to be sent."""

LOOKS_PER_LIMIT = 10
"""How often connections are looked at within the shortest time limit."""

log = structlog.get_logger()


class Server(uvicorn.Server):
    """A server that lets work finish when it is told to stop.

    On the first signal it refuses new work, but answers everything else, until the work is done or
    has had its time; on the second it ends at once.

    Args:
        config: uvicorn's settings.
        draining: Is told when the server stops, and knows the work.
        settings: Has the time limits.
    """

    def __init__(self, config: uvicorn.Config, draining: Draining, settings: Settings) -> None:
        super().__init__(config)
        self._draining = draining
        self._grace_seconds = settings.shutdown_grace_seconds
        self._limits: dict[Awaited, float] = {
            "headers": settings.header_timeout_seconds,
            "body": settings.body_timeout_seconds,
            "reply": settings.body_timeout_seconds,
        }
        self._next_look = 0.0
        self._is_forced = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; the second time end at once."""
        if self.should_exit:
            self._is_forced = True
            return
        super().handle_exit(sig, frame)
        # wakes up the event loop, which a signal alone does not
        asyncio.get_running_loop().call_soon_threadsafe(self._draining.begin)

    async def main_loop(self) -> None:
        """Serve until told to stop, and then until the work is done."""
        await super().main_loop()
        self._draining.begin()
        log.info("stopping", requests=self._draining.work_count, grace_seconds=self._grace_seconds)
        until = time.monotonic() + self._grace_seconds
        while self._is_busy() and not self._is_forced and time.monotonic() < until:
            await self.on_tick(0)
            await asyncio.sleep(POLL_SECONDS)
        if self._draining.work_count:
            log.warning("ended before they were done", requests=self._draining.work_count)
            await self._draining.cancel_work(ANSWER_SECONDS)

    async def on_tick(self, counter: int) -> bool:
        """Close connections that stall; called ten times a second."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + min(self._limits.values()) / LOOKS_PER_LIMIT
            for connection in self._connections():
                connection.close_if_stalled(now, self._limits)
        return await super().on_tick(counter)

    def _is_busy(self) -> bool:
        """Return whether work is not done, or its reply not sent yet."""
        return self._draining.work_count > 0 or any(
            connection.transport.get_write_buffer_size() for connection in self._connections()
        )

    def _connections(self) -> list[ClientProtocol]:
        return cast("list[ClientProtocol]", list(self.server_state.connections))


def make_server(app: FastAPI, settings: Settings) -> Server:
    """Return a server of the app, which is not started yet.

    Raises:
        InvalidInput: ``forwarded_allow_ips`` has what is no address.
    """
    proxies = _proxies(settings.forwarded_allow_ips)
    config = uvicorn.Config(
        app,
        http=ClientProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        timeout_graceful_shutdown=ANSWER_SECONDS,
    )
    return Server(config, app.state.draining, settings)


def _proxies(allowed: str) -> list[str]:
    """Return the addresses and networks of proxies whose headers are believed."""
    proxies = [part.strip() for part in allowed.split(",") if part.strip()]
    for proxy in proxies:
        if proxy == "*" and len(proxies) == 1:
            continue
        try:
            ipaddress.ip_network(proxy)
        except ValueError as error:
            raise InvalidInput(
                "forwarded_allow_ips must be addresses or networks of proxies, separated by "
                f"commas, or `*` alone, got {shown(proxy)}: {error}",
                field="forwarded_allow_ips",
            ) from None
    return proxies
