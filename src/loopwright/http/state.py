"""What routes find in the app, and what they note on a request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, Request

from loopwright.errors import shown
from loopwright.generation.loop_service import LoopService
from loopwright.http.draining import Draining
from loopwright.http.metrics import Metrics
from loopwright.settings import Settings

# coroutines, since FastAPI would call plain functions in a thread, for each request


async def get_service(request: Request) -> LoopService:
    """Return the app's service."""
    service: LoopService = request.app.state.service
    return service


async def get_settings(request: Request) -> Settings:
    """Return the settings of the server."""
    settings: Settings = request.app.state.settings
    return settings


async def get_metrics(request: Request) -> Metrics:
    """Return the metrics of the server."""
    metrics: Metrics = request.app.state.metrics
    return metrics


async def get_draining(request: Request) -> Draining:
    """Return whether the server is stopping."""
    draining: Draining = request.app.state.draining
    return draining


ServiceOf = Annotated[LoopService, Depends(get_service)]
SettingsOf = Annotated[Settings, Depends(get_settings)]
MetricsOf = Annotated[Metrics, Depends(get_metrics)]
DrainingOf = Annotated[Draining, Depends(get_draining)]

_CLIENT_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)


def client_of(request: Request) -> str:
    """Return the client's name: its ``X-Client-Id`` if that is well formed, else its address."""
    name = request.headers.get("x-client-id", "")
    if _CLIENT_ID.fullmatch(name):
        return name
    return "" if request.client is None else request.client.host


def set_log_fields(request: Request, **fields: object) -> None:
    """Set the fields that the request's line in the log has in addition to those of every line."""
    request.state.log_fields = fields


def remember_received(
    request: Request, fields: Mapping[str, object], file_bytes: Mapping[str, int]
) -> None:
    """Remember what a body held, for the line that an internal error has in the log.

    Args:
        request: The request.
        fields: Its fields, by name.
        file_bytes: Sizes of its files, by field.
    """
    shown_fields = {shown(name)[1:-1]: shown(value) for name, value in fields.items()}
    request.state.received = {"fields": shown_fields, "file_bytes": dict(file_bytes)}
