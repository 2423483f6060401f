"""Whether the server works. These routes answer at once, whatever the model is doing."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse

from loopwright import __version__
from loopwright.engine.base import ModelInfo
from loopwright.generation.loop_service import ServiceStatus
from loopwright.http.draining import Draining
from loopwright.http.state import DrainingOf, ServiceOf

router = APIRouter(tags=["health"])

HEALTH = {"ready": "healthy", "absent": "healthy", "loading": "loading", "error": "error"}
"""What ``/health`` calls the states of a model; one that is absent is loaded when it is needed."""


@router.get("/health", summary="The state of the server and its model")
async def health(service: ServiceOf, draining: DrainingOf) -> JSONResponse:
    """Answer 200 while healthy or loading, 503 when the model could not be loaded.

    `error` says why. `restarting` means that the process which generates has ended and is started
    again, `draining` that the server is stopping and takes no new work. `converting` is true while
    a model is being converted to run faster on this machine; until that is done, it runs on
    `engine`.
    """
    status = service.status()
    model = status.active_model
    body = {
        "status": _passing_state(status, draining) or HEALTH[model.state],
        "error": model.reason,
        **_model_fields(model.info),
        "converting": status.is_converting,
        "model": str(status.active),
        "version": __version__,
        "queue_depth": status.queue_depth,
    }
    return JSONResponse(body, 503 if model.state == "error" else 200)


@router.get("/health/live", summary="Whether the process answers")
async def live() -> dict[str, str]:
    """Answer 200, always."""
    return {"status": "alive"}


@router.get("/health/ready", summary="Whether new work is taken")
async def ready(service: ServiceOf, draining: DrainingOf) -> JSONResponse:
    """Answer 200 when the model is loaded, else 503; also 503 once the server is stopping."""
    status = service.status()
    passing = _passing_state(status, draining)
    if status.is_ready and passing is None:
        return JSONResponse({"status": "ready"})
    return JSONResponse({"status": passing or status.active_model.state}, 503)


def _passing_state(status: ServiceStatus, draining: Draining) -> str | None:
    """Return the state that the server is in, where it is more than its model's; else None."""
    if draining.has_begun:
        return "draining"
    return "restarting" if status.is_restarting else None


def _model_fields(info: ModelInfo | None) -> dict[str, object]:
    """Return what ``/health`` has of the active model; None: it is not loaded."""
    if info is None:
        return {
            "model_loaded": False,
            "device": "cpu",
            "engine": None,
            "precision": None,
            "cuda_available": False,
            "model_info": None,
            "limitations": [],
        }
    return {
        "model_loaded": True,
        "device": info.device,
        "engine": info.engine,
        "precision": info.precision,
        "cuda_available": info.cuda_available,
        "model_info": {
            "sample_rate": info.limits.sample_rate,
            "sample_size": info.limits.window_samples,
            "diffusion_objective": info.objective,
        },
        "limitations": list(info.limitations),
    }
