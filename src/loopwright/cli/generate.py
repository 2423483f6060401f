"""``loopwright generate``: loops made in this process, saved as files."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from loopwright.audio.formats.table import FORMATS, Format, format_of_extension
from loopwright.cli.flags import flag_of
from loopwright.errors import InvalidInput, one_of, shown
from loopwright.generation.assemble import assemble
from loopwright.generation.result import Generation
from loopwright.generation.sources import Upload
from loopwright.kinds.audio import AUDIO
from loopwright.kinds.kind import Kind
from loopwright.kinds.loop import LOOP
from loopwright.kinds.request import GenerationRequest
from loopwright.kinds.style import STYLE
from loopwright.kinds.table import KINDS, kind_named
from loopwright.music.tempo import bpm_number
from loopwright.serving.active_run import Progress as Done
from loopwright.settings import Settings
from loopwright.system.logs import configure_logs
from loopwright.system.storage import write_whole

console = Console(stderr=True)


def run(settings: Settings, values: dict[str, Any]) -> None:
    """Generate, save and describe.

    Args:
        settings: Which model, and how it is computed.
        values: The flags that were given, by their names here.

    Raises:
        InvalidInput: A flag has a value that is not allowed; before any work.
        LoopwrightError: It could not be made or saved.
    """
    configure_logs("error", "console")
    audio, output = values.pop("audio", None), values.pop("output", None)
    kind = _choose_kind(values.pop("kind", None), values, audio)
    if output is not None and "format" not in values:
        values["format"] = format_of_extension(output.suffix)
    request, _ = kind.request.parse(values)
    is_one = request.n == 1 and kind.parts is None
    if output is not None:
        _check_output(output, request.format, is_one=is_one)
    generations = asyncio.run(_generate(settings, request, _read(audio)))
    paths = [Path(generation.file_name()) for generation in generations]
    if output is not None:
        paths = [output] if is_one else [output / path for path in paths]
    for generation, path in zip(generations, paths, strict=True):
        path.parent.mkdir(exist_ok=True)
        write_whole(path, generation.encoded(), "the loop")
    _summarise(generations, paths)


def _choose_kind(name: str | None, values: Mapping[str, Any], audio: Path | None) -> Kind[Any]:
    """Return the kind that is named or meant, and can be made with these flags.

    Raises:
        InvalidInput: There is no such kind, or it has no use for one of the flags.
    """
    if name is None:
        meant = LOOP if "seconds_total" not in values else STYLE if audio else AUDIO
        name = meant.name
    kind = kind_named(name)
    for field in values:
        if field not in kind.request.model_fields:
            others = [kind.name for kind in KINDS if field in kind.request.model_fields]
            raise InvalidInput(
                f"{flag_of(field)} has no meaning with --kind {name}; it has with "
                f"{', '.join(others)}",
                field=field,
            )
    return kind


async def _generate(
    settings: Settings, request: GenerationRequest, upload: Upload | None
) -> Sequence[Generation]:
    # a process that makes one loop and ends would never see the end of a conversion beside it
    service = assemble(settings, at_once=False)
    try:
        with _progress() as bar:
            task = bar.add_task(f"loading {service.models.standard}", total=None)

            def on_progress(progress: Done) -> None:
                bar.update(
                    task, description="denoising", completed=progress.done, total=progress.total
                )

            return await service.generate(request, upload, on_progress=on_progress)
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


def _check_output(output: Path, file_format: Format, *, is_one: bool) -> None:
    """Check where to save: a file, or a folder for several.

    Args:
        output: The file, or the folder.
        file_format: The format of all files.
        is_one: Whether there is one file.
    """
    own_format, name = format_of_extension(output.suffix), shown(output.name)
    if is_one and own_format is None:
        extensions = one_of(row.extension for row in FORMATS.values())
        raise InvalidInput(f"--output must end in {extensions}, got {name}", field="output")
    if is_one and own_format != file_format:
        extension = FORMATS[file_format].extension
        raise InvalidInput(
            f"--output must end in {extension}, as --format says, got {name}", field="output"
        )
    if not is_one and (output.is_file() or own_format is not None):
        raise InvalidInput(
            f"--output must be a folder, since there are several files, got {shown(str(output))}",
            field="output",
        )
    # a folder is made where there is none, but not its parents: they are rather misspelled
    if not output.is_dir() and not output.absolute().parent.is_dir():
        raise InvalidInput(
            f"--output must lie in a folder that exists, got {shown(str(output.parent))}",
            field="output",
        )


def _summarise(generations: Sequence[Generation], paths: Sequence[Path]) -> None:
    table = Table.grid(padding=(0, 2))
    for generation, path in zip(generations, paths, strict=True):
        for name, value in _facts(generation, path):
            table.add_row(f"[dim]{name}[/dim]", value)
        if generation is not generations[-1]:
            table.add_row("", "")
    console.print(table)
    warnings = (warning for generation in generations for warning in generation.warnings)
    for warning in dict.fromkeys(warnings):
        console.print(f"[yellow]warning:[/yellow] {warning}")


def _facts(generation: Generation, path: Path) -> Iterator[tuple[str, str]]:
    loop = generation.plan.loop
    if generation.part is not None:
        yield "part", generation.part
    if loop is not None:
        yield "tempo", f"{bpm_number(loop.bpm)} bpm"
        yield "bars", str(loop.bars)
    yield "length", f"{generation.duration:.3f} s ({generation.audio.shape[1]} samples)"
    yield "seed", str(generation.plan.seed)
    hint = ""
    if generation.info.limitations:
        hint = " (small, built in; `loopwright info` says what it cannot do)"
    yield "model", f"{generation.info.name} on {generation.info.device}{hint}"
    yield "made in", f"{generation.generation_time:.2f} s"
    yield "saved as", str(path)
