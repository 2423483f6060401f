"""The model that a request means, and what can be said and done about models.

Knows: the model the server was started with, the one that is active, finetunes on the hub. Does not
know: HTTP. All that touches the network or loads a model takes a while: run it in a thread.
"""

from __future__ import annotations

from loopwright.engine.base import ModelInfo, ModelKey
from loopwright.engine.registry import ModelStatus, Registry
from loopwright.errors import CheckpointError, InvalidInput, ModelUnavailable, NotFound, shown
from loopwright.generation.loop_service import STANDARD_NAME, Prefer, Prompts
from loopwright.kinds.request import ModelChoice
from loopwright.loading.finetunes import (
    PROMPTS_FILE,
    SUFFIXES,
    check_checkpoint_name,
    checkpoints_among,
    no_prompts,
    read_prompts,
)
from loopwright.loading.hub import Hub

FINETUNE_FIELDS = ("finetune_repo", "finetune_checkpoint")


def unused_finetune_fields(choice: ModelChoice) -> tuple[str, ...]:
    """Return a warning that names those fields of a finetune that were sent but do not count."""
    given = [field for field in FINETUNE_FIELDS if getattr(choice, field)]
    if not given or _means_finetune(choice):
        return ()
    why = (
        "model_type is standard"
        if choice.model_type
        else f"a finetune needs {' and '.join(FINETUNE_FIELDS)}"
    )
    return (f"{' and '.join(given)} {'was' if len(given) == 1 else 'were'} not used, since {why}",)


def _means_finetune(choice: ModelChoice) -> bool:
    if choice.model_type is None:
        return all(getattr(choice, field) for field in FINETUNE_FIELDS)
    return choice.model_type == "finetune"


class Models:
    """The models that requests may name.

    Attributes:
        registry: The models that are loaded.
        standard: The model the server was started with.
        active: The model that is used where a request names none.
    """

    def __init__(self, registry: Registry, hub: Hub, standard: ModelKey) -> None:
        self.registry = registry
        self.standard = standard
        self.active = standard
        self._hub = hub

    def key_for(self, choice: ModelChoice) -> ModelKey:
        """Return the model that a request means: the one it names, else the active one.

        Raises:
            InvalidInput: A finetune is not named in full, or is not allowed.
        """
        if not _means_finetune(choice):
            return self.active if choice.model_type is None else self.standard
        for field in FINETUNE_FIELDS:
            if not getattr(choice, field):
                raise InvalidInput(
                    f"{field} is missing; model_type finetune needs "
                    f"{' and '.join(FINETUNE_FIELDS)}",
                    field=field,
                    code="missing_parameter",
                )
        assert choice.finetune_repo is not None
        assert choice.finetune_checkpoint is not None
        self._hub.check_name(choice.finetune_repo, "finetune_repo")
        check_checkpoint_name(choice.finetune_checkpoint)
        return ModelKey(choice.finetune_repo, choice.finetune_checkpoint)

    def switch(self, choice: ModelChoice) -> ModelInfo:
        """Load a model and make it the active one; the standard model, where none is named."""
        key = self.key_for(choice) if _means_finetune(choice) else self.standard
        with self.registry.lease(key) as engine:
            self.active = key
            return engine.info

    def statuses(self) -> dict[ModelKey, ModelStatus]:
        """Return how each model is that is loading, loaded or failed, least recently used first."""
        return self.registry.statuses()

    def loaded(self) -> tuple[ModelInfo, ...]:
        """List the models that are loaded, least recently used first."""
        return self.registry.loaded()

    def checkpoints(self, repo: str) -> list[str]:
        """List the checkpoints of a repository, at least one.

        Raises:
            InvalidInput: The repository is not allowed.
            NotFound: There is no such repository, or it has no checkpoints.
            ModelUnavailable: The hub cannot be reached.
        """
        self._hub.check_name(repo, "finetune_repo")
        found = checkpoints_among(self._hub.files(repo))
        if not found:
            raise NotFound(
                f"the repository {repo} has no checkpoints, which are files that end in "
                f"{' or '.join(SUFFIXES)}",
                field="finetune_repo",
                details={
                    "hint": "choose a repository that holds finetunes of stable-audio-open-small"
                },
            )
        return found

    def prompts(
        self, repo: str | None, checkpoint: str | None, key: str | None, prefer: Prefer
    ) -> Prompts:
        """Return the prompts that a model suggests.

        Args:
            repo: The model's repository.
            checkpoint: The model's checkpoint in it.
            key: Without a repository: a loaded model, by what clients call it.
            prefer: Without either: which model is meant.

        Raises:
            InvalidInput: The repository is not allowed.
            NotFound: The repository does not exist. Of a loaded model it is a message instead.
            ModelUnavailable: The hub cannot be reached. Of a loaded model it is a message instead.
        """
        if repo:
            self._hub.check_name(repo, "repo")
            return self._prompts_of(ModelKey(repo, checkpoint or None))
        recent = [info.key for info in reversed(self.loaded())]
        chosen: ModelKey | None
        if key == STANDARD_NAME:
            chosen = self.standard
        elif key:
            known = (self.standard, *recent)
            chosen = next((model for model in known if key == str(model)), None)
        elif prefer == "active":
            chosen = self.active
        elif prefer == "recent":
            chosen = next(iter(recent), None)
        else:
            chosen = next((model for model in recent if model.type == "finetune"), None)
        if chosen is None:
            return Prompts(None, None, f"no model is loaded that is {shown(key or prefer)}")
        try:
            return self._prompts_of(chosen)
        except (NotFound, ModelUnavailable) as error:
            # the model is loaded: only its repository is out of reach
            return Prompts(chosen, no_prompts(), error.message)

    def _prompts_of(self, key: ModelKey) -> Prompts:
        if not self._hub.is_repo(key.source):
            return Prompts(
                key, no_prompts(), f"{key} is not a repository and has no {PROMPTS_FILE}"
            )
        try:
            prompts = read_prompts(self._hub.fetch(key.source, PROMPTS_FILE))
        except NotFound as error:
            if error.field == "finetune_repo":  # not the file is missing, but the repository
                raise
            return Prompts(key, no_prompts(), error.message)
        except CheckpointError as error:
            return Prompts(key, no_prompts(), error.message)
        return Prompts(key, {**prompts, "repo": key.source, "checkpoint": key.checkpoint})
