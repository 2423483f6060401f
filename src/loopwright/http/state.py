"""What a route finds in the app. The functions are coroutines, or each request would take a trip through a thread for them."""

from __future__ import annotations

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


def tell(request: Request, **facts: object) -> None:
    """Facts for the request's line in the log."""
    request.state.facts = facts
