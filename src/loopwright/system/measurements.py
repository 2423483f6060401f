"""What is measured in this process, and who is told: like the log, there is one per process.

The runner sends what is reported in it to the server, which reports it once more. So a server hears
of everything, whichever process it was measured in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog

Stage = Literal["queued", "conditioning", "denoising", "decoding", "post", "encoding"]
"""What a run goes through, in this order. ``queued``: it waits for its first step."""

Cache = Literal["models", "riffs", "texts"]
"""Loaded models, stretched riffs, and texts that a text encoder has read."""


@dataclass(frozen=True)
class StageEnded:
    """A stage of a run is done.

    Attributes:
        stage: The stage.
        seconds: How long it was worked on: less than from its beginning to its end where others
            were worked on meanwhile.
        began: When it began, in seconds since 1970.
        ended: When it ended.
        log_fields: What lines in the log have that are written on behalf of its request.
    """

    stage: Stage
    seconds: float
    began: float
    ended: float
    log_fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluated:
    """Rows were evaluated in one forward of the denoiser."""

    rows: int


@dataclass(frozen=True)
class CacheAsked:
    """Something was looked up in a cache."""

    cache: Cache
    is_hit: bool


@dataclass(frozen=True)
class RunnerMemory:
    """The memory of the process that generates, in bytes.

    Attributes:
        resident: What it has in the machine's memory; None where the system does not say.
        gpu_allocated: What its tensors have of the GPU's memory; None: no model is on a GPU.
        gpu_reserved: What it holds of the GPU's memory, tensors and room for more.
        gpu_peak: The most that its tensors have had of it.
    """

    resident: int | None
    gpu_allocated: int | None = None
    gpu_reserved: int | None = None
    gpu_peak: int | None = None


@dataclass(frozen=True)
class RunnerEnded:
    """The process that generates has ended, and will be started again."""


Measurement = StageEnded | Evaluated | CacheAsked | RunnerMemory | RunnerEnded

Listener = Callable[[Measurement], None]
"""Is told of measurements, in the thread that reports them; must be quick and raise nothing."""

_listeners: list[Listener] = []


def report(measurement: Measurement) -> None:
    """Tell all listeners of this process; none: nothing is done. Any thread may report."""
    for listener in tuple(_listeners):
        listener(measurement)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell a listener of what is reported while the block runs."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def stage_ended(stage: Stage, seconds: float) -> StageEnded:
    """Return the measurement of a stage of this task's request that ends now.

    Args:
        stage: The stage.
        seconds: How long it took, without a pause.
    """
    now = time.time()
    return StageEnded(stage, seconds, now - seconds, now, structlog.contextvars.get_contextvars())
