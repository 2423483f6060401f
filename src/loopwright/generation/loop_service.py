"""What front ends may ask of the side that generates, wherever it runs.

``generation/service`` does it in this process, ``runner/client`` in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Protocol

from loopwright.engine.base import ModelInfo, ModelKey
from loopwright.engine.registry import ModelStatus
from loopwright.generation.sources import Upload
from loopwright.generation.take import Take
from loopwright.kinds.request import GenerationRequest, ModelChoice
from loopwright.library.riffs import Catalog, Riff
from loopwright.music.key import Key
from loopwright.serving.active_run import Progress

STANDARD_NAME = "standard_saos"
"""What clients call the standard model, whatever it is: DAW projects are saved with it."""

OnProgress = Callable[[Progress], None]

Prefer = Literal["active", "finetune", "recent"]
"""Which model's prompts are meant where none is named."""


@dataclass(frozen=True)
class Prompts:
    """The prompts that a model suggests.

    Attributes:
        key: The model; None where none is selected.
        prompts: What its ``prompts.json`` holds, or empty lists; None where no model is selected.
        message: Why there are none.
    """

    key: ModelKey | None
    prompts: dict[str, object] | None
    message: str | None = None


@dataclass(frozen=True)
class ServiceStatus:
    """The state of the side that generates, at one moment.

    Attributes:
        standard: The model the server was started with.
        active: The model that is used where a request names none.
        models: The models that are loading, loaded or failed, least recently used first.
        max_models: The most models that stay loaded.
        queue_depth: Requests that wait or are being made.
        is_restarting: Whether the process that generates has ended, and is started again.
    """

    standard: ModelKey
    active: ModelKey
    models: Mapping[ModelKey, ModelStatus]
    max_models: int
    queue_depth: int = 0
    is_restarting: bool = False

    @property
    def active_model(self) -> ModelStatus:
        """The state of the active model."""
        return self.models.get(self.active, ModelStatus("absent"))

    @property
    def is_ready(self) -> bool:
        """Whether the active model is loaded, or was unloaded and is loaded when it is needed."""
        return not self.is_restarting and self.active_model.state in {"ready", "absent"}

    @property
    def is_converting(self) -> bool:
        """Whether a model is being converted, or waits to be."""
        return any(status.converting for status in self.models.values())

    @property
    def loaded(self) -> tuple[ModelInfo, ...]:
        """The facts of the models that are loaded, least recently used first."""
        return tuple(status.info for status in self.models.values() if status.info is not None)

    def name_of(self, key: ModelKey) -> str:
        """Return what clients call a model."""
        return STANDARD_NAME if key == self.standard else str(key)

    def type_of(self, key: ModelKey) -> Literal["standard", "finetune"]:
        """Return whether it is the standard model, or another."""
        return "standard" if key == self.standard else "finetune"


class LoopService(Protocol):
    """The side that generates, as front ends see it.

    Its methods raise the errors of ``loopwright.errors``.
    """

    def start(self) -> None:
        """Begin to load the standard model. Called on the event loop that will call the rest."""
        ...

    def close(self) -> None:
        """Stop all work and unload the models."""
        ...

    def status(self) -> ServiceStatus:
        """Return the state. Never waits."""
        ...

    async def takes(
        self,
        request: GenerationRequest,
        upload: Upload | None = None,
        warnings: Iterable[str] = (),
        on_progress: OnProgress | None = None,
        client: str = "",
    ) -> tuple[Take, ...]:
        """Make what a request asks for, as files. Cancelling it frees the worker.

        Args:
            request: A request of any kind.
            upload: Source audio that came with it.
            warnings: What the client should know already.
            on_progress: Called with the progress of every run, in any thread.
            client: Who asks; clients get equal shares of the worker's time.

        Returns:
            ``request.n`` takes; of a stack the mix, then its parts.
        """
        ...

    async def model_info(self) -> ModelInfo:
        """Return what is known of the active model; waits until it is loaded."""
        ...

    async def switch_model(self, choice: ModelChoice) -> ModelInfo:
        """Load a model and make it the active one; the standard model, where none is named."""
        ...

    async def clear_models(self) -> int:
        """Unload every model that is not in use; return how many these were."""
        ...

    async def checkpoints(self, repo: str) -> list[str]:
        """List the checkpoints of a repository, at least one."""
        ...

    async def prompts(
        self, repo: str | None, checkpoint: str | None, key: str | None, prefer: Prefer
    ) -> Prompts:
        """Return the prompts that a model suggests.

        Args:
            repo: The model's repository.
            checkpoint: The model's checkpoint in it.
            key: Without a repository: a loaded model, by what clients call it.
            prefer: Without either: which model is meant.
        """
        ...

    async def riffs(self) -> Catalog:
        """List the riffs of the library."""
        ...

    async def add_riff(
        self, data: bytes, filename: str, key: Key | None, bpm: Fraction | None, field: str
    ) -> tuple[Riff, tuple[str, ...]]:
        """Add audio to the library of riffs; return the riff, and warnings."""
        ...

    async def remove_riff(self, filename: str) -> None:
        """Delete a riff, and what was given or estimated for it."""
        ...
