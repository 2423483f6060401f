"""Configurations of published models, for what measures or tests them without their weights."""

from __future__ import annotations

import json
from pathlib import Path


def stable_audio_open_small_config() -> dict[str, object]:
    """Return the ``model_config.json`` of stable-audio-open-small."""
    path = Path(__file__).parent / "stable_audio_open_small.json"
    config: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return config
