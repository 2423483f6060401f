"""Which models are loaded, and how to switch between them while the server runs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse

from loopwright.errors import InvalidInput, LoopwrightError
from loopwright.generation.loop_service import Prefer, Prompts, ServiceStatus
from loopwright.generation.models import unused_finetune_fields
from loopwright.http.body import read_body
from loopwright.http.openapi import ERRORS, body_docs
from loopwright.http.state import ServiceOf, SettingsOf
from loopwright.kinds.fields import Text, Word, field
from loopwright.kinds.request import CHECKPOINT_ALLOWED, REPO_ALLOWED, ModelChoice, RequestModel

router = APIRouter(tags=["models"])


class PromptsRequest(RequestModel):
    """A request to ``POST /models/prompts``. Repository and checkpoint have two names each."""

    finetune_repo: Text | None = field(
        None, REPO_ALLOWED, "The finetune's repository on the hub.", max_length=200
    )
    finetune_checkpoint: Text | None = field(
        None, CHECKPOINT_ALLOWED, "The finetune's checkpoint file.", max_length=200
    )
    repo: Text | None = field(None, REPO_ALLOWED, "The same as `finetune_repo`.", max_length=200)
    checkpoint: Text | None = field(
        None, CHECKPOINT_ALLOWED, "The same as `finetune_checkpoint`.", max_length=200
    )
    key: Text | None = field(
        None,
        "a key of `loaded_models` in `/models/status`",
        "A loaded model by its key, where no repository is named.",
        max_length=400,
    )
    prefer: Annotated[Prefer, Word] = field(
        "active",
        "`active`, `finetune` or `recent`",
        "Which model, where neither a repository nor a key is named.",
    )


@router.get("/models/status", summary="The models that are loaded")
async def status(service: ServiceOf) -> dict[str, object]:
    """List the models that are loaded or loading; answers at once.

    The standard model's key is `standard_saos`, whatever model it is; its `source` says which.
    `converting` is true while a model is being converted to run faster on this machine; until that
    is done, it runs on `engine`.
    """
    now = service.status()
    details = {}
    for key, model in now.models.items():
        if model.state not in {"loading", "ready"}:
            continue
        # while a model is loading, what only the loaded model can say is null
        info = model.info
        details[now.name_of(key)] = {
            "type": now.type_of(key),
            "source": str(key),
            "status": "loading" if info is None else "loaded",
            "converting": model.converting,
            "device": info and info.device,
            "engine": info and info.engine,
            "precision": info and info.precision,
            "sample_rate": info and info.limits.sample_rate,
            "sample_size": info and info.limits.window_samples,
            "repo": key.source,
            "checkpoint": key.checkpoint,
        }
    return {
        "cache_status": _cache_status(now),
        "model_details": details,
        "max_models": now.max_models,
        "active_model": now.name_of(now.active),
        "converting": now.is_converting,
        "cuda_available": any(info.cuda_available for info in now.loaded),
    }


MODEL_CHOICE_DOCS: dict[str, Any] = {"responses": ERRORS, "openapi_extra": body_docs(ModelChoice)}


@router.post("/models/switch", summary="Load a model and use it from now on", **MODEL_CHOICE_DOCS)
async def switch(request: Request, service: ServiceOf, settings: SettingsOf) -> dict[str, object]:
    """Load a model, and use it for all later requests that name none. Answers when it is loaded.

    Without `model_type` it is the finetune that `finetune_repo` and `finetune_checkpoint` name, or
    the standard model if they name none.
    """
    body = await read_body(request, settings.max_body_bytes)
    choice, _, warnings = await body.take(ModelChoice)
    info = await service.switch_model(choice)
    return {
        "success": True,
        "model_type": info.key.type,
        "device": info.device,
        "config": {
            "sample_rate": info.limits.sample_rate,
            "sample_size": info.limits.window_samples,
        },
        "cache_status": _cache_status(service.status()),
        "message": f"{info.key} is loaded and active",
        "warnings": [*warnings, *unused_finetune_fields(choice)],
    }


@router.post("/models/checkpoints", summary="The checkpoints of a repository", **MODEL_CHOICE_DOCS)
async def checkpoints(
    request: Request, service: ServiceOf, settings: SettingsOf
) -> dict[str, object]:
    """List the checkpoints of the repository `finetune_repo`.

    If it does not exist or has no checkpoints, the answer is 404 with a `hint`.
    """
    try:
        body = await read_body(request, settings.max_body_bytes)
        choice, _, _ = await body.take(ModelChoice)
        if choice.finetune_repo is None:
            raise InvalidInput(
                "finetune_repo is missing; it must be a hub repository such as owner/name",
                field="finetune_repo",
                code="missing_parameter",
            )
        found = await service.checkpoints(choice.finetune_repo)
    except LoopwrightError as error:
        # clients read the list first, and only then whether it is an error
        error.details = {"checkpoints": [], **error.details}
        raise
    return {
        "success": True,
        "repo": choice.finetune_repo,
        "checkpoints": found,
        "count": len(found),
    }


@router.get("/models/prompts", summary="The prompts a finetune suggests", responses=ERRORS)
async def prompts(
    service: ServiceOf,
    repo: Annotated[str | None, Query(max_length=200)] = None,
    checkpoint: Annotated[str | None, Query(max_length=200)] = None,
    key: Annotated[str | None, Query(max_length=400)] = None,
    prefer: Prefer = "active",
) -> dict[str, object]:
    """Return the whole `prompts.json` of a finetune.

    `repo` and `checkpoint` name the finetune, or `key` names a loaded model; else it is the one
    that `prefer` says. A model without a `prompts.json` gives empty lists and a `message`; if no
    such model is loaded, `prompts` is `null`.
    """
    found = await service.prompts(repo, checkpoint, key, prefer)
    return _prompts(service.status(), found)


@router.post(
    "/models/prompts",
    summary="The prompts a finetune suggests",
    responses=ERRORS,
    openapi_extra=body_docs(PromptsRequest),
)
async def prompts_of_body(
    request: Request, service: ServiceOf, settings: SettingsOf
) -> dict[str, object]:
    """Return the same as GET; the fields may also be `finetune_repo` and `finetune_checkpoint`."""
    body = await read_body(request, settings.max_body_bytes)
    fields, _, warnings = await body.take(PromptsRequest)
    repo = fields.finetune_repo or fields.repo
    checkpoint = fields.finetune_checkpoint or fields.checkpoint
    found = await service.prompts(repo, checkpoint, fields.key, fields.prefer)
    return {**_prompts(service.status(), found), "warnings": list(warnings)}


def _prompts(status: ServiceStatus, found: Prompts) -> dict[str, object]:
    key = found.key
    reply: dict[str, object] = {
        "success": True,
        "model_key": None if key is None else status.name_of(key),
        "type": None if key is None else status.type_of(key),
        "source": None if key is None else key.source,
        "checkpoint": None if key is None else key.checkpoint,
        "prompts": found.prompts,
    }
    if found.message is not None:
        reply["message"] = found.message
    return reply


@router.post("/models/clear-cache", summary="Unload every model that is not in use")
@router.post("/cleanup", summary="Unload every model that is not in use")
async def clear(service: ServiceOf) -> JSONResponse:
    """Unload the models that no request is using. A model that is needed later is loaded again."""
    count = await service.clear_models()
    return JSONResponse({"success": True, "message": f"{count} models were unloaded"})


def _cache_status(status: ServiceStatus) -> dict[str, object]:
    keys = [status.name_of(info.key) for info in status.loaded]
    return {
        "loaded_models": keys,
        "usage_order": keys,
        "cache_utilization": f"{len(keys)}/{status.max_models}",
    }
