"""Which models are loaded, and for whom.

A model is reached through a lease, and is never unloaded while one is held. The least recently used goes first, when there
are more than ``max_models`` or more bytes than the budget. Two who want the same model load it once.
A stopgap serves until a quicker engine of its model is made, one model at a time; then new leases
get that one, and the stopgap is closed by the last who holds it.
Knows: keys, leases, bytes. Does not know: how a model is loaded, what it is used for. Safe from any thread.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import structlog

from loopwright.engine.base import Engine, ModelInfo, ModelKey, Stopgap
from loopwright.errors import (
    CheckpointError,
    Conflict,
    InvalidInput,
    LoopwrightError,
    ModelUnavailable,
    NotFound,
)

REMEMBER_FAILURE_SECONDS = 30.0
"""So long a failed load is answered from memory: a queue of requests must not try it one after the other."""

log = structlog.get_logger()

Load = Callable[[ModelKey], Engine | Stopgap]


@dataclass(frozen=True)
class ModelStatus:
    """How a model is.

    Args:
        state: Whether it can be used.
        reason: Why it is in error.
        info: What is said of it once it is loaded.
        converting: Whether a quicker engine is being made, or waits to be made.
    """

    state: Literal["absent", "loading", "ready", "error"]
    reason: str | None = None
    info: ModelInfo | None = None
    converting: bool = False


@dataclass
class _Entry:
    """A model that is loading, loaded or failed.

    Args:
        engine: What computes it; None until it is loaded.
        leases: Who uses it, or waits to.
        converting: Whether a quicker engine is being made.
        is_replaced: Whether that has taken its place, and this one only serves who holds it.
    """

    engine: Engine | None = None
    failure: LoopwrightError | None = None
    failed_at: float = 0.0
    leases: int = 0
    converting: bool = False
    is_replaced: bool = False

    @property
    def status(self) -> ModelStatus:
        if self.failure is not None:
            return ModelStatus("error", self.failure.message)
        if self.engine is None:
            return ModelStatus("loading")
        return ModelStatus("ready", info=self.engine.info, converting=self.converting)

    @property
    def idle(self) -> bool:
        return self.engine is not None and self.leases == 0


class Registry:
    """Loaded models, least recently used first. memory_budget: bytes of weights; None: no limit."""

    def __init__(
        self, load: Load, *, max_models: int = 2, memory_budget: int | None = None
    ) -> None:
        self.max_models = max_models
        self._load = load
        self._memory_budget = memory_budget
        self._entries: OrderedDict[ModelKey, _Entry] = OrderedDict()
        self._changed = threading.Condition()
        self._improving = threading.Lock()
        self._closed = False

    @contextmanager
    def lease(self, key: ModelKey) -> Iterator[Engine]:
        """Lend the model, loaded if need be, for as long as the block runs.

        It is the same engine throughout the block, whatever is made meanwhile. Raises ModelUnavailable
        with the reason.
        """
        entry = self._take(key)
        try:
            yield self._wait(key, entry)
        finally:
            self._release(entry)

    def preload(self, key: ModelKey) -> None:
        """Begin to load a model in the background."""
        with self._changed:
            self._entry(key)

    def status(self, key: ModelKey) -> ModelStatus:
        """How a model is. Never waits for it."""
        with self._changed:
            entry = self._entries.get(key)
            return ModelStatus("absent") if entry is None else entry.status

    def loaded(self) -> tuple[ModelInfo, ...]:
        """The models that are loaded, least recently used first."""
        with self._changed:
            return tuple(
                entry.engine.info for entry in self._entries.values() if entry.engine is not None
            )

    def statuses(self) -> dict[ModelKey, ModelStatus]:
        """Return how each model is, least recently used first. Never waits."""
        with self._changed:
            return {key: entry.status for key, entry in self._entries.items()}

    def clear(self) -> int:
        """Unload every model that nobody uses; how many that were."""
        with self._changed:
            idle = [key for key, entry in self._entries.items() if entry.idle]
            for key in idle:
                self._unload(key)
            return len(idle)

    def close(self) -> None:
        """Unload what nobody uses, and load nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.clear()

    def _take(self, key: ModelKey) -> _Entry:
        with self._changed:
            entry = self._entry(key)
            entry.leases += 1
            self._entries.move_to_end(key)
            return entry

    def _entry(self, key: ModelKey) -> _Entry:
        """The entry of a model; a new one, and a thread that loads it, where there is none or it failed long ago."""
        if self._closed:
            raise Conflict("the server is stopping")
        entry = self._entries.get(key)
        if entry is None or (
            entry.failure is not None
            and time.monotonic() - entry.failed_at > REMEMBER_FAILURE_SECONDS
        ):
            entry = self._entries[key] = _Entry()
            threading.Thread(
                target=self._fill, args=(key, entry), name=f"load {key}", daemon=True
            ).start()
        return entry

    def _fill(self, key: ModelKey, entry: _Entry) -> None:
        self._make_room()
        began = time.monotonic()
        log.info("loading model", model=str(key))
        try:
            loaded = self._load(key)
        except Exception as error:
            self._failed(key, entry, error)
            return
        engine = loaded.engine if isinstance(loaded, Stopgap) else loaded
        with self._changed:
            entry.engine, entry.converting = engine, isinstance(loaded, Stopgap)
            self._changed.notify_all()
        seconds = round(time.monotonic() - began, 2)
        log.info(
            "model loaded",
            model=str(key),
            device=engine.info.device,
            engine=engine.info.engine,
            seconds=seconds,
        )
        self._make_room()
        if isinstance(loaded, Stopgap):
            with self._improving:  # one at a time: to make one takes all cores
                self._improve(key, entry, loaded.improve)

    def _improve(self, key: ModelKey, entry: _Entry, improve: Callable[[], Engine]) -> None:
        """Put a quicker engine in the place of the one that serves meanwhile, if it can be made."""
        if self._is_gone(key, entry):
            return
        began = time.monotonic()
        try:
            engine = improve()
        except Exception as error:
            with self._changed:
                entry.converting = False
            if not self._closed:
                stays = entry.status.info
                log.error(
                    "model could not be converted; it is computed as before",
                    model=str(key),
                    engine=stays and stays.engine,
                    reason=str(error),
                    exc_info=None if isinstance(error, LoopwrightError) else error,
                )
            return
        with self._changed:
            if self._is_gone(key, entry):
                engine.close()
                return
            self._entries[key] = _Entry(engine)  # which keeps its place in the order of use
            entry.is_replaced = True
            self._close_if_unused(entry)
        seconds = round(time.monotonic() - began, 2)
        log.info("model converted", model=str(key), engine=engine.info.engine, seconds=seconds)
        self._make_room()

    def _is_gone(self, key: ModelKey, entry: _Entry) -> bool:
        """Whether the model was unloaded, or the server is stopping."""
        with self._changed:
            return self._closed or self._entries.get(key) is not entry

    def _close_if_unused(self, entry: _Entry) -> None:
        if entry.is_replaced and entry.leases == 0 and entry.engine is not None:
            entry.engine.close()

    def _failed(self, key: ModelKey, entry: _Entry, error: Exception) -> None:
        expected = isinstance(error, LoopwrightError)
        failure = (
            error
            if isinstance(error, LoopwrightError)
            else LoopwrightError(f"{type(error).__name__}: {error}")
        )
        log.error(
            "model could not be loaded",
            model=str(key),
            reason=failure.message,
            exc_info=None if expected else error,
        )
        with self._changed:
            entry.failure, entry.failed_at = failure, time.monotonic()
            self._changed.notify_all()

    def _wait(self, key: ModelKey, entry: _Entry) -> Engine:
        with self._changed:
            self._changed.wait_for(
                lambda: entry.engine or entry.failure is not None or self._closed
            )
            if entry.engine is not None:
                return entry.engine
            if entry.failure is None:
                raise Conflict("the server is stopping")
            raise _refusal(
                key, entry.failure, entry.failed_at + REMEMBER_FAILURE_SECONDS - time.monotonic()
            )

    def _release(self, entry: _Entry) -> None:
        with self._changed:
            entry.leases -= 1
            self._close_if_unused(entry)
        self._make_room()

    def _make_room(self) -> None:
        """Unload idle models, least recently used first, until what is left fits. One that is leased, or alone, stays."""
        with self._changed:
            for key in [key for key, entry in self._entries.items() if entry.idle]:
                if len(self._entries) > 1 and self._too_many():
                    self._unload(key)

    def _too_many(self) -> bool:
        there = [entry.engine for entry in self._entries.values() if entry.failure is None]
        used = sum(engine.info.memory_bytes for engine in there if engine is not None)
        return len(there) > self.max_models or (
            self._memory_budget is not None and used > self._memory_budget
        )

    def _unload(self, key: ModelKey) -> None:
        engine = self._entries.pop(key).engine
        if engine is not None:
            engine.close()
            log.info("model unloaded", model=str(key))


def _refusal(key: ModelKey, failure: LoopwrightError, seconds_left: float) -> LoopwrightError:
    """What is answered for a model that could not be loaded: where the request chose it badly, that; else to try later."""
    message = f"the model {key} could not be loaded: {failure.message}"
    if isinstance(failure, NotFound | InvalidInput) or (
        isinstance(failure, CheckpointError) and key.type == "finetune"
    ):
        return type(failure)(
            message, field=failure.field, code=failure.code, details=failure.details
        )
    return ModelUnavailable(message, retry_after=max(1, round(seconds_left)))
