"""The files of a finetune in its repository: which checkpoints there are, which configuration belongs to one, its prompts."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from loopwright.errors import InvalidInput

PROMPTS_FILE = "prompts.json"
SUFFIXES = (".ckpt", ".safetensors")
PROMPT_KINDS = ("generic", "drums", "instrumental")

_CHECKPOINT = re.compile(r"(?!.*\.\.)[\w=+-][\w.=+/ -]{0,190}\.(?:ckpt|safetensors)", re.ASCII)
_VERSION = re.compile(r".*?_v\d+", re.IGNORECASE)


def check_checkpoint_name(name: str) -> None:
    """Raises InvalidInput for what can be no checkpoint file in a repository."""
    if not _CHECKPOINT.fullmatch(name):
        raise InvalidInput(
            f"finetune_checkpoint must be a file of the repository that ends in {' or '.join(SUFFIXES)}, got {name!r}",
            field="finetune_checkpoint",
        )


def checkpoints_among(files: Collection[str]) -> list[str]:
    """The files that are checkpoints."""
    return sorted(file for file in files if file.endswith(SUFFIXES))


def config_for(checkpoint: str, files: Collection[str]) -> str | None:
    """The configuration that belongs to a checkpoint, the most particular first; None: the base model's."""
    stem = PurePosixPath(checkpoint).stem
    version = _VERSION.match(stem)
    prefixes = [f"{stem}_model_config"]
    if version:
        prefixes += [f"{version[0]}_{kind}" for kind in ("base_model_config", "model_config", "config")]
    candidates = (f"{name}.json" for name in (*prefixes, "base_model_config", "model_config"))
    return next((name for name in candidates if name in files), None)


def read_prompts(path: Path) -> dict[str, object] | None:
    """The prompts a finetune suggests, in the contract's shape; None for a file that has none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        dice = content["dice"]
        return {"version": content.get("version", 1), "dice": {kind: _strings(dice.get(kind)) for kind in PROMPT_KINDS}}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _strings(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
