"""The commands and their flags. Each works in a module of its own, imported when it runs: ``--help`` must be quick."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from loopwright import __version__
from loopwright.audio.formats.table import FORMATS, format_of_extension
from loopwright.errors import InvalidInput, LoopwrightError, one_of
from loopwright.settings import Settings, env_var, help_of, read_settings

FLAGS = {"sampler_type": "--sampler", "seconds_total": "--seconds", "cfg_scale": "--cfg-scale"}
"""Flags whose name is another than that of the field an error speaks of."""

app = typer.Typer(
    help="Loopwright: a prompt in, a bar-exact stereo loop out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _flag(name: str) -> Any:
    """A flag for a setting, with the setting's own help; unset, the environment or the default counts."""
    default = getattr(Settings, name)
    default = str(default) if isinstance(default, Path) else default
    return typer.Option(help=f"{help_of(name)} [{default!r}, {env_var(name)}]", show_default=False)


Model = Annotated[str | None, _flag("model")]
Device = Annotated[str | None, _flag("device")]
EngineName = Annotated[str | None, _flag("engine")]
Precision = Annotated[str | None, _flag("precision")]
Threads = Annotated[int | None, _flag("threads")]
LogLevel = Annotated[str | None, _flag("log_level")]


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
    host: Annotated[str | None, _flag("host")] = None,
    port: Annotated[int | None, _flag("port")] = None,
    root_path: Annotated[str | None, _flag("root_path")] = None,
    cors_origins: Annotated[str | None, _flag("cors_origins")] = None,
    model: Model = None,
    allowed_repos: Annotated[str | None, _flag("allowed_repos")] = None,
    device: Device = None,
    engine: EngineName = None,
    precision: Precision = None,
    threads: Threads = None,
    queue_size: Annotated[int | None, _flag("queue_size")] = None,
    max_body_bytes: Annotated[int | None, _flag("max_body_bytes")] = None,
    max_models: Annotated[int | None, _flag("max_models")] = None,
    model_memory_gb: Annotated[float | None, _flag("model_memory_gb")] = None,
    max_upload_seconds: Annotated[float | None, _flag("max_upload_seconds")] = None,
    riffs_dir: Annotated[Path | None, _flag("riffs_dir")] = None,
    cache_dir: Annotated[Path | None, _flag("cache_dir")] = None,
    outputs_dir: Annotated[Path | None, _flag("outputs_dir")] = None,
    log_level: LogLevel = None,
    log_format: Annotated[str | None, _flag("log_format")] = None,
) -> None:
    """Serve over HTTP. Every flag is also an environment variable."""
    given = dict(locals())
    from loopwright.cli import serve as command

    command.run(read_settings(given))


@app.command()
def generate(
    prompt: Annotated[
        str, typer.Argument(help="What to make, with its tempo: 'aggressive techno drums 140bpm'.")
    ],
    bars: Annotated[str, typer.Option(help="auto, 1, 2, 4 or 8.")] = "auto",
    bpm: Annotated[
        float | None, typer.Option(help="The tempo, where the prompt does not name it.")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(help="Make so many seconds of audio instead of a loop; needs no tempo."),
    ] = None,
    loop_type: Annotated[str, typer.Option(help="drums, instruments or auto.")] = "auto",
    negative_prompt: Annotated[str | None, typer.Option(help="What to keep out.")] = None,
    seed: Annotated[int, typer.Option(help="-1: random.")] = -1,
    steps: Annotated[
        int | None, typer.Option(help="Denoising steps; default: the model's.")
    ] = None,
    cfg_scale: Annotated[
        float | None, typer.Option(help="Guidance scale; default: the model's.")
    ] = None,
    sampler: Annotated[str | None, typer.Option(help="Sampler; default: the model's.")] = None,
    audio: Annotated[
        Path | None, typer.Option(help="Audio to start from (a style transfer).")
    ] = None,
    style_strength: Annotated[
        float | None,
        typer.Option(help="How far from that audio: 0.1 stays close, 1.0 keeps nothing."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to save it; default: a telling name, here."),
    ] = None,
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format", help=f"{one_of(FORMATS)}; default: what the output ends in, else wav."
        ),
    ] = None,
    candidates: Annotated[int, typer.Option(help="Make so many and save the best.")] = 1,
    model: Model = None,
    device: Device = None,
    engine: EngineName = None,
    precision: Precision = None,
    threads: Threads = None,
) -> None:
    """Make one loop and save it as a file."""
    if file_format is None and output is not None:
        file_format = format_of_extension(output.suffix)
    fields: dict[str, object] = {
        "prompt": prompt,
        "negative_prompt": negative_prompt,
        "seed": seed,
        "steps": steps,
        "cfg_scale": cfg_scale,
        "sampler_type": sampler,
        "format": file_format,
    }
    of_loop: dict[str, object] = {
        "bars": bars,
        "bpm": bpm,
        "loop_type": loop_type,
        "candidates": candidates,
    }
    settings = read_settings(
        {
            "model": model,
            "device": device,
            "engine": engine,
            "precision": precision,
            "threads": threads,
        }
    )
    from loopwright.cli import generate as command

    if seconds is None:
        command.run(
            settings,
            fields | of_loop | {"style_strength": style_strength},
            audio,
            output,
            loop=True,
        )
    else:
        command.run(settings, fields | {"seconds_total": seconds}, audio, output, loop=False)


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
    """Run the command; an error is one sentence and exit code 2 for wrong input, 1 for everything else."""
    try:
        app(standalone_mode=True)
    except LoopwrightError as error:
        flag = FLAGS.get(error.field or "")
        hint = f" (the flag is {flag})" if flag else ""
        typer.secho(f"error: {error.message}{hint}", fg=typer.colors.RED, err=True)
        sys.exit(2 if isinstance(error, InvalidInput) else 1)
