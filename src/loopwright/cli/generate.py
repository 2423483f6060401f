"""``loopwright generate``: one loop, made in this process, saved as a file."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from loopwright.audio.formats.table import FORMATS, Format, format_of_extension
from loopwright.errors import InvalidInput, one_of, shown
from loopwright.generation.assemble import assemble
from loopwright.generation.result import Generation
from loopwright.generation.sources import Upload
from loopwright.kinds.request import GenerationRequest, LoopRequest
from loopwright.music.tempo import bpm_number
from loopwright.serving.active_run import Progress as Done
from loopwright.settings import Settings
from loopwright.system.logs import configure_logs
from loopwright.system.storage import write_whole

console = Console(stderr=True)


def run(
    settings: Settings,
    fields: Mapping[str, object],
    audio: Path | None,
    output: Path | None,
    *,
    loop: bool,
) -> None:
    """Make it, save it, say what it is. Raises InvalidInput before any work for what cannot be."""
    configure_logs("error", "console")
    request, _ = (LoopRequest if loop else GenerationRequest).parse(fields)
    _check(output, request.format)
    generation = asyncio.run(_generate(settings, request, _read(audio)))
    path = output or Path(generation.file_name())
    write_whole(path, generation.encoded(), "the loop")
    _summarise(generation, path)


async def _generate(
    settings: Settings, request: GenerationRequest, upload: Upload | None
) -> Generation:
    # a process that makes one loop and ends would never see the end of a conversion beside it
    service = assemble(settings, at_once=False)
    try:
        with _progress() as bar:
            task = bar.add_task(f"loading {service.models.standard}", total=None)

            def on_progress(progress: Done) -> None:
                bar.update(
                    task, description="denoising", completed=progress.done, total=progress.total
                )

            return await service.generate_one(request, upload, on_progress)
    finally:
        service.close()


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )


def _read(audio: Path | None) -> Upload | None:
    try:
        return None if audio is None else Upload(audio.read_bytes(), audio.name, field="--audio")
    except OSError as error:
        raise InvalidInput(
            f"--audio cannot be read: {error.strerror}, {shown(str(audio))}", field="audio"
        ) from None


def _check(output: Path | None, kind: Format) -> None:
    if output is None:
        return
    own_format, name = format_of_extension(output.suffix), shown(output.name)
    if own_format is None:
        extensions = one_of(row.extension for row in FORMATS.values())
        raise InvalidInput(f"--output must end in {extensions}, got {name}", field="output")
    if own_format != kind:
        extension = FORMATS[kind].extension
        raise InvalidInput(
            f"--output must end in {extension}, as --format says, got {name}", field="output"
        )
    if not output.parent.is_dir():
        raise InvalidInput(
            f"--output must lie in a folder that exists, got {shown(str(output.parent))}",
            field="output",
        )


def _summarise(generation: Generation, path: Path) -> None:
    table = Table.grid(padding=(0, 2))
    for name, value in _facts(generation, path):
        table.add_row(f"[dim]{name}[/dim]", value)
    console.print(table)
    for warning in generation.warnings:
        console.print(f"[yellow]warning:[/yellow] {warning}")


def _facts(generation: Generation, path: Path) -> list[tuple[str, str]]:
    loop = generation.plan.loop
    length = f"{generation.duration:.3f} s ({generation.audio.shape[1]} samples)"
    musical = (
        [] if loop is None else [("tempo", f"{bpm_number(loop.bpm)} bpm"), ("bars", str(loop.bars))]
    )
    hint = (
        " (small, built in; `loopwright info` says what it cannot do)"
        if generation.info.limitations
        else ""
    )
    return [
        *musical,
        ("length", length),
        ("seed", str(generation.plan.seed)),
        ("model", f"{generation.info.name} on {generation.info.device}{hint}"),
        ("made in", f"{generation.generation_time:.2f} s"),
        ("saved as", str(path)),
    ]
