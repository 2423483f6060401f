"""What is measured, for programs that watch the server."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

from loopwright.http.metrics import CONTENT_TYPE
from loopwright.http.state import MetricsOf

router = APIRouter(tags=["health"])


@router.get("/metrics", summary="Measurements for Prometheus", response_class=PlainTextResponse)
async def metrics(metrics: MetricsOf) -> Response:
    """Answer with all metrics in Prometheus's text format."""
    # in a thread, since a hundred series take milliseconds
    return Response(await asyncio.to_thread(metrics.render), media_type=CONTENT_TYPE)
