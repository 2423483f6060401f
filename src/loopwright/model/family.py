"""What a family of models declares, so that one row of ``loading/families`` adds it.

Knows: the words between a family and its loader. Does not know: any family. Imports no torch, so
that a server can describe a model before it has imported what computes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:  # torch takes a second to import
    from loopwright.model.base import LatentModel

EngineName = Literal["torch", "openvino"]
Device = Literal["cpu", "cuda", "mps"]
Precision = Literal["f32", "f16", "int8"]


@dataclass(frozen=True)
class Backend:
    """What computes a model.

    Args:
        engine: The library.
        device: Where torch's tensors lie.
        precision: The numbers the networks are computed in.
    """

    engine: EngineName
    device: Device
    precision: Precision


@dataclass(frozen=True)
class Defaults:
    """What counts where a request leaves it open.

    Args:
        steps: Steps of the sampler.
        max_steps: The most that a request may ask for.
        cfg_scale: The scale of classifier-free guidance.
        bpm: The tempo in beats per minute; None where the model chooses one.
    """

    steps: int
    max_steps: int
    cfg_scale: float
    bpm: int | None = None


class Repositories(Protocol):
    """Files of hub repositories, downloaded or found in a cache.

    Whatever goes wrong is a LoopwrightError that says what to do.
    """

    def check_name(self, repo: str, field: str = "model") -> None:
        """Raise InvalidInput, which names ``field``, for no repository or one not allowed."""
        ...

    def is_cached(self, repo: str, file: str) -> bool:
        """Return whether a file is whole in the cache. Touches no network."""
        ...

    def files(self, repo: str) -> list[str]:
        """List the files of a repository."""
        ...

    def fetch(self, repo: str, file: str) -> Path:
        """Return one file of a repository."""
        ...

    def fetch_folder(self, repo: str, files: Sequence[str]) -> Path:
        """Return a folder with those of the files that the repository has."""
        ...


@dataclass(frozen=True)
class LoadRequest:
    """A model to load, and what its family may use for that.

    Args:
        source: The name of a built-in family, a hub repository, or a folder's absolute path.
        checkpoint: The file of a finetune in the repository ``source``; None for a whole model.
        base: The source of the model that finetunes change.
        backend: What is to compute the model; one that the family allows.
        threads: CPU threads; 0 is one per core.
        cache: The folder for what can be made again; None where nothing is kept.
        hub: Where repositories are read.
        wait_for_conversion: Whether a model that must be converted first is waited for. Else the
            family may return one that serves meanwhile, with ``LoadedModel.improve``.
    """

    source: str
    checkpoint: str | None
    base: str
    backend: Backend
    threads: int
    cache: Path | None
    hub: Repositories
    wait_for_conversion: bool = True


@dataclass(frozen=True)
class LoadedModel:
    """A model loaded on a backend.

    Args:
        model: The model.
        backend: What computes it.
        memory_bytes: What its weights take.
        architecture: Names what decides how quick the model is, but not its weights: batch sizes
            that were measured hold for all models of an architecture.
        max_batch_size: The most rows of a forward that still make each row cheaper; None: to be
            measured by the loader.
        improve: Loads the same model on a quicker backend, in seconds to minutes; None where this
            is the quickest.
    """

    model: LatentModel
    backend: Backend
    memory_bytes: int
    architecture: str
    max_batch_size: int | None = None
    improve: Callable[[], LoadedModel] | None = None


@dataclass(frozen=True)
class ModelFamily:
    """Models that are loaded and described alike: a row of the table of families.

    Args:
        name: As users write it, where the family is built in.
        matches: Whether a source (see ``LoadRequest``) is a model of this family.
        load: Loads a model; raises LoopwrightErrors that say what is wrong.
        defaults: By the model's objective.
        limitations: What its models cannot do, a sentence each.
        engines: What can compute it, the preferred one first.
        precisions: The numbers it can be computed in, the preferred ones first.
        is_built_in: Whether its weights come with the package, so that its name is a model.
        takes_finetunes: Whether checkpoints of finetunes can change its models.
    """

    name: str
    matches: Callable[[str], bool]
    load: Callable[[LoadRequest], LoadedModel]
    defaults: Mapping[str, Defaults]
    limitations: tuple[str, ...] = ()
    engines: tuple[EngineName, ...] = ("torch",)
    precisions: tuple[Precision, ...] = ("f32",)
    is_built_in: bool = False
    takes_finetunes: bool = False

    def allowed_backend(self, chosen: Backend) -> Backend:
        """Return the backend that was chosen, or what the family allows in its place."""
        engine = chosen.engine if chosen.engine in self.engines else self.engines[0]
        fits = chosen.precision in self.precisions
        return Backend(engine, chosen.device, chosen.precision if fits else self.precisions[0])
