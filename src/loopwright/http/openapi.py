"""What the OpenAPI document says of bodies and replies, where one endpoint takes JSON and forms alike."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from loopwright.audio.decode import FFMPEG_FORMATS, INPUT_FORMATS, MAX_CHANNELS, MAX_RATE, MIN_RATE
from loopwright.audio.formats.table import FORMATS
from loopwright.http.body import FORMS, JSON
from loopwright.kinds.request import RequestModel


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
    404: {"model": ErrorReply, "description": "A thing named does not exist"},
    413: {"model": ErrorReply, "description": "Too many bytes, or audio that is too long"},
    415: {"model": ErrorReply, "description": "Not decodable as audio"},
    422: {
        "model": ErrorReply,
        "description": "Understood, but impossible (bars that cannot fit, with `strict`)",
    },
    503: {
        "model": ErrorReply,
        "description": "Too busy, or the model could not be loaded; see `Retry-After`",
    },
}


AUDIO, OPTIONAL_AUDIO = "required", "optional"
"""Whether a generation needs audio of the client's, or takes it."""

_AUDIO_WORDS = (
    f"{INPUT_FORMATS} (where ffmpeg is installed: {FFMPEG_FORMATS}), {MIN_RATE // 1000} to {MAX_RATE // 1000} kHz, "
    f"1 to {MAX_CHANNELS} channels"
)


CLIENT_ID = {
    "name": "X-Client-Id",
    "in": "header",
    "required": False,
    "description": "Who asks: 1 to 64 letters, digits, `.`, `:`, `_` or `-`. Clients that ask at the same time get equal "
    "shares of the server's time. Default: the address the request comes from.",
    "schema": {"type": "string"},
}


def generation_docs(kind: type[RequestModel], audio: str | None = None) -> dict[str, Any]:
    """The arguments of a route that takes such a request (and audio) and answers audio."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    media_types = [row.media_type for row in FORMATS.values()]
    answers = dict.fromkeys((*media_types, "application/zip"), binary)
    ok = {"model": AudioReply, "description": "The audio, or JSON with it", "content": answers}
    extra = {**body_docs(kind, audio), "parameters": [CLIENT_ID]}
    return {"responses": {200: ok, **ERRORS}, "openapi_extra": extra}


def body_docs(kind: type[RequestModel], audio: str | None = None) -> dict[str, Any]:
    """What OpenAPI says of the body of a route that takes such a request, as JSON and as a form."""
    files = {
        JSON: ("audio_base64", {"type": "string", "description": f"{_AUDIO_WORDS}, in base64."}),
        FORMS[0]: (
            "audio_file",
            {"type": "string", "format": "binary", "description": f"{_AUDIO_WORDS}."},
        ),
    }
    media = (JSON, *FORMS[:1]) if audio == AUDIO else (JSON, *FORMS)
    content = {
        one: {"schema": _schema(kind, files.get(one) if audio else None, audio == AUDIO)}
        for one in media
    }
    return {"requestBody": {"required": True, "content": content}}


def _schema(
    kind: type[RequestModel], file: tuple[str, dict[str, str]] | None, required: bool
) -> dict[str, Any]:
    schema = kind.model_json_schema()
    for field in schema["properties"].values():
        field.pop("allowed", None)
    if file is not None:
        schema["properties"][file[0]] = file[1]
        schema["required"] = (
            [*schema.get("required", ()), file[0]] if required else schema.get("required", [])
        )
    return schema
