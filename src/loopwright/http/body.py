"""Request bodies: JSON and both kinds of form become one mapping of fields, plus files. Knows sizes, not meanings.

Big ones are read in a thread. The JSON library keeps the interpreter's lock until it is done: about a millisecond a megabyte of
text, but thirty a megabyte of small values, so that these are counted first.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from loopwright.errors import InvalidInput, TooLarge
from loopwright.http.audio_json import from_base64
from loopwright.request import shown

JSON = "application/json"
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
MAX_FORM_FIELDS = 100
MAX_JSON_VALUES = 10_000
SMALL = 64 * 1024
"""Bytes or characters that are read sooner than a thread is ready to."""

T = TypeVar("T")
Raw = TypeVar("Raw", bytes, str)


@dataclass(frozen=True)
class Upload:
    """A file as it was sent."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Body:
    """fields: as the client named them; files: uploads, by field."""

    fields: dict[str, object] = field(default_factory=dict)
    files: dict[str, Upload] = field(default_factory=dict)

    async def take_audio(self) -> Upload | None:
        """The audio that was sent as a file ``audio_file`` or, in JSON, as ``audio_base64``. Raises InvalidInput."""
        text = self.fields.pop("audio_base64", None) or None
        file = self.files.pop("audio_file", None)
        if self.fields.pop("audio_file", None):
            raise InvalidInput("audio_file must be a file, got text; in JSON send audio_base64", field="audio_file")
        if file is not None and text is not None:
            raise InvalidInput("audio_file and audio_base64 were both sent; send one", field="audio_base64")
        if text is None:
            return file
        if not isinstance(text, str):
            raise _no_base64(text)
        return Upload("audio.wav", await _off_the_loop(_from_base64, text))


async def read_body(request: Request, max_bytes: int) -> Body:
    """The request's fields and files. Raises TooLarge, or InvalidInput for a body that cannot be read."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    limited = _Limited(request, max_bytes)
    if kind == FORMS[0]:
        return await _read_multipart(limited, max_bytes)
    if kind == FORMS[1]:
        return await _off_the_loop(_read_urlencoded, await limited.body())
    if kind in (JSON, "") or kind.endswith("+json"):
        return await _off_the_loop(_read_json, await limited.body())
    raise InvalidInput(
        f"Content-Type must be {JSON}, {FORMS[0]} or {FORMS[1]}, got {shown(kind)}", code="invalid_content_type"
    )


class _Limited(Request):
    """A request whose body may not be longer than so many bytes, whatever its Content-Length says."""

    def __init__(self, request: Request, max_bytes: int) -> None:
        super().__init__(request.scope, request.receive)
        self._max_bytes = max_bytes

    async def stream(self) -> AsyncGenerator[bytes, None]:
        announced = self.headers.get("content-length", "")
        if announced.isdecimal() and int(announced[:20]) > self._max_bytes:
            raise self._too_large(f"{int(announced[:20]):,} bytes")
        read = 0
        async for chunk in super().stream():
            read += len(chunk)
            if read > self._max_bytes:
                raise self._too_large(f"more than {self._max_bytes:,} bytes")
            yield chunk

    def _too_large(self, size: str) -> TooLarge:
        return TooLarge(f"the request body is {size}; the most is {self._max_bytes:,} bytes")


async def _off_the_loop(read: Callable[[Raw], T], raw: Raw) -> T:
    """Read what is big in a thread."""
    return read(raw) if len(raw) <= SMALL else await asyncio.to_thread(read, raw)


def _read_json(raw: bytes) -> Body:
    if not raw.strip():
        return Body()
    if _has_more_than(raw, MAX_JSON_VALUES):
        raise InvalidInput(f"the body must be JSON of at most {MAX_JSON_VALUES:,} values", code="invalid_json")
    try:
        fields = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the body is not valid JSON: {error}", code="invalid_json") from None
    if not isinstance(fields, dict):
        raise InvalidInput(
            f"the body must be a JSON object, got {type(fields).__name__} {shown(fields)}", code="invalid_json"
        )
    return Body(fields)


def _has_more_than(raw: bytes, values: int) -> bool:
    """Whether JSON has so many commas, a piece at a time."""
    count = 0
    for start in range(0, len(raw), SMALL):
        count += raw.count(b",", start, start + SMALL)
    return count >= values


def _from_base64(text: str) -> bytes:
    try:
        return from_base64(text)
    except ValueError:
        raise _no_base64(text) from None


def _no_base64(value: object) -> InvalidInput:
    return InvalidInput(f"audio_base64 must be audio in base64, got {shown(value)}", field="audio_base64")


def _read_urlencoded(raw: bytes) -> Body:
    body = Body()
    try:
        pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS)
    except ValueError as error:
        raise InvalidInput(f"the form cannot be read: {error}", code="invalid_form") from None
    for name, value in pairs:
        _add(body, name, value)
    return body


def _add(body: Body, name: str, value: str | Upload) -> None:
    if name in body.fields or name in body.files:
        raise InvalidInput(f"{shown(name)[1:-1]} was sent more than once", field=name)
    if isinstance(value, Upload):
        body.files[name] = value
    else:
        body.fields[name] = value


async def _read_multipart(request: Request, max_bytes: int) -> Body:
    body = Body()
    try:
        async with request.form(max_files=4, max_fields=MAX_FORM_FIELDS, max_part_size=max_bytes) as form:
            for name, value in form.multi_items():
                if not isinstance(value, UploadFile):
                    _add(body, name, value)
                elif value.filename or value.size:  # a browser sends an empty, nameless file where none was chosen
                    _add(body, name, Upload(value.filename or "", await value.read()))
    except HTTPException as error:
        raise InvalidInput(f"the form cannot be read: {error.detail}", code="invalid_form") from None
    return body
