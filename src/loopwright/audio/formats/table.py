"""The table of output formats: requests, the command line and OpenAPI offer what is in it.

A new format is a module beside this one and its row here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from loopwright.audio.formats.base import OutputFormat
from loopwright.audio.formats.flac import FLAC
from loopwright.audio.formats.mp3 import MP3
from loopwright.audio.formats.ogg import OGG
from loopwright.audio.formats.wav import WAV

_ROWS = (
    WAV,
    FLAC,
    MP3,
    OGG,
)

FORMATS: Mapping[str, OutputFormat] = {row.name: row for row in _ROWS}
"""The output formats by name; the first is the default."""

if TYPE_CHECKING:  # type checkers read no table
    Format = str
else:
    Format = Literal[tuple(FORMATS)]
"""The name of an output format."""


def format_of_extension(extension: str) -> Format | None:
    """Return the format whose files end in an extension, in any case, with its dot; else None."""
    by_extension = {row.extension: row.name for row in _ROWS}
    return by_extension.get(extension.lower())
