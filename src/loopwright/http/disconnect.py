"""No work for a client that has closed its connection."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from loopwright.errors import Cancelled

T = TypeVar("T")


async def cancel_on_disconnect(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of the work, which is cancelled when the client closes the connection.

    Args:
        request: The client's request; its body must have been read before, since only what comes
            after the body says that the connection is closed.
        work: What is done for it.

    Raises:
        Cancelled: The client closed the connection.
    """

    async def wait_for_disconnect() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(wait_for_disconnect())
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Cancelled("the client closed the connection")
        return working.result()
    finally:
        watching.cancel()
        working.cancel()
