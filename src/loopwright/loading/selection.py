"""Which model a server runs, from what was set and what is there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loopwright.engine.base import ModelKey
from loopwright.errors import InvalidInput, shown
from loopwright.loading.hub import Hub
from loopwright.settings import BASE_REPO

POCKET = "pocket"


@dataclass(frozen=True)
class ModelSelection:
    """A model and, in a sentence, why it was chosen."""

    key: ModelKey
    reason: str


def choose(setting: str, hub: Hub) -> ModelSelection:
    """The model that the setting ``model`` means. Raises InvalidInput for a name that cannot be any model."""
    if setting == "auto":
        return _choose_by_what_is_there(hub)
    if setting == POCKET:
        return ModelSelection(ModelKey(POCKET), "it was asked for")
    folder = Path(setting).expanduser()
    if (folder / "model_config.json").is_file():
        return ModelSelection(ModelKey(str(folder.resolve())), "the folder holds a model")
    if folder.exists() or setting.startswith((".", "/", "~")):
        raise InvalidInput(
            f"model must be a folder with model_config.json, got {shown(setting)}, which has none",
            field="model",
        )
    hub.check_name(setting)
    return ModelSelection(ModelKey(setting), "it was asked for")


def _choose_by_what_is_there(hub: Hub) -> ModelSelection:
    if hub.is_cached(BASE_REPO):
        return ModelSelection(ModelKey(BASE_REPO), "its weights are in the hub's cache")
    if hub.has_token:
        return ModelSelection(
            ModelKey(BASE_REPO), "HF_TOKEN is set, so its weights can be downloaded"
        )
    return ModelSelection(
        ModelKey(POCKET), f"{BASE_REPO} is not in the hub's cache and HF_TOKEN is not set"
    )
