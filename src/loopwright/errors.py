"""Everything that can go wrong, as one tree.

    LoopwrightError
    ├── InvalidInput            a field is missing or has a value that is not allowed
    ├── Impossible              understood, but it cannot be done (a loop that does not fit, with ``strict``)
    ├── Unauthorized            no key, or a wrong one
    ├── NotFound                a thing named does not exist
    ├── Conflict                the state of the server does not allow it now
    ├── TooLarge                more bytes, seconds or channels than are taken
    ├── NotAudio                bytes that cannot be decoded as audio
    ├── TryLater                asking again later may work
    │   ├── QueueFull           too many requests are waiting
    │   ├── ModelUnavailable    the model could not be loaded (the reason is in the message)
    │   └── StorageFailed       the disk is full, or a folder may not be written to
    ├── Cancelled               the request was given up before it was done
    ├── WorkerFailed            a worker process crashed, or took too long, over what it was given
    └── CheckpointError         a model's files are not what they should be

Messages are one sentence for a person: the field, the value got, what is allowed. Nothing matches on their text.
HTTP status codes are given in ``http/errors.py``, exit codes in ``cli``.
"""

from __future__ import annotations

import json
from typing import ClassVar

SHOWN_CHARACTERS = 60
"""Of a value in a message; longer ones are cut."""


class LoopwrightError(Exception):
    """The root.

    message: one sentence; field: the input it is about, if one; code: a stable snake_case name for programs;
    details: more for programs, sent beside the message.
    """

    default_code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        code: str | None = None,
        details: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.code = code or self.default_code
        self.details = details or {}


class InvalidInput(LoopwrightError):
    """A field is missing, or its value is not allowed."""

    default_code = "invalid_parameter"


class Impossible(LoopwrightError):
    """Understood, but it cannot be done."""

    default_code = "impossible"


class Unauthorized(LoopwrightError):
    """No key, or a wrong one."""

    default_code = "unauthorized"


class NotFound(LoopwrightError):
    """A thing named does not exist."""

    default_code = "not_found"


class Conflict(LoopwrightError):
    """The state of the server does not allow it now."""

    default_code = "conflict"


class TooLarge(LoopwrightError):
    """More bytes, seconds or channels than are taken."""

    default_code = "too_large"


class NotAudio(LoopwrightError):
    """Bytes that cannot be decoded as audio."""

    default_code = "not_audio"


class TryLater(LoopwrightError):
    """Asking again later may work. retry_after: seconds."""

    default_code = "try_later"

    def __init__(
        self,
        message: str,
        *,
        retry_after: int = 5,
        field: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, field=field, code=code)
        self.retry_after = retry_after


class QueueFull(TryLater):
    """Too many requests are waiting."""

    default_code = "queue_full"


class ModelUnavailable(TryLater):
    """The model could not be loaded."""

    default_code = "model_unavailable"


class StorageFailed(TryLater):
    """The disk is full, or a folder may not be written to."""

    default_code = "storage_failed"


class Cancelled(LoopwrightError):
    """The request was given up before it was done."""

    default_code = "cancelled"


class CheckpointError(LoopwrightError):
    """A model's files are not what they should be."""

    default_code = "bad_checkpoint"


class WorkerFailed(LoopwrightError):
    """A worker process crashed, or took too long, over what it was given."""

    default_code = "worker_failed"


def shown(value: object) -> str:
    """Show a value in a message as JSON would: short, on one line, safe to send."""
    if isinstance(value, str):
        length, value = len(value), value[:SHOWN_CHARACTERS]  # cut first: it may be 60 MB of base64
        text = json.dumps(value, ensure_ascii=not value.isprintable())
        return text if length <= SHOWN_CHARACTERS else f'{text[:-1]}…" ({length:,} characters)'
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = json.dumps(value, ensure_ascii=True, default=str)
    return (
        text
        if len(text) <= SHOWN_CHARACTERS
        else f"{text[:SHOWN_CHARACTERS]}… ({len(text):,} characters)"
    )
