"""The reference and our variants, as contenders that are started, warmed up and timed alike.

Knows: how each is asked for a scenario. Does not know: whose turn it is, how results are shown.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile

from bench.reference.process import Reference, running
from bench.results import REFERENCE
from bench.scenarios import STEPS, Scenario
from bench.server import Server, Variant, serving
from loopwright.audio.types import Audio

WARM_UP_STEPS = 1


@dataclass(frozen=True)
class Setting:
    """What every contender runs on. folder: for logs, caches and audio; threads: of each."""

    model: Path
    folder: Path
    threads: int

    @property
    def source(self) -> Path:
        """The audio that style transfers start from."""
        return self.folder / "source.wav"

    def reference_audio(self, scenario: Scenario) -> Path:
        """Return the file of the reference's audio of a scenario."""
        return self.folder / f"{scenario.name}.npy"


class Running(Protocol):
    """A contender while its process runs."""

    @property
    def pid(self) -> int:
        """The id of its process."""
        ...

    @property
    def seconds_to_ready(self) -> float:
        """Seconds from the start of the process until it serves."""
        ...

    def warm_up(self, scenario: Scenario) -> None:
        """Pay for what only the first request of a kind pays for."""
        ...

    def measure(self, scenario: Scenario) -> tuple[float, Mapping[str, float]]:
        """Send one request; return its seconds in all and by stage."""
        ...


class Contender(Protocol):
    """A column of the report."""

    @property
    def name(self) -> str:
        """Its name in the report."""
        ...

    def run(self) -> AbstractContextManager[Running]:
        """Run its process until the block ends."""
        ...


class RunningReference:
    """The reference, which always makes the whole window: one request warms it up for all."""

    def __init__(self, process: Reference, setting: Setting) -> None:
        self.pid = process.pid
        self.seconds_to_ready = process.seconds_to_ready
        self._process = process
        self._setting = setting
        self._is_warm = False

    def warm_up(self, scenario: Scenario) -> None:
        """See ``Running``."""
        if not self._is_warm:
            self._process.make(
                scenario.for_reference(self._setting.source, None, steps=WARM_UP_STEPS)
            )
        self._is_warm = True

    def measure(self, scenario: Scenario) -> tuple[float, Mapping[str, float]]:
        """See ``Running``. The audio is kept, which is not timed."""
        save = self._setting.reference_audio(scenario)
        made = self._process.make(scenario.for_reference(self._setting.source, save))
        return made.seconds, made.stages


class RunningServer:
    """A server of ours."""

    def __init__(self, server: Server, setting: Setting) -> None:
        self.pid = server.pid
        self.seconds_to_ready = server.seconds_to_ready
        self._server = server
        self._setting = setting

    def warm_up(self, scenario: Scenario) -> None:
        """See ``Running``."""
        self._ask(scenario, scenario.fields(steps=WARM_UP_STEPS))

    def measure(self, scenario: Scenario) -> tuple[float, Mapping[str, float]]:
        """See ``Running``. Timed by the client, to the last byte of the reply."""
        return self._ask(scenario, scenario.fields())[1:]

    def as_made(self, scenario: Scenario) -> Audio:
        """Return the audio as the model made it, [2, samples]."""
        content, _, _ = self._ask(scenario, scenario.fields(steps=STEPS, as_made=True))
        audio, _ = soundfile.read(io.BytesIO(content), dtype="float32")
        return np.ascontiguousarray(audio.T)

    def _ask(
        self, scenario: Scenario, fields: Mapping[str, object]
    ) -> tuple[bytes, float, Mapping[str, float]]:
        audio = None if scenario.style_strength is None else self._setting.source
        reply = self._server.ask(scenario.endpoint, fields, audio)
        return reply.content, reply.seconds, reply.stages


@dataclass(frozen=True)
class ReferenceContender:
    """The reference."""

    setting: Setting
    name: str = REFERENCE

    @contextmanager
    def run(self) -> Iterator[RunningReference]:
        """See ``Contender``."""
        with running(self.setting.model, self.setting.threads, self.setting.folder) as process:
            yield RunningReference(process, self.setting)


@dataclass(frozen=True)
class OurContender:
    """The server, run as one of its variants."""

    setting: Setting
    variant: Variant

    @property
    def name(self) -> str:
        """See ``Contender``."""
        return self.variant.name

    @contextmanager
    def run(self) -> Iterator[RunningServer]:
        """See ``Contender``."""
        with serving(
            str(self.setting.model), self.variant.flags, self.setting.threads, self._folder
        ) as server:
            yield RunningServer(server, self.setting)

    def forget(self) -> None:
        """Remove what earlier starts have kept, so that the next is as the first ever."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _folder(self) -> Path:
        return self.setting.folder / self.variant.name.replace(", ", "-").replace(" ", "-")
