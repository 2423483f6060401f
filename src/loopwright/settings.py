"""Settings: environment variables, and flags of ``loopwright serve`` for all but secrets.

Knows: names, types, bounds, defaults, descriptions. Does not know: who uses them.
No other module reads Loopwright's variables. (``loading/torch_import`` and ``audio/ffmpeg`` read
variables of other programs, which are theirs to interpret.)
The class is a plain dataclass, so that ``--help`` can show it without waiting for pydantic, which
``read_settings`` checks values with.
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
"""Hosts of pages on this machine; the last is what Tauri calls itself on Windows and Android."""

OTHER_VARIABLES = {"hf_token": "HF_TOKEN"}
"""Settings whose variable has a name that other programs use too."""

MAX_DEFAULT_CHARACTERS = 60
"""Longest default that the table of settings shows; a longer one is described by the setting."""


def _setting(default: Any, description: str, *, secret: bool = False, **bounds: float) -> Any:
    """Return a field of ``Settings``.

    Args:
        default: Its value where nothing is set.
        description: What it means, in a sentence or two that end with a full stop.
        secret: Whether its value must never be shown, and so is no flag, which lists of processes
            would show.
        bounds: Pydantic's bounds, such as ``ge``; pydantic reads them from the metadata.
    """
    return field(default=default, repr=not secret, metadata={"description": description, **bounds})


@dataclass(frozen=True)
class Settings:
    """All settings, with their defaults. Values from outside are checked by ``read_settings``."""

    host: str = _setting("127.0.0.1", "Address to listen on; 0.0.0.0 for all.")
    port: int = _setting(8005, "Port to listen on.", ge=0, le=65535)
    root_path: str = _setting("", "Path prefix of the server behind a proxy, such as /audio.")
    forwarded_allow_ips: str = _setting(
        "127.0.0.1,::1",
        "Addresses or networks of proxies, separated by commas, whose X-Forwarded-For and "
        "X-Forwarded-Proto are believed; `*` for all.",
    )
    cors_origins: str = _setting(
        ",".join(
            ["null"]
            + [f"{scheme}://{host}" for scheme in ("http", "https") for host in LOCAL_HOSTS]
            + [f"{scheme}://localhost" for scheme in ("capacitor", "ionic", "tauri")]
        ),
        "Origins that may call from a browser or an app's web view, separated by commas; one "
        "without a port stands for all its ports. Default: pages and apps on this machine. "
        "`*` for all, but then without credentials.",
    )
    model: str = _setting(
        "auto",
        f"`auto` ({BASE_REPO} if it is in the hub's cache or HF_TOKEN is set, else pocket), "
        "`pocket`, a repository of the Hugging Face hub, or a folder with model_config.json.",
    )
    allowed_repos: str = _setting(
        BASE_REPO,
        "Hub repositories that models may be loaded from, separated by commas; `*` allows all. "
        "The repository set as `model` is always allowed.",
    )
    hf_token: str | None = _setting(None, "Access token for the Hugging Face hub.", secret=True)
    device: Literal["auto", "cpu", "cuda", "mps"] = _setting(
        "auto", "Where the model runs: cpu, cuda, mps, or auto."
    )
    engine: Literal["auto", "torch", "openvino"] = _setting(
        "auto",
        "Library that runs the model: torch, openvino, or auto, which is openvino on a CPU if it "
        "is installed, else torch. pocket always runs with torch.",
    )
    precision: Literal["auto", "f32", "f16", "int8"] = _setting(
        "auto",
        "Number format that the model is computed in: f32; int8 with openvino; f16 on a GPU. "
        "auto: int8 or f16 where possible, else f32.",
    )
    threads: int = _setting(0, "CPU threads of the model; 0: one per core.", ge=0, le=1024)
    queue_size: int = _setting(32, "Requests that may wait; further ones are answered 503.", ge=1)
    max_body_bytes: int = _setting(100_000_000, "Largest request body in bytes.", ge=1000)
    header_timeout_seconds: float = _setting(
        10, "Seconds in which the headers of a request must arrive, else 408.", gt=0
    )
    body_timeout_seconds: float = _setting(
        30,
        "Seconds after which a connection is closed on which a request's body does not arrive, or "
        "a reply is not taken.",
        gt=0,
    )
    shutdown_grace_seconds: float = _setting(
        30,
        "Seconds that running requests get to finish when the server is told to stop; what is left "
        "then is answered 503.",
        ge=0,
    )
    max_models: int = _setting(
        2, "Models kept loaded; the least recently used is unloaded first.", ge=1
    )
    model_memory_gb: float | None = _setting(
        None, "Limit on the memory of the weights of loaded models, in GB; unset: none.", gt=0
    )
    max_upload_seconds: float = _setting(600, "Longest audio that may be sent, in seconds.", gt=0)
    riffs_dir: Path = _setting(Path("riffs"), "Folder of the personal riff library.")
    cache_dir: Path = _setting(
        Path("~/.cache/loopwright"),
        "Folder for files that can be made again: converted models, stretched riffs.",
    )
    outputs_dir: Path | None = _setting(
        None, "Folder where a copy of every reply's audio is saved; unset: nowhere."
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", "Least severe level that is logged: debug, info, warning or error."
    )
    log_format: Literal["console", "json"] = _setting(
        "console", "Log lines for people (console) or for programs (json)."
    )
    otel_endpoint: str | None = _setting(
        None,
        "OpenTelemetry collector that traces are sent to by OTLP over HTTP, such as "
        "http://localhost:4318; unset: none are made. Needs the extra `otel`.",
    )


def help_of(name: str) -> str:
    """Return what a setting means, in a sentence or two."""
    descriptions = {setting.name: setting.metadata["description"] for setting in fields(Settings)}
    return str(descriptions.get(name, ""))


def env_var(name: str) -> str:
    """Return the environment variable of a setting."""
    return OTHER_VARIABLES.get(name, f"LOOPWRIGHT_{name.upper()}")


def settings_table() -> str:
    """Return all settings as a Markdown table, a row each: variable, flag, default, meaning."""
    lines = ["| Variable | Flag | Default | Meaning |", "|---|---|---|---|"]
    for setting in fields(Settings):
        is_secret = not setting.repr
        flag = "" if is_secret else f"`--{setting.name.replace('_', '-')}`"
        default = "" if setting.default in {None, ""} else f"`{setting.default}`"
        if len(default) > MAX_DEFAULT_CHARACTERS:
            default = "see the meaning"
        meaning = help_of(setting.name)
        lines.append(f"| `{env_var(setting.name)}` | {flag} | {default} | {meaning} |")
    return "\n".join(lines)


def read_settings(
    flags: Mapping[str, object], environment: Mapping[str, str] = os.environ
) -> Settings:
    """Return the settings: each from its flag, else from the environment, else its default.

    Args:
        flags: Values by name; None: the flag was not given.
        environment: Variables by name; an empty one counts as not set.

    Raises:
        InvalidInput: There is no such setting, or its value is not allowed; the message names the
            setting, the value and what the setting means.
    """
    # imported here, or `loopwright --help` would wait for it
    from pydantic import TypeAdapter, ValidationError

    values: dict[str, object] = {}
    names = {setting.name for setting in fields(Settings)}
    for name in flags.keys() - names:
        raise InvalidInput(f"there is no setting {name}", field=name)
    for setting in fields(Settings):
        if text := environment.get(env_var(setting.name)):
            values[setting.name] = text
    values |= {name: value for name, value in flags.items() if value is not None}
    try:
        return TypeAdapter(Settings).validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name, value = str(first["loc"][0]), shown(first["input"])
        raise InvalidInput(
            f"setting {name} cannot be {value}: {first['msg'].lower()}. {help_of(name)}",
            field=name,
        ) from None
