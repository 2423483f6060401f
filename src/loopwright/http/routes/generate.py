"""Everything that makes audio."""

from __future__ import annotations

import asyncio
import io
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import structlog
from fastapi import APIRouter, Request
from starlette.responses import Response

from loopwright.errors import StorageFailed
from loopwright.generation.result import Generation
from loopwright.generation.service import Service
from loopwright.generation.sources import takes_upload
from loopwright.http.audio_json import audio_json
from loopwright.http.body import JSON, read_body
from loopwright.http.disconnect import cancel_on_disconnect
from loopwright.http.openapi import AUDIO, OPTIONAL_AUDIO, generation_docs
from loopwright.http.state import ServiceOf, SettingsOf, client_of, set_log_fields
from loopwright.http.warnings_header import warnings_header
from loopwright.kinds.request import (
    GenerationRequest,
    GuidedLoopRequest,
    LoopRequest,
    RiffLoopRequest,
    StyleRequest,
)
from loopwright.kinds.request_edits import InpaintRequest, StackRequest, VariationRequest
from loopwright.settings import Settings
from loopwright.system.storage import write_whole

log = structlog.get_logger()

router = APIRouter(prefix="/generate", tags=["generate"])


@router.post("", summary="Text to audio", **generation_docs(GenerationRequest))
async def audio(request: Request, service: ServiceOf, settings: SettingsOf) -> Response:
    """`seconds_total` seconds of audio from a prompt, or the model's whole window."""
    return await _answer(GenerationRequest, request, service, settings)


@router.post("/style-transfer", summary="Audio to audio", **generation_docs(StyleRequest, AUDIO))
async def style_transfer(request: Request, service: ServiceOf, settings: SettingsOf) -> Response:
    """The audio sent, made anew in the words of the prompt. Mono becomes stereo; what is longer than the window is cut."""
    return await _answer(StyleRequest, request, service, settings)


@router.post(
    "/loop",
    summary="Text (or audio) to a bar-exact loop",
    **generation_docs(LoopRequest, OPTIONAL_AUDIO),
)
async def loop(request: Request, service: ServiceOf, settings: SettingsOf) -> Response:
    """A loop of exactly so many bars at a tempo, which the prompt names (`… 140bpm`) or `bpm` gives.

    With audio it is a style transfer from that.
    """
    return await _answer(LoopRequest, request, service, settings)


@router.post(
    "/loop-with-riff", summary="A loop from the riff library", **generation_docs(RiffLoopRequest)
)
async def loop_with_riff(request: Request, service: ServiceOf, settings: SettingsOf) -> Response:
    """A riff in the key is chosen (the same seed chooses the same), stretched to the tempo, and used as the style source."""
    return await _answer(RiffLoopRequest, request, service, settings)


@router.post(
    "/loop-guided",
    summary="A loop that keeps parts of its source",
    **generation_docs(GuidedLoopRequest, AUDIO),
)
async def loop_guided(request: Request, service: ServiceOf, settings: SettingsOf) -> Response:
    """Keeps the audio sent where the mask says and makes the rest new."""
    return await _answer(GuidedLoopRequest, request, service, settings)


@router.post(
    "/variation",
    summary="Versions near a loop",
    **generation_docs(VariationRequest, OPTIONAL_AUDIO),
)
async def variation(request: Request, service: ServiceOf, settings: SettingsOf) -> Response:
    """`n` loops near the audio sent, or near the earlier loop of `source_seed`."""
    return await _answer(VariationRequest, request, service, settings)


@router.post(
    "/inpaint", summary="Some of a loop made new", **generation_docs(InpaintRequest, AUDIO)
)
async def inpaint(request: Request, service: ServiceOf, settings: SettingsOf) -> Response:
    """The bars `from_bar` … `to_bar` (or `from_seconds` to `to_seconds`) of the audio sent are made new, the rest is kept."""
    return await _answer(InpaintRequest, request, service, settings)


@router.post("/stack", summary="Loops that play together", **generation_docs(StackRequest))
async def stack(request: Request, service: ServiceOf, settings: SettingsOf) -> Response:
    """Parts of one theme at one tempo, and their mix: a zip, or `results` with a `part` each (the mix first)."""
    body = await read_body(request, settings.max_body_bytes)
    asked, _, warnings = await body.take(StackRequest)
    work = service.generate_stack(asked, warnings, client=client_of(request))
    generations = await cancel_on_disconnect(request, work)
    return await _answered(request, generations, asked.return_format, settings)


async def _answer(
    kind: type[GenerationRequest], request: Request, service: Service, settings: Settings
) -> Response:
    body = await read_body(request, settings.max_body_bytes)
    asked, upload, warnings = await body.take(kind, takes_audio=takes_upload(kind))
    work = service.generate(asked, upload, warnings, client=client_of(request))
    generations = await cancel_on_disconnect(request, work)
    return await _answered(request, generations, asked.return_format, settings)


async def _answered(
    request: Request, generations: Sequence[Generation], return_format: str, settings: Settings
) -> Response:
    reply, encoding = await asyncio.to_thread(
        _reply, generations, return_format, settings.outputs_dir
    )
    set_log_fields(
        request, **generations[0].summary(), count=len(generations), seconds_encoding=encoding
    )
    return reply


def _reply(
    generations: Sequence[Generation], return_format: str, keep_in: Path | None
) -> tuple[Response, float]:
    """The reply, and the seconds it took to encode."""
    began = time.perf_counter()
    files = [generation.encoded() for generation in generations]
    seconds = round(time.perf_counter() - began, 4)
    if keep_in is not None:
        for generation, file in zip(generations, files, strict=True):
            _keep(keep_in / generation.file_name(), file)
    as_reply = _as_json if return_format == "base64" else _as_file
    return as_reply(generations, files), seconds


def _as_json(generations: Sequence[Generation], files: Sequence[bytes]) -> Response:
    content = audio_json(files, [generation.metadata() for generation in generations])
    return Response(content, media_type=JSON, headers=_headers(generations))


def _as_file(generations: Sequence[Generation], files: Sequence[bytes]) -> Response:
    """The file, or several in a zip."""
    first = generations[0]
    name, content, media_type = first.file_name(), files[0], first.media_type
    if len(files) > 1:
        names = [generation.file_name() for generation in generations]
        name, content, media_type = (
            f"{Path(name).stem}_and_more.zip",
            _zipped(names, files),
            "application/zip",
        )
    headers = {**_headers(generations), "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=media_type, headers=headers)


def _headers(generations: Sequence[Generation]) -> dict[str, str]:
    """The first one's facts, and the warnings of all: a file has no other place for them."""
    headers = dict(generations[0].headers())
    warnings = list(
        dict.fromkeys(warning for generation in generations for warning in generation.warnings)
    )
    if warnings:
        headers["X-Warnings"] = warnings_header(warnings)
    return headers


def _zipped(names: Sequence[str], files: Sequence[bytes]) -> bytes:
    """A zip whose bytes depend on names and files alone."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, file in zip(names, files, strict=True):
            archive.writestr(zipfile.ZipInfo(name), file)
    return out.getvalue()


def _keep(path: Path, file: bytes) -> None:
    """Keep a copy on disk; a full disk is no reason to lose the reply."""
    try:
        write_whole(path, file, "the audio")
    except StorageFailed as error:
        log.error("audio could not be kept", path=str(path), reason=error.message)
