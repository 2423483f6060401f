"""Request bodies: JSON and both kinds of form become one mapping of fields, and files.

Large bodies are read in a thread. The JSON library keeps the interpreter's lock until it is done:
about a millisecond per megabyte of text, but thirty per megabyte of small values, so that these are
counted first.
Knows: formats and sizes. Does not know: what the fields mean.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar
from urllib.parse import parse_qsl, unquote

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from loopwright.errors import SHOWN_CHARACTERS, Cancelled, InvalidInput, TooLarge, shown
from loopwright.generation.sources import Upload
from loopwright.http.audio_json import from_base64
from loopwright.http.state import remember_received
from loopwright.kinds.request import RequestModel
from loopwright.kinds.table import KINDS

JSON = "application/json"
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
MAX_FORM_FIELDS = 100
MAX_JSON_VALUES = 10_000
MAX_SIZE_ON_LOOP = 64 * 1024
"""Bytes or characters that are read on the event loop, sooner than a thread would be ready to."""

EXTENDED_FILENAME = re.compile(rb"filename\*\s*=\s*[\w-]*'[^']*'([^;]*)", re.IGNORECASE)
PLAIN_FILENAME = re.compile(rb"filename\s*=", re.IGNORECASE)

AUDIO_FILE, AUDIO_BASE64 = "audio_file", "audio_base64"
"""The fields that audio is sent in: a file of a form, or text in JSON."""

T = TypeVar("T")
Raw = TypeVar("Raw", bytes, str)
M = TypeVar("M", bound=RequestModel)


@dataclass(frozen=True)
class Body:
    """The content of a request's body.

    Args:
        fields: Texts and JSON values, as the client named them.
        files: The files of a form, by field.
        warnings: What was odd about the body, a sentence each.
    """

    fields: dict[str, object] = field(default_factory=dict)
    files: dict[str, Upload] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    async def take(
        self, model: type[M], *, takes_audio: bool = False
    ) -> tuple[M, Upload | None, tuple[str, ...]]:
        """Validate the body as a request.

        Args:
            model: The request.
            takes_audio: Whether it comes with audio.

        Returns:
            The request, its audio where some was sent, and warnings.

        Raises:
            InvalidInput: A field has a value that is not allowed; or a file was sent in a field of
                text, under an unknown name, or where no audio is accepted: to ignore it would make
                something else than was asked for.
        """
        fields, files = dict(self.fields), dict(self.files)
        upload = await _take_audio(fields, files) if takes_audio else None
        # what is left are files under names that take none
        for name, file in files.items():
            if name in model.model_fields:
                got = f"a file ({shown(file.name)}, {len(file.data):,} bytes)"
                raise InvalidInput(f"{name} must be text, got {got}", field=name)
            if not takes_audio:
                raise _no_audio_accepted(name)
            sentence = f"there is no file field {shown(name)}; send the audio as {AUDIO_FILE}"
            raise InvalidInput(sentence, field=name[:SHOWN_CHARACTERS], code="unknown_file")
        if not takes_audio:
            for name in (AUDIO_BASE64, AUDIO_FILE):
                if fields.get(name):
                    raise _no_audio_accepted(name)
        request, warnings = model.parse(fields)
        return request, upload, (*self.warnings, *warnings)


async def read_body(request: Request, max_bytes: int) -> Body:
    """Read the request's fields and files.

    Raises:
        TooLarge: The body has more than ``max_bytes``.
        InvalidInput: The body cannot be read, or breaks off.
        Cancelled: The client closed the connection amid it.
    """
    header = request.headers.get("content-type", "")
    content_type = header.partition(";")[0].strip().lower()
    limited = _LimitedRequest(request, max_bytes)
    if content_type == FORMS[0]:
        body = await _read_multipart(limited, max_bytes)
    elif content_type == FORMS[1]:
        body = await _off_the_loop(_read_urlencoded, await limited.body())
    # without a type it is JSON: scripts often forget to say so
    elif content_type in (JSON, "") or content_type.endswith("+json"):
        body = await _off_the_loop(_read_json, await limited.body())
    else:
        raise InvalidInput(
            f"Content-Type must be {JSON}, {FORMS[0]} or {FORMS[1]}, got {shown(content_type)}",
            code="invalid_content_type",
        )
    file_bytes = {name: len(file.data) for name, file in body.files.items()}
    remember_received(request, body.fields, file_bytes)
    return body


async def _take_audio(fields: dict[str, object], files: dict[str, Upload]) -> Upload | None:
    """Remove the audio from fields and files, and return it; None where none was sent."""
    file = files.pop(AUDIO_FILE, None)
    # an empty text is none, as an empty field of a form
    text = fields.pop(AUDIO_BASE64, None) or None
    if fields.pop(AUDIO_FILE, None):
        raise InvalidInput(
            "audio_file must be a file, got text; in JSON send audio_base64", field=AUDIO_FILE
        )
    if file is not None and text is not None:
        raise InvalidInput(
            "audio_file and audio_base64 were both sent; send one", field=AUDIO_BASE64
        )
    if text is None:
        return file
    if not isinstance(text, str):
        raise InvalidInput(
            f"audio_base64 must be audio in base64, got {shown(text)}", field=AUDIO_BASE64
        )
    try:
        data = await _off_the_loop(from_base64, text)
    except ValueError as error:
        raise InvalidInput(
            f"audio_base64 must be audio in base64: {error}", field=AUDIO_BASE64
        ) from None
    return Upload(data, field=AUDIO_BASE64)


def _no_audio_accepted(name: str) -> InvalidInput:
    """Return the error for audio, or another file, where an endpoint takes none."""
    endpoints = [kind.path for kind in KINDS if kind.takes_audio]
    return InvalidInput(
        f"{shown(name)[1:-1]} was sent, but this endpoint takes no audio; "
        f"{', '.join(endpoints[:-1])} and {endpoints[-1]} do",
        field=name[:SHOWN_CHARACTERS],
        code="unknown_file",
    )


class _LimitedRequest(Request):
    """A request whose body may have at most ``max_bytes``, whatever its Content-Length says."""

    def __init__(self, request: Request, max_bytes: int) -> None:
        super().__init__(request.scope, request.receive)
        self._max_bytes = max_bytes

    async def stream(self) -> AsyncGenerator[bytes, None]:
        announced = self.headers.get("content-length", "")[:20]  # more digits are too many anyway
        # refused before anything is read, where the client says itself that the body is too large
        if announced.isdecimal() and int(announced) > self._max_bytes:
            raise self._too_large(f"{int(announced):,} bytes")
        read = 0
        try:
            async for chunk in super().stream():
                read += len(chunk)
                if read > self._max_bytes:
                    raise self._too_large(f"more than {self._max_bytes:,} bytes")
                yield chunk
        except ClientDisconnect:
            raise Cancelled("the client closed the connection") from None

    def _too_large(self, size: str) -> TooLarge:
        return TooLarge(f"the request body is {size}; the most is {self._max_bytes:,} bytes")


async def _off_the_loop(read: Callable[[Raw], T], raw: Raw) -> T:
    """Read a body or text, in a thread where it is large."""
    if len(raw) <= MAX_SIZE_ON_LOOP:
        return read(raw)
    return await asyncio.to_thread(read, raw)


def _read_json(raw: bytes) -> Body:
    if not raw.strip():
        return Body()
    # values are about as many as commas, which are counted in pieces: counting holds the lock too
    commas = 0
    for start in range(0, len(raw), MAX_SIZE_ON_LOOP):
        commas += raw.count(b",", start, start + MAX_SIZE_ON_LOOP)
    if commas >= MAX_JSON_VALUES:
        raise InvalidInput(
            f"the body must be JSON of at most {MAX_JSON_VALUES:,} values", code="invalid_json"
        )
    try:
        fields = json.loads(raw)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidInput(
            f"the body is not valid JSON: {error.msg} at {where}", code="invalid_json"
        ) from None
    except UnicodeDecodeError:
        raise InvalidInput(
            "the body is not valid JSON: it must be UTF-8", code="invalid_json"
        ) from None
    except (ValueError, RecursionError):  # a number of thousands of digits, or too deep a nesting
        raise InvalidInput(
            "the body is JSON that is nested too deep or has too long a number", code="invalid_json"
        ) from None
    if not isinstance(fields, dict):
        raise InvalidInput(
            f"the body must be a JSON object, got {shown(fields)}", code="invalid_json"
        )
    return Body(fields)


def _read_urlencoded(raw: bytes) -> Body:
    if raw.lstrip()[:1] == b"{":  # curl -d calls everything a form, and no field's name begins so
        warning = f"the body is JSON, but its Content-Type is {FORMS[1]}; send {JSON}"
        return replace(_read_json(raw), warnings=(warning,))
    body = Body()
    try:
        # as Latin-1 every byte is a character, so that what was not percent-encoded is kept too
        pairs = parse_qsl(
            raw.decode("latin-1"),
            keep_blank_values=True,
            max_num_fields=MAX_FORM_FIELDS,
            encoding="latin-1",
        )
    except ValueError:
        raise InvalidInput(
            f"the form must have at most {MAX_FORM_FIELDS} fields", code="invalid_form"
        ) from None
    for name, value in pairs:
        _add_field(body, _decode_text(name), _decode_text(value))
    return body


def _decode_text(latin: str) -> str:
    """Decode UTF-8 that was read as Latin-1; text that is not UTF-8 is taken as Latin-1."""
    try:
        return latin.encode("latin-1").decode()
    except UnicodeDecodeError:
        return latin


def _add_field(body: Body, name: str, value: str | Upload) -> None:
    """Add a field or file of a form to a body; refuse a name that it has already."""
    if name in body.fields or name in body.files:
        raise InvalidInput(
            f"{shown(name)[1:-1]} was sent more than once", field=name[:SHOWN_CHARACTERS]
        )
    if isinstance(value, Upload):
        body.files[name] = value
    else:
        body.fields[name] = value


class _FormParser(MultiPartParser):
    """Starlette's parser of multipart forms.

    Attributes:
        is_ended: Whether it has seen the last boundary; Starlette's own accepts a form without.
    """

    is_ended = False

    def on_headers_finished(self) -> None:
        """Name a file by its ``filename*`` (RFC 5987), which Starlette does not read."""
        disposition = self._current_part.content_disposition or b""
        extended = EXTENDED_FILENAME.search(disposition)
        if extended and not PLAIN_FILENAME.search(disposition):
            name = unquote(extended[1].decode("latin-1")).replace('"', "")
            self._current_part.content_disposition = disposition + f'; filename="{name}"'.encode()
        super().on_headers_finished()

    def on_end(self) -> None:
        """Note that the form is whole."""
        self.is_ended = True


async def _read_multipart(request: Request, max_bytes: int) -> Body:
    body = Body()
    # Starlette's own limit for a field is 1 MB, less than audio that is sent as base64
    parser = _FormParser(
        request.headers,
        request.stream(),
        max_files=4,
        max_fields=MAX_FORM_FIELDS,
        max_part_size=max_bytes,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise InvalidInput(
            f"the form cannot be read: {error.message}", code="invalid_form"
        ) from None
    try:
        if not parser.is_ended:
            raise InvalidInput(
                "the form breaks off before its last boundary; the Content-Length may be too small "
                "(it counts bytes, not characters)",
                code="invalid_form",
            )
        for name, value in form.multi_items():
            if not isinstance(value, UploadFile):
                _add_field(body, name, value)
            # a browser sends an empty file without a name where none was chosen
            elif value.filename or value.size:
                _add_field(body, name, Upload(await value.read(), value.filename or ""))
    finally:
        await form.close()
    return body
