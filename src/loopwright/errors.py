"""Everything that can go wrong, as one tree.

    LoopwrightError
    ├── InvalidInput            a field is missing or has a value that is not allowed
    ├── Impossible              understood, but it cannot be done (a loop that does not fit)
    ├── NotFound                what the request names does not exist
    ├── Conflict                the state of the server does not allow it now
    ├── TooLarge                more bytes, seconds or channels than are accepted
    ├── NotAudio                bytes that cannot be decoded as audio
    ├── TooSlow                 a request that does not arrive
    ├── TryLater                asking again later may work
    │   ├── QueueFull           too many requests are waiting
    │   ├── RunnerDied          the process that generates ended, and is started again
    │   ├── ShuttingDown        the server is stopping
    │   ├── ModelUnavailable    the model could not be loaded (the reason is in the message)
    │   └── StorageFailed       the disk is full, or a folder may not be written to
    ├── Cancelled               the request was cancelled before it was done
    ├── WorkerFailed            a worker process crashed, or took too long
    └── CheckpointError         a model's files are not what they should be

Messages are one sentence for a person: the field, the value received, what is allowed. No code
depends on their text. HTTP status codes are given in ``http/errors.py``, exit codes in ``cli``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import ClassVar

SHOWN_CHARACTERS = 60
"""How much of a value a message shows; longer ones are cut."""


class LoopwrightError(Exception):
    """The root of all errors that Loopwright raises on purpose.

    Args:
        message: One sentence for a person.
        field: The field of the request, or the setting, that it is about; None: no single one.
        code: A stable snake_case name for programs; by default the class's own.
        details: More for programs; sent with the message, as fields beside it.
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
    """A field that is missing, or whose value is not allowed."""

    default_code = "invalid_parameter"


class Impossible(LoopwrightError):
    """A request that is understood, but cannot be carried out."""

    default_code = "impossible"


class NotFound(LoopwrightError):
    """A name in the request of something that does not exist."""

    default_code = "not_found"


class Conflict(LoopwrightError):
    """A request that the state of the server does not allow now."""

    default_code = "conflict"


class TooLarge(LoopwrightError):
    """More bytes, seconds or channels than are accepted."""

    default_code = "too_large"


class NotAudio(LoopwrightError):
    """Bytes that cannot be decoded as audio."""

    default_code = "not_audio"


class TooSlow(LoopwrightError):
    """A request of which nothing more arrived for too long."""

    default_code = "too_slow"


class TryLater(LoopwrightError):
    """A request that may work when it is sent again later.

    Args:
        message: One sentence for a person.
        retry_after: Seconds to wait before that.
        field: The field of the request that it is about.
        code: A stable snake_case name for programs; by default the class's own.
    """

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


class RunnerDied(TryLater):
    """The process that generates ended amid a request."""

    default_code = "runner_died"


class ShuttingDown(TryLater):
    """A request that the server does not do, since it is stopping."""

    default_code = "shutting_down"


class ModelUnavailable(TryLater):
    """A model that could not be loaded."""

    default_code = "model_unavailable"


class StorageFailed(TryLater):
    """A file that could not be written: the disk is full, or the folder is not writable."""

    default_code = "storage_failed"


class Cancelled(LoopwrightError):
    """A request that was cancelled before it was done."""

    default_code = "cancelled"


class CheckpointError(LoopwrightError):
    """Files of a model that are not what they should be."""

    default_code = "bad_checkpoint"


class WorkerFailed(LoopwrightError):
    """A worker process that crashed, or took too long."""

    default_code = "worker_failed"


def one_of(values: Iterable[object], quote: str = "") -> str:
    """Return values as a sentence lists them (``16, 24 or 32``), each between two quotes."""
    *others, last = [f"{quote}{value}{quote}" for value in values]
    return f"{', '.join(others)} or {last}" if others else last


def shown(value: object) -> str:
    """Return a value as JSON would write it, for a message: short, on one line, safe to send."""
    if isinstance(value, str):
        start = value[:SHOWN_CHARACTERS]  # cut first: it may be 60 MB of base64
        text = json.dumps(start, ensure_ascii=not start.isprintable())
        if len(value) <= SHOWN_CHARACTERS:
            return text
        return f'{text[:-1]}…" ({len(value):,} characters)'
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 120.0 was sent as 120
    text = json.dumps(value, ensure_ascii=True, default=str)
    if len(text) <= SHOWN_CHARACTERS:
        return text
    return f"{text[:SHOWN_CHARACTERS]}… ({len(text):,} characters)"
