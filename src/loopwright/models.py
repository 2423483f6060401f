"""Which model a request means, and what can be said and done about models.

Knows: the model the server was started with, the one that is active, finetunes on the hub. Does not know: HTTP.
Everything here that touches the network or loads a model takes a while: run it in a thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loopwright.engine.base import ModelInfo, ModelKey
from loopwright.engine.finetune import PROMPTS_FILE, check_checkpoint_name, checkpoints_among, read_prompts
from loopwright.engine.hub import Hub
from loopwright.engine.registry import Registry
from loopwright.errors import InvalidInput, NotFound
from loopwright.request import ModelChoice

Prefer = Literal["active", "finetune", "recent"]


@dataclass(frozen=True)
class Prompts:
    """The prompts a model suggests; message: why there are none."""

    key: ModelKey | None
    prompts: dict[str, object] | None
    message: str | None = None


class Models:
    """standard: the model the server was started with. active: the one used where a request names none."""

    def __init__(self, registry: Registry, hub: Hub, standard: ModelKey) -> None:
        self.registry = registry
        self.standard = standard
        self.active = standard
        self._hub = hub

    def key_for(self, choice: ModelChoice) -> ModelKey:
        """The model a request means. Raises InvalidInput for a finetune that is not named, or not allowed."""
        if choice.model_type is None:
            return self.active
        if choice.model_type == "standard":
            return self.standard
        for field in ("finetune_repo", "finetune_checkpoint"):
            if not getattr(choice, field):
                raise InvalidInput(
                    f"{field} is missing; model_type finetune needs finetune_repo and finetune_checkpoint",
                    field=field,
                    code="missing_parameter",
                )
        assert choice.finetune_repo is not None
        assert choice.finetune_checkpoint is not None
        self._hub.check_name(choice.finetune_repo, "finetune_repo")
        check_checkpoint_name(choice.finetune_checkpoint)
        return ModelKey(choice.finetune_repo, choice.finetune_checkpoint)

    def switch(self, choice: ModelChoice) -> ModelInfo:
        """Load a model and make it the active one."""
        key = self.key_for(choice)
        with self.registry.lease(key) as engine:
            self.active = key
            return engine.info

    def loaded(self) -> tuple[ModelInfo, ...]:
        """The models that are loaded, least recently used first."""
        return self.registry.loaded()

    def checkpoints(self, repo: str) -> list[str]:
        """The checkpoints of a repository. Raises InvalidInput, NotFound, ModelUnavailable."""
        self._hub.check_name(repo, "finetune_repo")
        return checkpoints_among(self._hub.files(repo))

    def prompts(self, repo: str | None, checkpoint: str | None, key: str | None, prefer: Prefer) -> Prompts:
        """The prompts of a repository, of a loaded model by its key, or of the one preferred."""
        if repo:
            self._hub.check_name(repo, "repo")
            return self._prompts_of(ModelKey(repo, checkpoint or None))
        chosen = self._chosen(key, prefer)
        if chosen is None:
            return Prompts(None, None, f"no model is loaded that is {key or prefer}")
        return self._prompts_of(chosen)

    def _chosen(self, key: str | None, prefer: Prefer) -> ModelKey | None:
        recent = [info.key for info in reversed(self.loaded())]
        if key:
            return next((one for one in recent if str(one) == key), None)
        if prefer == "active":
            return self.active
        return next((one for one in recent if prefer == "recent" or one.type == "finetune"), None)

    def _prompts_of(self, key: ModelKey) -> Prompts:
        if not self._hub.is_repo(key.source):
            return Prompts(key, None, f"{key} is not a repository and has no {PROMPTS_FILE}")
        try:
            prompts = read_prompts(self._hub.fetch(key.source, PROMPTS_FILE))
        except NotFound as error:
            return Prompts(key, None, error.message)
        return Prompts(key, prompts, None if prompts else f"the {PROMPTS_FILE} of {key.source} holds no prompts")
