"""Text to audio and text to loops."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import structlog
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from loopwright.audio.encode import encode_wav
from loopwright.generation import Generation
from loopwright.http.body import read_body
from loopwright.http.disconnect import unless_gone
from loopwright.http.openapi import generation_docs
from loopwright.http.state import ServiceOf, SettingsOf
from loopwright.request import GenerationRequest, LoopRequest
from loopwright.service import Service
from loopwright.settings import Settings

log = structlog.get_logger()

router = APIRouter(prefix="/generate", tags=["generate"])


@router.post("", summary="Text to audio", **generation_docs(GenerationRequest))
async def audio(request: Request, service: ServiceOf, settings: SettingsOf) -> Response:
    """`seconds_total` seconds of audio from a prompt, or the model's whole window."""
    return await _answer(GenerationRequest, request, service, settings)


@router.post("/loop", summary="Text to a bar-exact loop", **generation_docs(LoopRequest))
async def loop(request: Request, service: ServiceOf, settings: SettingsOf) -> Response:
    """A loop of exactly so many bars at a tempo, which the prompt names (`… 140bpm`) or `bpm` gives."""
    return await _answer(LoopRequest, request, service, settings)


async def _answer(kind: type[GenerationRequest], request: Request, service: Service, settings: Settings) -> Response:
    body = await read_body(request, settings.max_body_bytes)
    asked, warnings = kind.parse(body.fields)
    generation = await unless_gone(request, service.generate(asked, warnings))
    return await asyncio.to_thread(_reply, generation, asked.return_format, settings.outputs_dir)


def _reply(generation: Generation, return_format: str, keep_in: Path | None) -> Response:
    wav = encode_wav(generation.audio, generation.sample_rate)
    if keep_in is not None:
        _keep(keep_in / generation.file_name(), wav)
    if return_format == "base64":
        return JSONResponse(
            {"success": True, "audio_base64": base64.b64encode(wav).decode(), "metadata": generation.metadata()},
            headers=generation.headers(),
        )
    attachment = f'attachment; filename="{generation.file_name()}"'
    return Response(wav, media_type="audio/wav", headers={**generation.headers(), "Content-Disposition": attachment})


def _keep(path: Path, wav: bytes) -> None:
    """A copy on disk; a full disk is no reason to lose the reply."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wav)
    except OSError as error:
        log.error("audio could not be kept", path=str(path), reason=str(error))
