"""Loopwright: a prompt in, a bar-exact stereo loop out.

import loopwright

loop = loopwright.generate("house drum loop 124bpm", bars=2)
loop.save("house.wav")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopwright.api import GeneratedAudio, Loopwright, generate
    from loopwright.errors import LoopwrightError

__version__ = "0.1.0"

__all__ = ["GeneratedAudio", "Loopwright", "LoopwrightError", "__version__", "generate"]

_HOMES = {
    "GeneratedAudio": "loopwright.api",
    "Loopwright": "loopwright.api",
    "LoopwrightError": "loopwright.errors",
    "generate": "loopwright.api",
}


def __getattr__(name: str) -> object:
    """Import an exported name when it is first used, since ``loopwright --help`` uses none."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
