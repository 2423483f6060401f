"""Which models are loaded, and swapping them while the server runs."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse

from loopwright.engine.base import ModelInfo
from loopwright.errors import InvalidInput
from loopwright.http.body import read_body
from loopwright.http.openapi import ERRORS, body_docs
from loopwright.http.state import ServiceOf, SettingsOf
from loopwright.models import Models, Prefer
from loopwright.request import ModelChoice

router = APIRouter(tags=["models"])


@router.get("/models/status", summary="The models that are loaded")
async def status(service: ServiceOf) -> dict[str, object]:
    """Answers at once."""
    loaded = service.models.loaded()
    return {
        "cache_status": _cache_status(service.models),
        "model_details": {str(info.key): _details(info) for info in loaded},
        "max_models": service.models.registry.max_models,
        "active_model": str(service.models.active),
        "cuda_available": any(info.cuda_available for info in loaded),
    }


CHOICE: dict[str, Any] = {"responses": ERRORS, "openapi_extra": body_docs(ModelChoice)}


@router.post("/models/switch", summary="Load a model and use it from now on", **CHOICE)
async def switch(request: Request, service: ServiceOf, settings: SettingsOf) -> dict[str, object]:
    """Waits until it is loaded. Requests that name no `model_type` use it from then on."""
    body = await read_body(request, settings.max_body_bytes)
    choice, _, warnings = await body.take(ModelChoice)
    if choice.model_type is None:
        raise InvalidInput(
            "model_type is missing; it must be `standard` or `finetune`", field="model_type", code="missing_parameter"
        )
    info = await asyncio.to_thread(service.models.switch, choice)
    return {
        "success": True,
        "model_type": info.key.type,
        "device": info.device,
        "config": {"sample_rate": info.limits.sample_rate, "sample_size": info.limits.window_samples},
        "cache_status": _cache_status(service.models),
        "message": f"{info.key} is loaded and active",
        "warnings": list(warnings),
    }


@router.post("/models/checkpoints", summary="The checkpoints of a repository", **CHOICE)
async def checkpoints(request: Request, service: ServiceOf, settings: SettingsOf) -> dict[str, object]:
    """`finetune_repo` names the repository."""
    body = await read_body(request, settings.max_body_bytes)
    choice, _, _ = await body.take(ModelChoice)
    if choice.finetune_repo is None:
        raise InvalidInput(
            "finetune_repo is missing; it must be a hub repository such as owner/name",
            field="finetune_repo",
            code="missing_parameter",
        )
    found = await asyncio.to_thread(service.models.checkpoints, choice.finetune_repo)
    return {"success": True, "repo": choice.finetune_repo, "checkpoints": found, "count": len(found)}


@router.get("/models/prompts", summary="The prompts a finetune suggests", responses=ERRORS)
async def prompts(
    service: ServiceOf,
    repo: Annotated[str | None, Query(max_length=200)] = None,
    checkpoint: Annotated[str | None, Query(max_length=200)] = None,
    key: Annotated[str | None, Query(max_length=400)] = None,
    prefer: Prefer = "active",
) -> dict[str, object]:
    """Of a repository, of a loaded model by its key, or of the one preferred; `null` with a `message` where there are none."""
    found = await asyncio.to_thread(service.models.prompts, repo, checkpoint, key, prefer)
    said: dict[str, object] = {
        "success": True,
        "model_key": None if found.key is None else str(found.key),
        "type": None if found.key is None else found.key.type,
        "source": None if found.key is None else found.key.source,
        "checkpoint": None if found.key is None else found.key.checkpoint,
        "prompts": found.prompts,
    }
    return said if found.message is None else {**said, "message": found.message}


@router.post("/models/clear-cache", summary="Unload every model that nobody uses")
@router.post("/cleanup", summary="Unload every model that nobody uses")
async def clear(service: ServiceOf) -> JSONResponse:
    """A model that is needed again is loaded again."""
    count = await asyncio.to_thread(service.models.registry.clear)
    return JSONResponse({"success": True, "message": f"{count} models were unloaded"})


def _cache_status(models: Models) -> dict[str, object]:
    keys = [str(info.key) for info in models.loaded()]
    return {
        "loaded_models": keys,
        "usage_order": keys,
        "cache_utilization": f"{len(keys)}/{models.registry.max_models}",
    }


def _details(info: ModelInfo) -> dict[str, object]:
    return {
        "type": info.key.type,
        "source": str(info.key),
        "device": info.device,
        "sample_rate": info.limits.sample_rate,
        "sample_size": info.limits.window_samples,
        "repo": info.key.source,
        "checkpoint": info.key.checkpoint,
    }
