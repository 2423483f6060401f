"""Request bodies: JSON and both kinds of form become one mapping of fields, plus files. Knows sizes, not meanings.

Big ones are read in a thread. The JSON library keeps the interpreter's lock until it is done: about a millisecond a megabyte of
text, but thirty a megabyte of small values, so that these are counted first.
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

from loopwright.errors import SHOWN_CHARACTERS, InvalidInput, TooLarge, shown
from loopwright.generation.sources import Upload
from loopwright.http.audio_json import from_base64
from loopwright.http.state import remember_received
from loopwright.kinds.request import RequestModel

JSON = "application/json"
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
MAX_FORM_FIELDS = 100
MAX_JSON_VALUES = 10_000
SMALL = 64 * 1024
"""Bytes or characters that are read sooner than a thread is ready to."""

EXTENDED_FILENAME = re.compile(rb"filename\*\s*=\s*[\w-]*'[^']*'([^;]*)", re.IGNORECASE)
PLAIN_FILENAME = re.compile(rb"filename\s*=", re.IGNORECASE)

T = TypeVar("T")
Raw = TypeVar("Raw", bytes, str)


AUDIO_FILE, AUDIO_BASE64 = "audio_file", "audio_base64"
"""Where audio is sent: as a file of a form, or as text in JSON."""

M = TypeVar("M", bound=RequestModel)


@dataclass(frozen=True)
class Body:
    """What a request's body holds.

    Args:
        fields: texts and JSON values, as the client named them.
        files: the files of a form, by field.
        warnings: what was odd about the body, a sentence each.
    """

    fields: dict[str, object] = field(default_factory=dict)
    files: dict[str, Upload] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    async def take(
        self, model: type[M], *, takes_audio: bool = False
    ) -> tuple[M, Upload | None, tuple[str, ...]]:
        """Return the validated request, its audio, and warnings.

        Raises:
            InvalidInput: for a field that cannot be; for a file in a field of text, or under a name
                that is not known, or where no audio is taken: dropping it would make something else
                than was asked for.
        """
        fields, files = dict(self.fields), dict(self.files)
        upload = await _take_audio(fields, files) if takes_audio else None
        for name, file in files.items():
            raise _misplaced(name, file, model, takes_audio=takes_audio)
        if not takes_audio and (fields.get(AUDIO_BASE64) or fields.get(AUDIO_FILE)):
            raise _no_audio_here(AUDIO_BASE64 if fields.get(AUDIO_BASE64) else AUDIO_FILE)
        request, warnings = model.parse(fields)
        return request, upload, (*self.warnings, *warnings)


async def read_body(request: Request, max_bytes: int) -> Body:
    """Read the request's fields and files.

    Raises:
        TooLarge: for more than ``max_bytes``.
        InvalidInput: for a body that cannot be read, or breaks off.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    limited = _Limited(request, max_bytes)
    if kind == FORMS[0]:
        body = await _read_multipart(limited, max_bytes)
    elif kind == FORMS[1]:
        body = await _off_the_loop(_read_urlencoded, await limited.body())
    elif kind in (JSON, "") or kind.endswith("+json"):
        body = await _off_the_loop(_read_json, await limited.body())
    else:
        raise InvalidInput(
            f"Content-Type must be {JSON}, {FORMS[0]} or {FORMS[1]}, got {shown(kind)}",
            code="invalid_content_type",
        )
    remember_received(
        request, body.fields, {name: len(file.data) for name, file in body.files.items()}
    )
    return body


async def _take_audio(fields: dict[str, object], files: dict[str, Upload]) -> Upload | None:
    """Take the audio out of a body, sent as ``audio_file`` or, in JSON, as ``audio_base64``."""
    text, file = fields.pop(AUDIO_BASE64, None) or None, files.pop(AUDIO_FILE, None)
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
    return Upload(await _off_the_loop(_from_base64, text), field=AUDIO_BASE64)


