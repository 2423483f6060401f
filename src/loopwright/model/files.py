"""The files of a stable-audio-tools model: ``model_config.json`` and, beside it, weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loopwright.errors import CheckpointError

CONFIG_FILE = "model_config.json"
WEIGHT_FILES = ("model.safetensors", "model.ckpt")
"""The first that is there counts."""


@dataclass(frozen=True)
class ModelFiles:
    """The paths of a model's files.

    Attributes:
        config: Path of its configuration.
        weights: Path of its weights.
    """

    config: Path
    weights: Path


def files_in(folder: Path) -> ModelFiles:
    """Return the files of a model in a folder.

    Raises:
        CheckpointError: The folder has no weights.
    """
    for name in WEIGHT_FILES:
        if (folder / name).is_file():
            return ModelFiles(folder / CONFIG_FILE, folder / name)
    raise CheckpointError(
        f"the folder {folder.name} must hold {' or '.join(WEIGHT_FILES)}, and holds neither"
    )
