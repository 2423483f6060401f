"""``loopwright info``: which model, why, and what it can do. Loads nothing."""

from __future__ import annotations

import platform

from rich.console import Console
from rich.table import Table

from loopwright import __version__
from loopwright.generation.assemble import backend_options, make_hub
from loopwright.loading.backend import Backend, choose_backend
from loopwright.loading.loader import limitations
from loopwright.loading.selection import POCKET, choose
from loopwright.settings import Settings


def run(settings: Settings) -> None:
    """Print it as a table."""
    choice = choose(settings.model, make_hub(settings))
    backend = choose_backend(backend_options(settings))
    if choice.key.source == POCKET:
        backend = Backend("torch", backend.device, "f32")
    table = Table.grid(padding=(0, 2))
    for name, value in (
        ("loopwright", __version__),
        ("python", platform.python_version()),
        ("model", f"{choice.key}, because {choice.reason}"),
        ("device", backend.device),
        ("computed by", f"{backend.engine}, in {backend.precision}"),
    ):
        table.add_row(f"[dim]{name}[/dim]", value)
    for sentence in limitations(choice.key):
        table.add_row("[dim]cannot[/dim]", sentence)
    Console().print(table)
