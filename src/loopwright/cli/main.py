"""The commands and their flags.

Each works in a module of its own that is imported when it runs, since ``--help`` must be quick.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from loopwright import __version__
from loopwright.cli.flags import (
    Device,
    EngineName,
    LogLevel,
    Model,
    Precision,
    Threads,
    flag_of,
    setting_flag,
)
from loopwright.errors import InvalidInput, LoopwrightError
from loopwright.settings import read_settings

app = typer.Typer(
    help="Loopwright: a prompt in, a bar-exact stereo loop out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Loopwright: a prompt in, a bar-exact stereo loop out."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def serve(
    host: Annotated[str | None, setting_flag("host")] = None,
    port: Annotated[int | None, setting_flag("port")] = None,
    root_path: Annotated[str | None, setting_flag("root_path")] = None,
    forwarded_allow_ips: Annotated[str | None, setting_flag("forwarded_allow_ips")] = None,
    cors_origins: Annotated[str | None, setting_flag("cors_origins")] = None,
    model: Model = None,
    allowed_repos: Annotated[str | None, setting_flag("allowed_repos")] = None,
    device: Device = None,
    engine: EngineName = None,
    precision: Precision = None,
    threads: Threads = None,
    queue_size: Annotated[int | None, setting_flag("queue_size")] = None,
    max_body_bytes: Annotated[int | None, setting_flag("max_body_bytes")] = None,
    header_timeout_seconds: Annotated[float | None, setting_flag("header_timeout_seconds")] = None,
    body_timeout_seconds: Annotated[float | None, setting_flag("body_timeout_seconds")] = None,
    shutdown_grace_seconds: Annotated[float | None, setting_flag("shutdown_grace_seconds")] = None,
    max_models: Annotated[int | None, setting_flag("max_models")] = None,
    model_memory_gb: Annotated[float | None, setting_flag("model_memory_gb")] = None,
    max_upload_seconds: Annotated[float | None, setting_flag("max_upload_seconds")] = None,
    riffs_dir: Annotated[Path | None, setting_flag("riffs_dir")] = None,
    cache_dir: Annotated[Path | None, setting_flag("cache_dir")] = None,
    outputs_dir: Annotated[Path | None, setting_flag("outputs_dir")] = None,
    log_level: LogLevel = None,
    log_format: Annotated[str | None, setting_flag("log_format")] = None,
    otel_endpoint: Annotated[str | None, setting_flag("otel_endpoint")] = None,
) -> None:
    """Serve over HTTP. Every flag is also an environment variable."""
    given = dict(locals())
    from loopwright.cli import serve as command

    command.run(read_settings(given))


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    add_help_option=False,
    help="Make a loop, or what --kind says, and save it.",
)
def generate(context: typer.Context) -> None:
    """Run the command that has a flag for each field of a request, which takes time to import."""
    from loopwright.cli import generate_flags

    generate_flags.command()(context.args, prog_name=context.command_path)


@app.command()
def info(
    model: Model = None,
    device: Device = None,
    engine: EngineName = None,
    precision: Precision = None,
) -> None:
    """Say which model would be used, why, and what it can do."""
    settings = read_settings(
        {"model": model, "device": device, "engine": engine, "precision": precision}
    )
    from loopwright.cli import info as command

    command.run(settings)


def main() -> None:
    """Run the command.

    An error is one sentence, and exit code 2 for wrong input or 1 for everything else.
    """
    try:
        app(standalone_mode=True)
    except LoopwrightError as error:
        flag = flag_of(error.field or "")
        is_told = error.field is None or flag in {f"--{error.field}", *error.message.split()}
        hint = "" if is_told else f" (the flag is {flag})"
        typer.secho(f"error: {error.message}{hint}", fg=typer.colors.RED, err=True)
        sys.exit(2 if isinstance(error, InvalidInput) else 1)
