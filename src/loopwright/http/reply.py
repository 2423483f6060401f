"""The replies of endpoints that generate: a file, a zip of files, or JSON; and the copy on disk."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import structlog
from starlette.responses import Response

from loopwright.errors import StorageFailed
from loopwright.generation.metadata import metadata_of
from loopwright.generation.result import Generation
from loopwright.http.audio_json import audio_json
from loopwright.http.body import JSON
from loopwright.http.warnings_header import warnings_header
from loopwright.music.tempo import bpm_number
from loopwright.system.storage import write_whole

log = structlog.get_logger()


def reply_of(
    generations: Sequence[Generation], return_format: str, outputs_dir: Path | None
) -> tuple[Response, float]:
    """Encode generations and return the reply, and the seconds that encoding took.

    Args:
        generations: At least one; several become a zip, or ``results`` in JSON.
        return_format: ``base64`` for JSON, else the file itself.
        outputs_dir: Where copies of the files are kept; None: nowhere.
    """
    began = time.perf_counter()
    files = [generation.encoded() for generation in generations]
    seconds = round(time.perf_counter() - began, 4)
    if outputs_dir is not None:
        for generation, file in zip(generations, files, strict=True):
            _keep(outputs_dir / generation.file_name(), file)
    as_reply = _as_json if return_format == "base64" else _as_file
    return as_reply(generations, files), seconds


def _as_json(generations: Sequence[Generation], files: Sequence[bytes]) -> Response:
    content = audio_json(files, [metadata_of(generation) for generation in generations])
    return Response(content, media_type=JSON, headers=_headers(generations))


def _as_file(generations: Sequence[Generation], files: Sequence[bytes]) -> Response:
    first = generations[0]
    name, content, media_type = first.file_name(), files[0], first.media_type
    if len(files) > 1:
        content = _zipped([generation.file_name() for generation in generations], files)
        name, media_type = f"{Path(name).stem}_and_more.zip", "application/zip"
    headers = {**_headers(generations), "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=media_type, headers=headers)


def _headers(generations: Sequence[Generation]) -> dict[str, str]:
    """Return the facts of the first generation, and the warnings of all of them.

    A file has no other place for what the client should know.
    """
    first = generations[0]
    headers = {
        "X-Seed": str(first.plan.seed),
        "X-Duration-Seconds": f"{first.duration:.6f}",
        "X-Generation-Time": f"{first.generation_time:.3f}",
    }
    if first.plan.loop is not None:
        headers["X-Bpm"] = str(bpm_number(first.plan.loop.bpm))
        headers["X-Bars"] = str(first.plan.loop.bars)
    warnings = dict.fromkeys(
        warning for generation in generations for warning in generation.warnings
    )
    if warnings:
        headers["X-Warnings"] = warnings_header(list(warnings))
    return headers


def _zipped(names: Sequence[str], files: Sequence[bytes]) -> bytes:
    """Return a zip whose bytes depend on names and files alone, not on the time."""
    archive_bytes = io.BytesIO()
    with zipfile.ZipFile(archive_bytes, "w") as archive:
        for name, file in zip(names, files, strict=True):
            archive.writestr(zipfile.ZipInfo(name), file)
    return archive_bytes.getvalue()


def _keep(path: Path, file: bytes) -> None:
    """Keep a copy on disk; a full disk is no reason to lose the reply."""
    try:
        write_whole(path, file, "the audio")
    except StorageFailed as error:
        log.error("audio could not be kept", path=str(path), reason=error.message)
