"""What OpenAPI says of bodies and replies, where one endpoint takes JSON and forms alike."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from loopwright.audio.decode import FFMPEG_FORMATS, INPUT_FORMATS, MAX_CHANNELS, MAX_RATE, MIN_RATE
from loopwright.audio.formats.table import FORMATS
from loopwright.http.body import AUDIO_BASE64, AUDIO_FILE, FORMS, JSON
from loopwright.kinds.kind import Kind
from loopwright.kinds.request import RequestModel, request_schema


class ErrorReply(BaseModel):
    """The shape of every failure."""

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
    404: {"model": ErrorReply, "description": "Something named in the request does not exist"},
    408: {"model": ErrorReply, "description": "The request did not arrive in time"},
    413: {"model": ErrorReply, "description": "Too many bytes, or audio that is too long"},
    415: {"model": ErrorReply, "description": "The audio cannot be decoded"},
    422: {
        "model": ErrorReply,
        "description": "Understood, but impossible (bars that cannot fit, with `strict`)",
    },
    503: {
        "model": ErrorReply,
        "description": "Too busy, stopping, or the model could not be loaded; see `Retry-After`",
    },
}

OK_DESCRIPTION = "The audio, or JSON with it; several are a zip, or `results` in JSON"

CLIENT_ID = {
    "name": "X-Client-Id",
    "in": "header",
    "required": False,
    "description": "Who asks: 1 to 64 letters, digits, `.`, `:`, `_` or `-`. Clients that ask at "
    "the same time get equal shares of the server's time. Default: the address the request comes "
    "from.",
    "schema": {"type": "string"},
}

ACCEPTED_AUDIO = (
    f"{INPUT_FORMATS} (where ffmpeg is installed: {FFMPEG_FORMATS}), "
    f"{MIN_RATE // 1000} to {MAX_RATE // 1000} kHz, 1 to {MAX_CHANNELS} channels"
)

AUDIO_FIELDS: dict[str, dict[str, dict[str, str]]] = {
    JSON: {AUDIO_BASE64: {"type": "string", "description": f"{ACCEPTED_AUDIO}, in base64."}},
    FORMS[0]: {
        AUDIO_FILE: {"type": "string", "format": "binary", "description": f"{ACCEPTED_AUDIO}."}
    },
}
"""The field of audio, by the media type of the body; other bodies cannot have audio."""


def generation_docs(kind: Kind[Any]) -> dict[str, Any]:
    """Return the arguments of a route that generates: its body, its replies and errors."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    media_types = [row.media_type for row in FORMATS.values()]
    content = dict.fromkeys((*media_types, "application/zip"), binary)
    ok = {
        "model": AudioReply,
        "description": OK_DESCRIPTION,
        "content": content,
    }
    body = body_docs(
        kind.request, takes_audio=kind.takes_audio, needs_audio=kind.source == "required"
    )
    return {
        "responses": {200: ok, **ERRORS},
        "openapi_extra": {**body, "parameters": [CLIENT_ID]},
    }


def body_docs(
    request: type[RequestModel], *, takes_audio: bool = False, needs_audio: bool = False
) -> dict[str, Any]:
    """Return what OpenAPI says of the body of a route, as JSON and as a form.

    Args:
        request: The fields of the body.
        takes_audio: Whether audio may be sent with them.
        needs_audio: Whether audio must be sent with them.
    """
    content = {}
    for media_type in (JSON, *FORMS):
        audio = AUDIO_FIELDS.get(media_type, {}) if takes_audio else {}
        if needs_audio and not audio:
            continue
        schema = request_schema(request)
        schema["properties"] |= audio
        if needs_audio:
            schema["required"] = [*schema.get("required", ()), *audio]
        content[media_type] = {"schema": schema}
    return {"requestBody": {"required": True, "content": content}}
