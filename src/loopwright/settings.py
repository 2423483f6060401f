"""Settings: each is an environment variable ``LOOPWRIGHT_<NAME>``, most also a flag of ``loopwright serve``.

Knows: names, types, defaults. Does not know: who uses them; no other module reads the environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

BASE_REPO = "stabilityai/stable-audio-open-small"


class Settings(BaseSettings):
    """Everything that can be set, with its default."""

    model_config = SettingsConfigDict(env_prefix="LOOPWRIGHT_", frozen=True, extra="ignore", env_ignore_empty=True)

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for all.")
    port: int = Field(8005, ge=0, le=65535, description="Port to listen on.")
    root_path: str = Field("", description="Path prefix the server is reached under behind a proxy, such as /audio.")
    cors_origins: str = Field(
        r"null,http://localhost,http://127.0.0.1",
        description="Origins that may call from a browser, separated by commas; without a port, any port. `*` for all.",
    )
    model: str = Field(
        "auto",
        description=f"`auto` ({BASE_REPO} if it is in the hub's cache or HF_TOKEN is set, else pocket), "
        "`pocket`, a hub repository, or a folder with model_config.json.",
    )
    allowed_repos: str = Field(
        BASE_REPO,
        description="Hub repositories models may be loaded from, separated by commas; `*` allows all. "
        "The one set as `model` always counts.",
    )
    hf_token: SecretStr | None = Field(
        None, validation_alias="HF_TOKEN", description="Token for the hub (HF_TOKEN, without the prefix)."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where the model runs.")
    threads: int = Field(0, ge=0, le=1024, description="CPU threads of the model; 0: one a core.")
    queue_size: int = Field(32, ge=1, description="Requests that may wait; the next one is answered 503.")
    max_body_bytes: int = Field(100_000_000, ge=1000, description="Largest request body in bytes.")
    max_models: int = Field(2, ge=1, description="Models kept loaded; the least recently used goes first.")
    model_memory_gb: float | None = Field(None, gt=0, description="Memory for the weights of loaded models, in GB.")
    max_upload_seconds: float = Field(600, gt=0, description="Longest audio that may be sent, in seconds.")
    riffs_dir: Path = Field(Path("riffs"), description="Folder of the personal riff library.")
    cache_dir: Path = Field(
        Path("~/.cache/loopwright"), description="Folder for what can be made again, such as stretched riffs."
    )
    outputs_dir: Path | None = Field(None, description="Folder where the audio of every reply is kept too.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged.")
    log_format: Literal["console", "json"] = Field("console", description="How log lines look.")
