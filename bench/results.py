"""What was measured, as it was measured: everything the report is made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

REFERENCE = "reference"


@dataclass(frozen=True)
class Sample:
    """One request, timed by whoever asked. seconds: until the last byte; stages: seconds by the side's own clock.

    peak_bytes: memory. gflops: what the matrix product reached just before.
    """

    side: str
    scenario: str
    round: int
    seconds: float
    stages: Mapping[str, float]
    peak_bytes: int
    gflops: float


@dataclass(frozen=True)
class Start:
    """One cold start. first: the first ever, with nothing kept from earlier ones."""

    side: str
    round: int
    seconds: float
    first: bool = False


@dataclass(frozen=True)
class Agreement:
    """How alike our audio is to the reference's of the same seed."""

    side: str
    scenario: str
    snr_db: float


@dataclass(frozen=True)
class Load:
    """Some clients asking at once for a while. seconds, first_byte: of each request, by the client's clock."""

    clients: int
    round: int
    elapsed: float
    seconds: tuple[float, ...]
    first_byte: tuple[float, ...]
    gflops: float

    @property
    def per_minute(self) -> float:
        """Loops a minute."""
        return 60 * len(self.seconds) / self.elapsed


@dataclass(frozen=True)
class Pair:
    """One loop made over HTTP and, right before or after, by the engine alone. stages: of the former, by the server's clock."""

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
    """All of a run, filled as it goes. sides: in the order of the report's columns."""

    sides: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    agreements: list[Agreement] = field(default_factory=list)
    embedded: Embedded | None = None

    def of(self, side: str, scenario: str, what: Callable[[Sample], float]) -> dict[int, float]:
        """Something of each sample, by round."""
        return {
            one.round: what(one)
            for one in self.samples
            if (one.side, one.scenario) == (side, scenario)
        }

    def stage(self, side: str, scenario: str, name: str) -> dict[int, float]:
        """Seconds of a stage by round; empty where the side does not tell it."""
        some = [
            one
            for one in self.samples
            if (one.side, one.scenario) == (side, scenario) and name in one.stages
        ]
        return {one.round: one.stages[name] for one in some}

    def started(self, side: str, *, first: bool) -> dict[int, float]:
        """Seconds of the starts by round."""
        return {
            one.round: one.seconds for one in self.starts if one.side == side and one.first is first
        }
