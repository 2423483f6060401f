"""What a route finds in the app. The functions are coroutines, or each request would take a trip through a thread for them."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Request

from loopwright.service import Service
from loopwright.settings import Settings


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


ServiceOf = Annotated[Service, Depends(_service)]
SettingsOf = Annotated[Settings, Depends(_settings)]


_CLIENT_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)


def client_of(request: Request) -> str:
    """Return who asks: its ``X-Client-Id`` if that is sane, else the address it asks from."""
    name = request.headers.get("x-client-id", "")
    if _CLIENT_ID.fullmatch(name):
        return name
    return "" if request.client is None else request.client.host


def tell(request: Request, **facts: object) -> None:
    """Facts for the request's line in the log."""
    request.state.facts = facts
