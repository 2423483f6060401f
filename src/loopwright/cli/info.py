"""``loopwright info``: which model, why, and what it can do. Loads nothing."""

from __future__ import annotations

import platform

from rich.console import Console
from rich.table import Table

from loopwright import __version__
from loopwright.generation.assemble import backend_options, make_hub
from loopwright.loading.backend import choose_backend
from loopwright.loading.families import family_of
from loopwright.loading.selection import select_model
from loopwright.settings import Settings


def run(settings: Settings) -> None:
    """Print the model, its backend and its limitations as a table."""
    selection = select_model(settings.model, make_hub(settings))
    family = family_of(selection.key.source)
    backend = family.allowed_backend(choose_backend(backend_options(settings)))
    table = Table.grid(padding=(0, 2))
    for name, value in (
        ("loopwright", __version__),
        ("python", platform.python_version()),
        ("model", f"{selection.key}, because {selection.reason}"),
        ("device", backend.device),
        ("computed by", f"{backend.engine}, in {backend.precision}"),
    ):
        table.add_row(f"[dim]{name}[/dim]", value)
    for sentence in family.limitations:
        table.add_row("[dim]cannot[/dim]", sentence)
    Console().print(table)
