"""The flags of the commands, as far as they have them in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from loopwright.settings import Settings, env_var, help_of

SHORTER_FLAGS = {
    "sampler_type": "--sampler",
    "seconds_total": "--seconds",
    "audio_file": "--audio",
}
"""Flags with another name than the field of the request that they set."""


def flag_of(name: str) -> str:
    """Return the flag of a setting, or of a field of a request."""
    return SHORTER_FLAGS.get(name, f"--{name.replace('_', '-')}")


def setting_flag(name: str) -> Any:
    """Return the flag of a setting, with the setting's own help.

    Where it is not given, the environment or the setting's default counts.
    """
    default = getattr(Settings, name)
    default = str(default) if isinstance(default, Path) else default
    return typer.Option(help=f"{help_of(name)} [{default!r}, {env_var(name)}]", show_default=False)


Model = Annotated[str | None, setting_flag("model")]
Device = Annotated[str | None, setting_flag("device")]
EngineName = Annotated[str | None, setting_flag("engine")]
Precision = Annotated[str | None, setting_flag("precision")]
Threads = Annotated[int | None, setting_flag("threads")]
LogLevel = Annotated[str | None, setting_flag("log_level")]

MODEL_FLAGS: dict[str, Any] = {
    "model": Model,
    "device": Device,
    "engine": EngineName,
    "precision": Precision,
    "threads": Threads,
}
"""The flags of commands that compute with a model, by the setting's name."""
