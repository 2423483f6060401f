"""The files of a finetune in its repository: checkpoints, the configuration of each, prompts."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from loopwright.errors import CheckpointError, InvalidInput, shown
from loopwright.model.files import CONFIG_FILE, WEIGHT_FILES

BASE_CONFIG_FILE = "base_model_config.json"
"""The base's configuration before it was distilled, which its finetunes are trained with."""

PROMPTS_FILE = "prompts.json"
MAX_PROMPTS_BYTES = 1_000_000
SUFFIXES = (".ckpt", ".safetensors")
PROMPT_KINDS = ("generic", "drums", "instrumental")

_CHECKPOINT = re.compile(r"(?!.*\.\.)[\w=+-][\w.=+/ -]{0,190}\.(?:ckpt|safetensors)", re.ASCII)
_VERSION = re.compile(r".*?_v\d+", re.IGNORECASE)


def check_checkpoint_name(name: str) -> None:
    """Raise InvalidInput where this cannot be the name of a checkpoint in a repository."""
    if not _CHECKPOINT.fullmatch(name):
        raise InvalidInput(
            f"finetune_checkpoint must be a file of the repository that ends in "
            f"{' or '.join(SUFFIXES)}, got {shown(name)}",
            field="finetune_checkpoint",
        )


def checkpoints_among(files: Collection[str]) -> list[str]:
    """List the files that are checkpoints: Lightning's ``.ckpt``, else safetensors.

    A ``model.safetensors`` is a whole model of its own, not a finetune's checkpoint.
    """
    for suffix in SUFFIXES:
        found = [file for file in files if file.endswith(suffix)]
        found = [file for file in found if PurePosixPath(file).name != WEIGHT_FILES[0]]
        if found:
            return sorted(found)
    return []


def config_for(checkpoint: str, files: Collection[str]) -> str | None:
    """Find the configuration that belongs to a checkpoint, the most particular first.

    Returns None where the finetune has none of its own: then it was trained with the base's
    ``base_model_config.json``.
    """
    stem = PurePosixPath(checkpoint).stem
    candidates = [f"{stem}_model_config.json"]
    # checkpoints of all steps of a training share a configuration: acid_v1_step9 has acid_v1's
    version = _VERSION.match(stem)
    if version:
        kinds = ("base_model_config", "model_config", "config")
        candidates += [f"{version[0]}_{kind}.json" for kind in kinds]
    candidates += [BASE_CONFIG_FILE, CONFIG_FILE]
    return next((name for name in candidates if name in files), None)


def no_prompts() -> dict[str, object]:
    """Return the content of a ``prompts.json`` without prompts."""
    return {"version": 1, "dice": {kind: [] for kind in PROMPT_KINDS}}


def read_prompts(path: Path) -> dict[str, object]:
    """Read the prompts that a finetune suggests, with an empty list per kind that its file lacks.

    Raises:
        CheckpointError: the file is too large, or is not JSON that holds prompts.
    """
    with path.open("rb") as file:
        raw = file.read(MAX_PROMPTS_BYTES + 1)
    if len(raw) > MAX_PROMPTS_BYTES:
        raise CheckpointError(
            f"{path.name} must be at most {MAX_PROMPTS_BYTES:,} bytes, and is larger"
        )
    try:
        content = json.loads(raw)
        # NaN, 1e999 and half a character can be read, but no reply can hold them
        json.dumps(content, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path.name} is not valid JSON: {error}") from None
    dice = content.get("dice", {}) if isinstance(content, dict) else None
    if not isinstance(dice, dict):
        raise CheckpointError(
            f"{path.name} must be a JSON object whose dice are lists of prompts by kind"
        )
    return {"version": 1, **content, "dice": {**{kind: [] for kind in PROMPT_KINDS}, **dice}}
