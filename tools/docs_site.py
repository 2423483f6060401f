"""The pages of the documentation site: a hook of ``mkdocs build``.

They are the repository's own Markdown files, at their own paths: links between them work on the
site as they do in the repository. The page of the HTTP API is made from the app's OpenAPI document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from loopwright.generation.assemble import assemble
from loopwright.http.app import create_app
from loopwright.settings import Settings

PAGES = ("*.md", "bench/*.md", "docs/*.md", "training/README.md")
OTHER_FILES = ("LICENSE", "deploy/*/*", "docs/*.mp3", "docs/*.png", "examples/*.py")

BASE_PATHS = ("/generate/loop", "/generate")
"""Endpoints whose fields others have too: the tables of those leave them out."""
AUDIO_FIELDS = ("audio_base64", "audio_file")
"""Fields that no table leaves out."""

INTRODUCTION = """# HTTP API

Generated from the server's [OpenAPI document](openapi.json). A running server has the same at
`/docs`, where you can try requests.

- A body is JSON or a form. Audio is the field `audio_file` of a form, or `audio_base64` in JSON.
- An empty value counts as absent. Unknown fields are ignored, with a warning.
- With `return_format=file` the reply is the audio, with the headers `X-Seed`, `X-Duration-Seconds`,
  `X-Generation-Time`, `X-Warnings`, and for loops `X-Bpm` and `X-Bars`. With `return_format=base64`
  it is JSON with `audio_base64` and `metadata`.
- The header `X-Client-Id` names the client: clients that ask at the same time get equal shares of
  the server's time.
- Every error is JSON: `success` (false), `error` (one sentence that names the field, the value and
  what is allowed), `code` (for programs), `field` and `request_id`. See
  [the status codes](#errors).
"""

Schema = Mapping[str, Any]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put the repository's pages in the place of the files that mkdocs found in ``docs/``."""
    for file in [*files.documentation_pages(), *files.media_files()]:
        files.remove(file)
    root = Path(config.config_file_path).parent
    for pattern in (*PAGES, *OTHER_FILES):
        for path in sorted(root.glob(pattern)):
            name = path.relative_to(root).as_posix()
            files.append(File(name, str(root), config.site_dir, config.use_directory_urls))
    document = create_app(Settings(), assemble).openapi()
    page = "\n".join(api_lines(document)) + "\n"
    files.append(File.generated(config, "docs/http-api.md", content=page))
    files.append(File.generated(config, "docs/openapi.json", content=json.dumps(document)))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put a player after each link to a loop; where the repository is shown, none would work."""
    player = r'\g<0> <audio controls loop preload="none" src="\1"></audio>'
    return re.sub(r"\[[^]]+\]\((\S+\.mp3)\)", player, markdown)


def api_lines(document: Schema) -> Iterator[str]:
    """Return the page of all endpoints and their fields, as lines of Markdown.

    Args:
        document: The app's OpenAPI document.
    """
    yield INTRODUCTION
    bases = {
        path: _fields(document["paths"][path]["post"], without=AUDIO_FIELDS) for path in BASE_PATHS
    }
    errors = dict[str, str]()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"\n## `{method.upper()} {path}`\n"
            yield f"**{operation['summary']}.** {operation['description']}\n"
            replies = operation["responses"].items()
            errors |= {status: reply["description"] for status, reply in replies if status != "200"}
            fields = _fields(operation)
            for base, known in bases.items():
                if path != base and known.keys() <= fields.keys():
                    anchor = "post-" + base.replace("/", "")
                    yield f"It takes the fields of [`POST {base}`](#{anchor}), and these:\n"
                    fields = {name: row for name, row in fields.items() if row != known.get(name)}
                    break
            if fields:
                yield "| Field | Value | Default | Meaning |\n|---|---|---|---|"
                yield from fields.values()
    yield "\n## Errors\n\n| Status | Meaning |\n|---|---|"
    yield from (f"| {status} | {errors[status]} |" for status in sorted(errors))


def _fields(operation: Schema, without: Sequence[str] = ()) -> dict[str, str]:
    """Return a row of the table for each field of the body, and for each parameter of the path."""
    rows = dict[str, str]()
    for parameter in operation.get("parameters", ()):
        if parameter["in"] != "header":
            rows[parameter["name"]] = _row(parameter["name"], parameter["schema"], "")
    body = operation.get("requestBody", {"content": {}})["content"]
    for media in body.values():
        schema = media["schema"]
        for name, field in schema["properties"].items():
            required = "required" if name in schema.get("required", ()) else ""
            rows[name] = _row(name, field, required)
    return {name: row for name, row in rows.items() if name not in without}


def _row(name: str, field: Schema, required: str) -> str:
    default = f"`{_shown(field['default'])}`" if "default" in field else required
    return f"| `{name}` | {_value(field)} | {default} | {field.get('description', '')} |"


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _value(field: Schema) -> str:
    """Say which values a field takes: its options, or its type and range."""
    kinds = [kind for kind in field.get("anyOf", [field]) if kind.get("type") != "null"]
    kind = {**field, **kinds[0]}
    if "enum" in kind:
        return ", ".join(f"`{_shown(option)}`" for option in kind["enum"])
    least, most = kind.get("minimum"), kind.get("maximum")
    above = kind.get("exclusiveMinimum")
    text = "file" if kind.get("format") == "binary" else str(kind["type"])
    if above is not None:
        text += f" above {above}"
    if least is not None:
        text += f" from {least}"
    if most is not None:
        text += f" to {most}"
    if "maxLength" in kind:
        text += f" of at most {kind['maxLength']} characters"
    return text
