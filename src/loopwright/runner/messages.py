"""What the server and the runner send each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from loopwright.generation.loop_service import LoopService, ServiceStatus
from loopwright.serving.active_run import Progress
from loopwright.settings import Settings
from loopwright.system.measurements import Measurement

MakeService = Callable[[Settings], LoopService]
"""Makes the service that the runner runs; a top-level function, since it is sent by name."""


@dataclass(frozen=True)
class Start:
    """The first message to the runner: what it is to run."""

    settings: Settings
    make_service: MakeService


@dataclass(frozen=True)
class Call:
    """A call of a method of the service.

    Attributes:
        number: The call's number, unique within the server.
        method: The method's name.
        arguments: Its keyword arguments, without ``on_progress``.
        wants_progress: Whether its progress is to be reported.
        log_fields: What lines in the log have that are written on its behalf.
    """

    number: int
    method: str
    arguments: dict[str, Any]
    wants_progress: bool = False
    log_fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cancel:
    """Nobody waits for a call any more."""

    number: int


@dataclass(frozen=True)
class Reported:
    """The progress of one of a call's runs."""

    number: int
    progress: Progress


@dataclass(frozen=True)
class Returned:
    """The result of a call."""

    number: int
    value: Any


@dataclass(frozen=True)
class Raised:
    """The error of a call."""

    number: int
    error: BaseException


@dataclass(frozen=True)
class StatusChanged:
    """The state of the service, whenever it is another than before."""

    status: ServiceStatus


@dataclass(frozen=True)
class Measured:
    """What was measured in the runner since it last said so."""

    measurements: tuple[Measurement, ...]
