"""``loopwright info``: which model, why, and what it can do. Loads nothing."""

from __future__ import annotations

import platform

from rich.console import Console
from rich.table import Table

from loopwright import __version__
from loopwright.assemble import make_hub
from loopwright.engine.choose import choose
from loopwright.engine.loader import limitations, pick_device
from loopwright.settings import Settings


def run(settings: Settings) -> None:
    """Print it as a table."""
    choice = choose(settings.model, make_hub(settings))
    table = Table.grid(padding=(0, 2))
    for name, value in (
        ("loopwright", __version__),
        ("python", platform.python_version()),
        ("model", f"{choice.key}, because {choice.reason}"),
        ("device", pick_device(settings.device)),
    ):
        table.add_row(f"[dim]{name}[/dim]", value)
    for sentence in limitations(choice.key):
        table.add_row("[dim]cannot[/dim]", sentence)
    Console().print(table)
