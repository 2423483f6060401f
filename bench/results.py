"""What was measured, as it was measured: everything the report is made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

REFERENCE = "reference"


@dataclass(frozen=True)
class Sample:
    """One request.

    Args:
        contender: Its name.
        scenario: Its name.
        round: From 1 on.
        seconds: Until the last byte, by the client's clock.
        stages: Seconds by stage, by the contender's own clock.
        peak_bytes: Memory.
        gflops: Speed of the matrix product just before.
    """

    contender: str
    scenario: str
    round: int
    seconds: float
    stages: Mapping[str, float]
    peak_bytes: int
    gflops: float


@dataclass(frozen=True)
class Start:
    """A cold start. first: the first ever, with nothing kept from earlier ones."""

    contender: str
    round: int
    seconds: float
    first: bool = False


@dataclass(frozen=True)
class Agreement:
    """How alike our audio is to the reference's of the same seed."""

    contender: str
    scenario: str
    snr_db: float


@dataclass(frozen=True)
class Load:
    """Clients that ask at once for a while.

    Args:
        clients: How many.
        round: From 1 on.
        elapsed: Seconds of it all.
        seconds: Of each request, to the last byte, by the client's clock.
        first_byte: Of each request, to the first byte.
        gflops: Speed of the matrix product just before.
    """

    clients: int
    round: int
    elapsed: float
    seconds: tuple[float, ...]
    first_byte: tuple[float, ...]
    gflops: float

    @property
    def per_minute(self) -> float:
        """Loops per minute."""
        return 60 * len(self.seconds) / self.elapsed


@dataclass(frozen=True)
class Pair:
    """A loop generated over HTTP and, right before or after, by the engine alone.

    Args:
        http: Seconds over HTTP, to the last byte.
        engine: Seconds by the engine alone.
        first_byte: Seconds over HTTP, to the first byte.
        stages: Seconds of the former by stage, by the server's clock.
    """

    http: float
    engine: float
    first_byte: float
    stages: Mapping[str, float]


@dataclass(frozen=True)
class Embedded:
    """The embedded model. loop_seconds: how long its loop sounds."""

    loop_seconds: float
    loads: tuple[Load, ...]
    pairs: tuple[Pair, ...]


@dataclass
class Results:
    """The results of a run, filled as it goes. contenders: in the order of the columns."""

    contenders: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    agreements: list[Agreement] = field(default_factory=list)
    embedded: Embedded | None = None

    def of(
        self, contender: str, scenario: str, what: Callable[[Sample], float]
    ) -> dict[int, float]:
        """Return a number of each sample, by round."""
        return {
            one.round: what(one)
            for one in self.samples
            if (one.contender, one.scenario) == (contender, scenario)
        }

    def stage(self, contender: str, scenario: str, name: str) -> dict[int, float]:
        """Return a stage's seconds by round; empty where the contender does not tell."""
        samples = [
            one
            for one in self.samples
            if (one.contender, one.scenario) == (contender, scenario) and name in one.stages
        ]
        return {one.round: one.stages[name] for one in samples}

    def started(self, contender: str, *, first: bool) -> dict[int, float]:
        """Return the seconds of the starts, by round."""
        return {
            one.round: one.seconds
            for one in self.starts
            if one.contender == contender and one.first is first
        }
