"""Importing torch while a server is answering.

A plain ``import torch`` holds the interpreter's lock at a stretch twice over: while the system maps its libraries (0.2 s), and
whenever the garbage collector goes through all that it makes. Knows: how to do without either, and how torch's threads are to
wait for one another. Does not know: models.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from importlib.util import find_spec
from pathlib import Path

TURNS_BEFORE_SLEEP = 3000
"""Loops of the embedded model on two cores, alone and beside a busy program: 0.42 and 20 s with libgomp's own number (300,000),
0.44 and 0.98 s with this one, 0.62 and 0.65 s with none."""


def import_torch() -> None:
    """Import torch, in whatever thread this is; the others keep running. Does nothing where it is imported already."""
    if "torch" in sys.modules:
        return
    let_waiting_threads_sleep()
    _map_libraries()
    gc.disable()
    try:
        import torch  # noqa: F401
    finally:
        gc.freeze()  # modules are for good: going through them again would hold up a request each time
        gc.enable()


def let_waiting_threads_sleep() -> None:
    """Torch's threads wait for one another by turning for as long as other threads take to finish, and sleep after that.

    One that turns takes the core which the other one needs, where a DAW or another server has the rest. Read by libgomp, which
    torch has on Linux, when it is mapped; whoever has set how threads wait is left alone.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(TURNS_BEFORE_SLEEP))


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
