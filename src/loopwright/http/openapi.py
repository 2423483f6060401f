"""What the OpenAPI document says of bodies and replies, where one endpoint takes JSON and forms alike."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from loopwright.http.body import FORMS, JSON
from loopwright.request import GenerationRequest


class ErrorReply(BaseModel):
    """Every reply that is not a success."""

    success: bool = False
    error: str
    code: str
    field: str | None
    request_id: str


class AudioReply(BaseModel):
    """The reply with `return_format=base64`."""

    success: bool = True
    audio_base64: str
    metadata: dict[str, Any]


ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorReply, "description": "A field is missing or its value is not allowed"},
    413: {"model": ErrorReply, "description": "Too many bytes"},
    422: {"model": ErrorReply, "description": "Understood, but impossible (bars that cannot fit, with `strict`)"},
    503: {"model": ErrorReply, "description": "Too busy, or the model could not be loaded; see `Retry-After`"},
}


def generation_docs(kind: type[GenerationRequest]) -> dict[str, Any]:
    """The arguments of a route that takes such a request and answers audio."""
    schema = kind.model_json_schema()
    for field in schema["properties"].values():
        field.pop("allowed", None)
    content = {media: {"schema": schema} for media in (JSON, *FORMS)}
    audio = {"audio/wav": {"schema": {"type": "string", "format": "binary"}}}
    return {
        "responses": {
            200: {"model": AudioReply, "description": "The audio, or JSON with it", "content": audio},
            **ERRORS,
        },
        "openapi_extra": {"requestBody": {"required": True, "content": content}},
    }
