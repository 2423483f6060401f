"""The personal riff library."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from loopwright.errors import InvalidInput
from loopwright.http.body import read_body
from loopwright.http.openapi import ERRORS, body_docs
from loopwright.http.state import ServiceOf, SettingsOf
from loopwright.kinds.fields import KEY_ALLOWED, KeyField, Number, Text, field
from loopwright.kinds.request import RequestModel
from loopwright.music.tempo import BPM_ALLOWED, MAX_BPM, MIN_BPM

router = APIRouter(prefix="/riffs", tags=["riffs"])


class RiffUpload(RequestModel):
    """A request to ``POST /riffs``."""

    key: KeyField | None = field(
        None, KEY_ALLOWED, "The riff's key, such as A, F#m, Bb major or gsharp; its root is kept."
    )
    bpm: Annotated[float, Number] | None = field(
        None, BPM_ALLOWED, "The riff's tempo in beats per minute.", ge=MIN_BPM, le=MAX_BPM
    )
    filename: Text | None = field(
        None,
        "a text of at most 200 characters",
        "The name to keep it under; default: that of the file.",
        max_length=200,
    )


ADD_DOCS = body_docs(RiffUpload, takes_audio=True, needs_audio=True)


@router.get("/available", summary="The riffs of the library, by key")
async def available(service: ServiceOf) -> dict[str, object]:
    """List the riffs, and in `skipped` the reason for each file of the folder that is no riff."""
    catalog = await service.riffs()
    by_key = catalog.by_key()
    return {
        "available_keys": list(by_key),
        "total_keys": len(by_key),
        "riff_details": {key: [riff.describe() for riff in riffs] for key, riffs in by_key.items()},
        "skipped": dict(catalog.skipped),
    }


@router.post("", summary="Add a riff", responses=ERRORS, openapi_extra=ADD_DOCS)
async def add(request: Request, service: ServiceOf, settings: SettingsOf) -> JSONResponse:
    """Add audio to the library.

    Its key and tempo are `key` and `bpm` if they are sent, else what the file's name says, else
    they are estimated from the audio.
    """
    body = await read_body(request, settings.max_body_bytes)
    fields, upload, warnings = await body.take(RiffUpload, takes_audio=True)
    if upload is None:
        raise InvalidInput(
            "audio_file is missing; it must be an audio file",
            field="audio_file",
            code="missing_parameter",
        )
    bpm = None if fields.bpm is None else Fraction(str(fields.bpm))
    riff, notes = await service.add_riff(
        upload.data, fields.filename or upload.name, fields.key, bpm, upload.field
    )
    reply = {
        "success": True,
        "key": riff.key.name,
        **riff.describe(),
        "warnings": [*warnings, *notes],
    }
    return JSONResponse(reply)


@router.delete("/{filename}", summary="Delete a riff", responses={404: ERRORS[404]})
async def remove(filename: str, service: ServiceOf) -> dict[str, object]:
    """Delete the file, and what was given or estimated for it."""
    await service.remove_riff(filename)
    return {"success": True, "message": f"{filename} was deleted"}
