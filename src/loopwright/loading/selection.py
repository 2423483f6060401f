"""Which model a server runs, from what was set and what is there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loopwright.engine.base import ModelKey
from loopwright.errors import InvalidInput, shown
from loopwright.loading.families import family_of
from loopwright.loading.hub import Hub
from loopwright.loading.model_source import is_cached
from loopwright.model.files import CONFIG_FILE
from loopwright.model.pocket.family import POCKET
from loopwright.settings import BASE_REPO


@dataclass(frozen=True)
class ModelSelection:
    """A model and, in a sentence, why it was chosen."""

    key: ModelKey
    reason: str


def select_model(setting: str, hub: Hub) -> ModelSelection:
    """Return the model that the setting ``model`` means.

    Raises:
        InvalidInput: it cannot be the name of any model.
    """
    if setting == "auto":
        # the big model, where it can be had without asking anybody for a token
        big, embedded = ModelKey(BASE_REPO), ModelKey(POCKET.name)
        if is_cached(hub, BASE_REPO):
            return ModelSelection(big, "its weights are in the hub's cache")
        if hub.has_token:
            return ModelSelection(big, "HF_TOKEN is set, so its weights can be downloaded")
        reason = f"{BASE_REPO} is not in the hub's cache and HF_TOKEN is not set"
        return ModelSelection(embedded, reason)
    if family_of(setting).is_built_in:
        return ModelSelection(ModelKey(setting), "it was asked for")
    folder = Path(setting).expanduser()
    if (folder / CONFIG_FILE).is_file():
        return ModelSelection(ModelKey(str(folder.resolve())), "the folder holds a model")
    if folder.exists() or setting.startswith((".", "/", "~")):
        raise InvalidInput(
            f"model must be a folder with {CONFIG_FILE}, got {shown(setting)}, which has none",
            field="model",
        )
    hub.check_name(setting)
    return ModelSelection(ModelKey(setting), "it was asked for")
