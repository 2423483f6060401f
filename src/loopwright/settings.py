"""Settings: each is an environment variable ``LOOPWRIGHT_<NAME>``, most also a flag of ``loopwright serve``.

Knows: names, types, bounds, defaults, words. Does not know: who uses them; no other module reads the environment.
The class is a plain dataclass, so that ``--help`` can show it without waiting for pydantic, which ``read_settings`` checks
values with.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from loopwright.errors import InvalidInput, shown

BASE_REPO = "stabilityai/stable-audio-open-small"

LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]", "tauri.localhost")
"""Where pages of this machine come from; the last is what Tauri calls itself on Windows and Android."""

OTHER_VARIABLES = {"hf_token": "HF_TOKEN"}
"""Settings whose variable has a name that other programs know too."""


def _setting(default: Any, words: str, *, secret: bool = False, **bounds: float) -> Any:
    """A field. bounds: pydantic's, such as ``ge``; it reads them, as it does the words, from the metadata."""
    return field(default=default, repr=not secret, metadata={"description": words, **bounds})


@dataclass(frozen=True)
class Settings:
    """Everything that can be set, with its default. What comes from outside is checked by ``read_settings``."""

    host: str = _setting("127.0.0.1", "Address to listen on; 0.0.0.0 for all.")
    port: int = _setting(8005, "Port to listen on.", ge=0, le=65535)
    root_path: str = _setting(
        "", "Path prefix the server is reached under behind a proxy, such as /audio."
    )
    cors_origins: str = _setting(
        ",".join(
            ["null"]
            + [f"{scheme}://{host}" for scheme in ("http", "https") for host in LOCAL_HOSTS]
            + [f"{scheme}://localhost" for scheme in ("capacitor", "ionic", "tauri")]
        ),
        "Origins that may call from a browser or an app's web view, separated by commas; without a port, any port. "
        "`*` for all, but then without credentials.",
    )
    model: str = _setting(
        "auto",
        f"`auto` ({BASE_REPO} if it is in the hub's cache or HF_TOKEN is set, else pocket), "
        "`pocket`, a hub repository, or a folder with model_config.json.",
    )
    allowed_repos: str = _setting(
        BASE_REPO,
        "Hub repositories models may be loaded from, separated by commas; `*` allows all. "
        "The one set as `model` always counts.",
    )
    hf_token: str | None = _setting(
        None, "Token for the hub (HF_TOKEN, without the prefix).", secret=True
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = _setting("auto", "Where the model runs.")
    engine: Literal["auto", "torch", "openvino"] = _setting(
        "auto",
        "What computes the model; auto: openvino on a CPU where it is installed, else torch. pocket is torch's.",
    )
    precision: Literal["auto", "f32", "f16", "int8"] = _setting(
        "auto",
        "Numbers the model is computed in: f32; int8 with openvino, f16 on a GPU. auto: int8 or f16 where it can be.",
    )
    threads: int = _setting(0, "CPU threads of the model; 0: one a core.", ge=0, le=1024)
    queue_size: int = _setting(32, "Requests that may wait; the next one is answered 503.", ge=1)
    max_body_bytes: int = _setting(100_000_000, "Largest request body in bytes.", ge=1000)
    max_models: int = _setting(2, "Models kept loaded; the least recently used goes first.", ge=1)
    model_memory_gb: float | None = _setting(
        None, "Memory for the weights of loaded models, in GB.", gt=0
    )
    max_upload_seconds: float = _setting(600, "Longest audio that may be sent, in seconds.", gt=0)
    riffs_dir: Path = _setting(Path("riffs"), "Folder of the personal riff library.")
    cache_dir: Path = _setting(
        Path("~/.cache/loopwright"), "Folder for what can be made again, such as stretched riffs."
    )
    outputs_dir: Path | None = _setting(None, "Folder where the audio of every reply is kept too.")
    log_level: Literal["debug", "info", "warning", "error"] = _setting("info", "What is logged.")
    log_format: Literal["console", "json"] = _setting("console", "How log lines look.")


def help_of(name: str) -> str:
    """What a setting means, in a sentence or two."""
    return next(
        (str(one.metadata["description"]) for one in fields(Settings) if one.name == name), ""
    )


def env_var(name: str) -> str:
    """The environment variable of a setting."""
    return OTHER_VARIABLES.get(name, f"LOOPWRIGHT_{name.upper()}")


def read_settings(
    flags: Mapping[str, object], environment: Mapping[str, str] = os.environ
) -> Settings:
    """The flags that were given (not None), else the environment, else the defaults.

    An empty variable counts as none. Raises InvalidInput that names the setting, the value and what it means.
    """
    from pydantic import TypeAdapter, ValidationError

    outside = {one.name: environment.get(env_var(one.name)) for one in fields(Settings)}
    given: dict[str, object] = {name: value for name, value in outside.items() if value}
    given |= {name: value for name, value in flags.items() if value is not None}
    try:
        return TypeAdapter(Settings).validate_python(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        raise InvalidInput(
            f"setting {name} cannot be {shown(first['input'])}: {first['msg'].lower()}. {help_of(name)}",
            field=name,
        ) from None
