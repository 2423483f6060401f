"""The replies of endpoints that generate: a file, a zip of files, or JSON; and the copy on disk."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import structlog
from starlette.responses import Response

from loopwright.errors import StorageFailed
from loopwright.generation.take import Take
from loopwright.http.audio_json import audio_json
from loopwright.http.body import JSON
from loopwright.http.warnings_header import warnings_header
from loopwright.system.storage import write_whole

log = structlog.get_logger()


def reply_of(takes: Sequence[Take], return_format: str, outputs_dir: Path | None) -> Response:
    """Return the reply to a request that generates.

    Args:
        takes: At least one; several become a zip, or ``results`` in JSON.
        return_format: ``base64`` for JSON, else the file itself.
        outputs_dir: Where copies of the files are kept; None: nowhere.
    """
    if outputs_dir is not None:
        for take in takes:
            path = outputs_dir / take.file_name
            try:
                write_whole(path, take.file, "the audio")
            except StorageFailed as error:
                # a full disk is no reason to lose the reply
                log.error("audio could not be kept", path=str(path), reason=error.message)
    headers = _headers(takes)
    if return_format == "base64":
        content = audio_json([take.file for take in takes], [take.metadata for take in takes])
        return Response(content, media_type=JSON, headers=headers)
    first = takes[0]
    name, file, media_type = first.file_name, first.file, first.media_type
    if len(takes) > 1:
        file = _zipped(takes)
        name, media_type = f"{Path(name).stem}_and_more.zip", "application/zip"
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return Response(file, media_type=media_type, headers=headers)


def _headers(takes: Sequence[Take]) -> dict[str, str]:
    """Return the facts of the first take, and the warnings of all of them.

    A file has no other place for what the client should know.
    """
    first = takes[0]
    headers = {
        "X-Seed": str(first.seed),
        "X-Duration-Seconds": f"{first.duration:.6f}",
        "X-Generation-Time": f"{first.generation_time:.3f}",
    }
    if first.bpm is not None:
        headers |= {"X-Bpm": str(first.bpm), "X-Bars": str(first.bars)}
    warnings = dict.fromkeys(warning for take in takes for warning in take.warnings)
    if warnings:
        headers["X-Warnings"] = warnings_header(list(warnings))
    return headers


def _zipped(takes: Sequence[Take]) -> bytes:
    """Return a zip whose bytes depend on names and files alone, not on the time."""
    archive_bytes = io.BytesIO()
    with zipfile.ZipFile(archive_bytes, "w") as archive:
        for take in takes:
            archive.writestr(zipfile.ZipInfo(take.file_name), take.file)
    return archive_bytes.getvalue()
