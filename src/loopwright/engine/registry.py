"""Which models are loaded, and which of them are in use.

A model is reached through a lease, and is never unloaded while a lease is held. The least recently
used goes first when there are more than ``max_models``, or more bytes than the budget. Two requests
for the same model load it once.
A stopgap serves until a quicker engine of its model is made, one model at a time; then new leases
get that engine, and the stopgap is closed with its last lease.
Knows: keys, leases, bytes. Does not know: how a model is loaded, what it is used for. Safe from any
thread.
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
    InvalidInput,
    LoopwrightError,
    ModelUnavailable,
    NotFound,
    ShuttingDown,
)
from loopwright.system.measurements import CacheAsked, report

REMEMBER_FAILURE_SECONDS = 30.0
"""How long a failed load is remembered: a queue of requests must not retry it one by one."""

log = structlog.get_logger()

Load = Callable[[ModelKey], Engine | Stopgap]
"""Loads a model, in a thread of its own; raises where it cannot be loaded."""


@dataclass(frozen=True)
class ModelStatus:
    """The state of a model.

    Args:
        state: Whether it can be used. ``absent``: it is loaded when it is asked for.
        reason: Why it is in error.
        info: Its facts, once it is loaded.
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
        failure: Why it could not be loaded.
        failed_at: When that was, by the monotonic clock.
        leases: How many requests use it, or wait for it.
        converting: Whether a quicker engine is being made.
        is_replaced: Whether that engine has taken its place, so that this one only serves the
            leases it has.
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
    def is_idle(self) -> bool:
        return self.engine is not None and self.leases == 0