def _misplaced(
    name: str, file: Upload, model: type[RequestModel], *, takes_audio: bool
) -> InvalidInput:
    """Say of a file that was sent where none is taken what is wrong with it."""
    if name in model.model_fields:
        sentence = f"{name} must be text, got a file ({shown(file.name)}, {len(file.data):,} bytes)"
        return InvalidInput(sentence, field=name)
    if takes_audio:
        sentence = f"there is no file field {shown(name)}; send the audio as {AUDIO_FILE}"
        return InvalidInput(sentence, field=name[:SHOWN_CHARACTERS], code="unknown_file")
    return _no_audio_here(name)


def _no_audio_here(name: str) -> InvalidInput:
    return InvalidInput(
        f"{shown(name)[1:-1]} was sent, but this endpoint takes no audio; /generate/style-transfer, /generate/loop, "
        "/generate/loop-guided, /generate/variation and /generate/inpaint do",
        field=name[:SHOWN_CHARACTERS],
        code="unknown_file",
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
    except (
        ValueError,
        RecursionError,
    ):  # a number of thousands of digits, or lists in lists in lists
        raise InvalidInput(
            "the body is JSON that is nested too deep or has too long a number", code="invalid_json"
        ) from None
    if not isinstance(fields, dict):
        raise InvalidInput(
            f"the body must be a JSON object, got {shown(fields)}", code="invalid_json"
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
    except ValueError as error:
        raise InvalidInput(
            f"audio_base64 must be audio in base64: {error}", field=AUDIO_BASE64
        ) from None


def _read_urlencoded(raw: bytes) -> Body:
    if raw.lstrip()[:1] == b"{":  # curl -d calls everything a form, and no field's name begins so
        said = f"the body is JSON, but its Content-Type is {FORMS[1]}; send {JSON}"
        return replace(_read_json(raw), warnings=(said,))
    body = Body()
    try:
        # as Latin-1 every byte is one character, so that what was not percent-encoded stays what it was
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
        _add(body, _text_of(name), _text_of(value))
    return body


def _text_of(latin: str) -> str:
    """Return what bytes mean: UTF-8, or Latin-1 where they are none."""
    try:
        return latin.encode("latin-1").decode()
    except UnicodeDecodeError:
        return latin


def _add(body: Body, name: str, value: str | Upload) -> None:
    if name in body.fields or name in body.files:
        raise InvalidInput(
            f"{shown(name)[1:-1]} was sent more than once", field=name[:SHOWN_CHARACTERS]
        )
    if isinstance(value, Upload):
        body.files[name] = value
    else:
        body.fields[name] = value


class _FormParser(MultiPartParser):
    """Starlette's parser of multipart forms; it also knows whether it has seen the last boundary."""

    is_ended = False

    def on_headers_finished(self) -> None:
        """Take a file whose name is sent only as ``filename*`` (RFC 5987) as the file that it is."""
        disposition = self._current_part.content_disposition or b""
        extended = EXTENDED_FILENAME.search(disposition)
        if extended and not PLAIN_FILENAME.search(disposition):
            name = unquote(extended[1].decode("latin-1")).replace('"', "")
            self._current_part.content_disposition = disposition + f'; filename="{name}"'.encode()
        super().on_headers_finished()

    def on_end(self) -> None:
        """Remember that the form is whole."""
        self.is_ended = True


async def _read_multipart(request: Request, max_bytes: int) -> Body:
    body = Body()
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
                "the form breaks off before its last boundary; the Content-Length may be too small (it counts bytes, "
                "not characters)",
                code="invalid_form",
            )
        for name, value in form.multi_items():
            if not isinstance(value, UploadFile):
                _add(body, name, value)
            elif (
                value.filename or value.size
            ):  # a browser sends an empty, nameless file where none was chosen
                _add(body, name, Upload(await value.read(), value.filename or ""))
    finally:
        await form.close()
    return body
