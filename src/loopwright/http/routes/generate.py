"""The endpoints that generate audio: one for each kind of generation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from loopwright.generation.loop_service import LoopService
from loopwright.http.body import read_body
from loopwright.http.disconnect import cancel_on_disconnect
from loopwright.http.openapi import generation_docs
from loopwright.http.reply import reply_of
from loopwright.http.state import ServiceOf, SettingsOf, client_of, set_log_fields
from loopwright.kinds.kind import Kind
from loopwright.kinds.table import KINDS
from loopwright.settings import Settings

router = APIRouter(tags=["generate"])


def _endpoint(kind: Kind[Any]) -> Callable[..., Awaitable[Response]]:
    """Return the handler of a kind, which FastAPI gives the service and the settings."""

    async def endpoint(request: Request, service: ServiceOf, settings: SettingsOf) -> Response:
        return await _generate(kind, request, service, settings)

    return endpoint


async def _generate(
    kind: Kind[Any], request: Request, service: LoopService, settings: Settings
) -> Response:
    body = await read_body(request, settings.max_body_bytes)
    asked, upload, warnings = await body.take(kind.request, takes_audio=kind.takes_audio)
    work = service.takes(asked, upload, warnings, client=client_of(request))
    takes = await cancel_on_disconnect(request, work)
    set_log_fields(request, **takes[0].log_fields, count=len(takes))
    return await asyncio.to_thread(reply_of, takes, asked.return_format, settings.outputs_dir)


for _kind in KINDS:
    router.add_api_route(
        _kind.path,
        _endpoint(_kind),
        methods=["POST"],
        name=_kind.name,
        summary=_kind.summary,
        description=_kind.description,
        **generation_docs(_kind),
    )