class Registry:
    """The loaded models, least recently used first.

    Args:
        load: Loads a model.
        max_models: The most models that stay loaded, unless more are in use.
        memory_budget: The most bytes of weights that stay loaded; None: no limit.
    """

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

        It is the same engine throughout the block, even where a quicker one is made meanwhile.

        Raises:
            ModelUnavailable: The model could not be loaded; the message says why.
            InvalidInput: The request named a model that cannot be, likewise NotFound, and
                CheckpointError for a finetune.
            ShuttingDown: The server is stopping.
        """
        with self._changed:
            entry = self._get_or_load(key)
            entry.leases += 1
            self._entries.move_to_end(key)
        try:
            with self._changed:
                self._changed.wait_for(
                    lambda: entry.engine or entry.failure is not None or self._closed
                )
                engine, failure = entry.engine, entry.failure
            if engine is None:
                if failure is None:
                    raise ShuttingDown("the server is stopping")
                retry_at = entry.failed_at + REMEMBER_FAILURE_SECONDS
                raise _unavailable(key, failure, retry_at - time.monotonic())
            # outside the lock: the block runs for as long as the request
            yield engine
        finally:
            with self._changed:
                entry.leases -= 1
                self._close_if_replaced(entry)
            self._make_room()

    def preload(self, key: ModelKey) -> None:
        """Begin to load a model in the background."""
        with self._changed:
            self._get_or_load(key)

    def status(self, key: ModelKey) -> ModelStatus:
        """Return the state of a model. Never waits for it."""
        with self._changed:
            entry = self._entries.get(key)
            return ModelStatus("absent") if entry is None else entry.status

    def loaded(self) -> tuple[ModelInfo, ...]:
        """Return the facts of the models that are loaded, least recently used first."""
        with self._changed:
            return tuple(
                entry.engine.info for entry in self._entries.values() if entry.engine is not None
            )

    def statuses(self) -> dict[ModelKey, ModelStatus]:
        """Return the state of each model, least recently used first. Never waits."""
        with self._changed:
            return {key: entry.status for key, entry in self._entries.items()}

    def clear(self) -> int:
        """Unload every model that is not in use; return how many these were."""
        with self._changed:
            idle = [key for key, entry in self._entries.items() if entry.is_idle]
            for key in idle:
                self._unload(key)
            return len(idle)

    def close(self) -> None:
        """Unload every model that is not in use, and load none any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.clear()

    def _get_or_load(self, key: ModelKey) -> _Entry:
        """Return the entry of a model.

        Where there is none, or it failed long ago, make a new one and load it in a thread.
        """
        if self._closed:
            raise ShuttingDown("the server is stopping")
        entry = self._entries.get(key)
        may_retry = (
            entry is not None
            and entry.failure is not None
            and time.monotonic() - entry.failed_at > REMEMBER_FAILURE_SECONDS
        )
        report(CacheAsked("models", is_hit=entry is not None and not may_retry))
        if entry is None or may_retry:
            entry = self._entries[key] = _Entry()
            thread = threading.Thread(
                target=self._load_into, args=(key, entry), name=f"load {key}", daemon=True
            )
            thread.start()
        return entry

    def _load_into(self, key: ModelKey, entry: _Entry) -> None:
        """Load a model into its entry, and make its quicker engine, where it has one."""
        self._make_room()
        began = time.monotonic()
        log.info("loading model", model=str(key))
        try:
            loaded = self._load(key)
        except Exception as error:
            if isinstance(error, LoopwrightError):
                failure, trace = error, None
            else:
                # a bug: the log needs to know where
                failure, trace = LoopwrightError(f"{type(error).__name__}: {error}"), error
            with self._changed:
                entry.failure, entry.failed_at = failure, time.monotonic()
                self._changed.notify_all()
            log.error(
                "model could not be loaded", model=str(key), reason=failure.message, exc_info=trace
            )
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
        self._make_room()  # once more: how much memory the model takes is known only now
        if isinstance(loaded, Stopgap):
            with self._improving:  # one at a time: making an engine takes all cores
                self._improve(key, entry, loaded.improve)

    def _improve(self, key: ModelKey, entry: _Entry, improve: Callable[[], Engine]) -> None:
        """Replace a stopgap by a quicker engine, if it can be made."""
        if self._is_gone(key, entry):
            return
        began = time.monotonic()
        try:
            engine = improve()
        except Exception as error:
            with self._changed:
                entry.converting = False
            if not self._closed:
                info = entry.status.info
                log.error(
                    "model could not be converted; it is computed as before",
                    model=str(key),
                    engine=info and info.engine,
                    reason=str(error),
                    exc_info=None if isinstance(error, LoopwrightError) else error,
                )
            return
        with self._changed:
            if self._is_gone(key, entry):
                engine.close()
                return
            # an entry of its own, since the stopgap's counts the leases that go on; assigning to
            # the same key keeps its place in the order of use
            self._entries[key] = _Entry(engine)
            entry.is_replaced = True
            self._close_if_replaced(entry)
        seconds = round(time.monotonic() - began, 2)
        log.info("model converted", model=str(key), engine=engine.info.engine, seconds=seconds)
        self._make_room()

    def _is_gone(self, key: ModelKey, entry: _Entry) -> bool:
        """Return whether the model was unloaded, or the server is stopping."""
        with self._changed:
            return self._closed or self._entries.get(key) is not entry

    def _close_if_replaced(self, entry: _Entry) -> None:
        """Close a stopgap whose place was taken, once its last lease has ended."""
        if entry.is_replaced and entry.leases == 0 and entry.engine is not None:
            entry.engine.close()

    def _make_room(self) -> None:
        """Unload idle models, least recently used first, until the rest is within the limits.

        A model that is leased stays, and so does the only one.
        """
        with self._changed:
            idle = [key for key, entry in self._entries.items() if entry.is_idle]
            for key in idle:
                # one that is loading takes a place already, but its bytes are not known yet
                present = [entry for entry in self._entries.values() if entry.failure is None]
                engines = [entry.engine for entry in present if entry.engine is not None]
                used = sum(engine.info.memory_bytes for engine in engines)
                is_over_budget = self._memory_budget is not None and used > self._memory_budget
                exceeds_limits = len(present) > self.max_models or is_over_budget
                if exceeds_limits and len(self._entries) > 1:
                    self._unload(key)

    def _unload(self, key: ModelKey) -> None:
        engine = self._entries.pop(key).engine
        if engine is not None:
            engine.close()
            log.info("model unloaded", model=str(key))


def _unavailable(key: ModelKey, failure: LoopwrightError, seconds_left: float) -> LoopwrightError:
    """Return the error for a request whose model could not be loaded.

    Where the request chose the model badly, it says so; else, to try again later.
    """
    message = f"the model {key} could not be loaded: {failure.message}"
    # a base model's files are the server's own, but a finetune is what the request named
    is_bad_finetune = isinstance(failure, CheckpointError) and key.type == "finetune"
    if isinstance(failure, NotFound | InvalidInput) or is_bad_finetune:
        return type(failure)(
            message, field=failure.field, code=failure.code, details=failure.details
        )
    return ModelUnavailable(message, retry_after=max(1, round(seconds_left)))
