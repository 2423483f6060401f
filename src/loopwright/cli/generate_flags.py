"""The flags of ``loopwright generate``: the fields of all kinds' requests, and a few of its own."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from loopwright.cli.flags import MODEL_FLAGS, flag_of
from loopwright.kinds.loop import LOOP
from loopwright.kinds.request import request_schema
from loopwright.kinds.table import KIND_NAMES, KINDS
from loopwright.settings import read_settings

WITHOUT_FLAGS = {"prompt", "return_format", "model_type"}
"""Fields of requests that are an argument, or have no meaning on the command line."""

PROMPT = typer.Argument(help="What to make, with its tempo: 'aggressive techno drums 140bpm'.")
KIND = typer.Option(
    help=f"What to make of it: {', '.join(KIND_NAMES)}. Default: loop; with --seconds audio, or "
    "style-transfer if there is --audio.",
    show_default=False,
)
AUDIO_PATH = typer.Option(help="The audio to start from.", show_default=False)
OUTPUT = typer.Option(
    "--output",
    "-o",
    help="Where to save it: a file, or of several a folder. Default: a name that says what it is, "
    "in this folder.",
    show_default=False,
)


def command() -> typer.Typer:
    """Return the command, with a flag for each field of each kind's request."""

    def generate(**values: Any) -> None:
        given = {name: value for name, value in values.items() if value is not None}
        settings = read_settings({name: given.pop(name, None) for name in MODEL_FLAGS})
        # imported here, or `--help` would wait for it
        from loopwright.cli import generate as making

        making.run(settings, given)

    parameters = {
        "prompt": Annotated[str, PROMPT],
        "kind": Annotated[str | None, KIND],
        "audio": Annotated[Path | None, AUDIO_PATH],
        "output": Annotated[Path | None, OUTPUT],
        **_flags(),
        **MODEL_FLAGS,
    }
    signature = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if name == "prompt" else None,
            annotation=annotation,
        )
        for name, annotation in parameters.items()
    ]
    # typer reads the flags from the signature
    generate.__annotations__ = {**parameters, "return": None}
    generate.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(help="Make a loop, or what --kind says, and save it.")(generate)
    return app


def _flags() -> dict[str, Any]:
    """Return the flags of all kinds' fields, by field; each is the first kind's that has it."""
    flags: dict[str, Any] = {}
    for kind in KINDS:
        properties = request_schema(kind.request)["properties"]
        for name in properties.keys() - flags.keys() - WITHOUT_FLAGS:
            flags[name] = _flag(name, properties[name], kind.request.allowed_values(name))
    # sorted as the requests have them
    order = dict.fromkeys(name for kind in KINDS for name in kind.request.model_fields)
    return {name: flags[name] for name in order if name in flags}


def _flag(name: str, schema: Mapping[str, Any], allowed: str) -> Any:
    """Return the flag of a field.

    Args:
        name: The field.
        schema: Its JSON Schema.
        allowed: What it may hold, as errors say it.
    """
    kinds = [kind.name for kind in KINDS if name in kind.request.model_fields]
    if len(kinds) == len(KINDS):
        panel = "Options"
    elif LOOP.name in kinds:
        panel = "Options of loops"
    else:
        panel = f"Options of --kind {', '.join(kinds)}"
    # a field that may be null is one of two types, the other of which is null
    schema = {**schema, **schema.get("anyOf", [{}])[0]}
    fields = {field for kind in KINDS for field in kind.request.model_fields}

    def as_written_here(quoted: re.Match[str]) -> str:
        # the description says `seconds_total`, the command line --seconds; other words stay
        return flag_of(quoted[1]) if quoted[1] in fields else quoted[0]

    help_ = re.sub(r"`(\w+)`", as_written_here, schema["description"])
    if schema.get("type") == "boolean":
        flags = f"{flag_of(name)}/--no-{name.replace('_', '-')}"
        option = typer.Option(flags, help=help_, show_default=False, rich_help_panel=panel)
        return Annotated[bool | None, option]
    metavar = f"<{schema.get('type', 'text')}>"
    if "enum" in schema:
        metavar = "|".join(map(str, schema["enum"]))
    elif schema.get("type") in {"integer", "number"}:
        help_ = f"{help_} ({allowed})"
    option = typer.Option(
        flag_of(name), help=help_, show_default=False, metavar=metavar, rich_help_panel=panel
    )
    return Annotated[str | None, option]
