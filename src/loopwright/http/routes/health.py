"""Is the server well? Answers at once, whatever the model is doing."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse

from loopwright import __version__
from loopwright.engine.base import ModelInfo
from loopwright.engine.registry import ModelStatus
from loopwright.http.state import ServiceOf

router = APIRouter(tags=["health"])

SAID_AS = {"ready": "healthy", "absent": "healthy", "loading": "loading", "error": "error"}


@router.get("/health", summary="How the server and its model are")
async def health(service: ServiceOf) -> JSONResponse:
    """200 while healthy or loading, 503 when the model could not be loaded (`error` says why).

    `converting`: a model is being made quicker for this machine; until that is done, `engine`
    computes it.
    """
    status = service.model_status()
    body = _health(status, service.loaded_info()) | {"converting": service.is_converting()}
    said = {
        **body,
        "model": str(service.models.active),
        "version": __version__,
        "queue_depth": service.queue_depth,
    }
    return JSONResponse(said, 503 if status.state == "error" else 200)


@router.get("/health/live", summary="Whether the process answers")
async def live() -> dict[str, str]:
    """Always 200."""
    return {"status": "alive"}


@router.get("/health/ready", summary="Whether the model is loaded")
async def ready(service: ServiceOf) -> JSONResponse:
    """200 when the model is loaded, else 503."""
    state = service.model_status().state
    if state in {
        "ready",
        "absent",
    }:  # absent: unloaded on demand, and loaded again when it is needed
        return JSONResponse({"status": "ready"})
    return JSONResponse({"status": state}, 503)


def _health(status: ModelStatus, info: ModelInfo | None) -> dict[str, object]:
    return {
        "status": SAID_AS[status.state],
        "error": status.reason,
        "model_loaded": info is not None,
        "device": "cpu" if info is None else info.device,
        "engine": None if info is None else info.engine,
        "precision": None if info is None else info.precision,
        "cuda_available": info is not None and info.cuda_available,
        "model_info": None if info is None else _model_info(info),
        "limitations": [] if info is None else list(info.limitations),
    }


def _model_info(info: ModelInfo) -> dict[str, object]:
    return {
        "sample_rate": info.limits.sample_rate,
        "sample_size": info.limits.window_samples,
        "diffusion_objective": info.objective,
    }
