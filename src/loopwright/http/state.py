"""What a route finds in the app. The functions are coroutines, or each request would take a trip through a thread for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, Request

from loopwright.errors import shown
from loopwright.generation.service import Service
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


def set_log_fields(request: Request, **facts: object) -> None:
    """Facts for the request's line in the log."""
    request.state.facts = facts


def remember_received(
    request: Request, fields: Mapping[str, object], file_bytes: Mapping[str, int]
) -> None:
    """Remember what a body held, so that a bug's line in the log is enough to send it again."""
    shortened = {shown(name)[1:-1]: shown(value) for name, value in fields.items()}
    request.state.received = {"fields": shortened, "file_bytes": dict(file_bytes)}
