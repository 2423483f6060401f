"""Importing torch while a server is answering.

A plain ``import torch`` holds the interpreter's lock at a stretch twice over: while the system maps its libraries (0.2 s), and
whenever the garbage collector goes through all that it makes. Knows: how to do without either. Does not know: models.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from importlib.util import find_spec
from pathlib import Path


def import_torch() -> None:
    """Import torch, in whatever thread this is; the others keep running. Does nothing where it is imported already."""
    if "torch" in sys.modules:
        return
    _map_libraries()
    gc.disable()
    try:
        import torch  # noqa: F401
    finally:
        gc.freeze()  # modules are for good: going through them again would hold up a request each time
        gc.enable()


def _map_libraries() -> None:
    """What the import would do first, as a foreign call, during which other threads run. Where it fails, the import does it."""
    spec = find_spec("torch")
    library = Path(spec.origin).parent / "lib" / "libtorch_cpu.so" if spec and spec.origin else None
    if (
        library is not None and library.is_file()
    ):  # elsewhere than on Linux it has another name, and is left to the import
        dlopen = ctypes.CDLL(None).dlopen
        dlopen.restype = ctypes.c_void_p
        dlopen(bytes(library), ctypes.c_int(os.RTLD_NOW))
