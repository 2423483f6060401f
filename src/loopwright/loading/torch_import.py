"""Importing torch while a server is answering.

A plain ``import torch`` holds the interpreter's lock twice for long: while the system maps its
libraries (0.2 s), and whenever the garbage collector goes through all that the import makes.
Knows: how to avoid both, and how torch's threads wait for one another. Does not know: models.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from importlib.util import find_spec
from pathlib import Path

TURNS_BEFORE_SLEEP = 3000
"""How often a waiting thread of libgomp looks again before it sleeps.

Loops of the embedded model on two cores, alone and beside a busy program: 0.42 and 20 s with
libgomp's own number (300,000), 0.44 and 0.98 s with this one, 0.62 and 0.65 s with none.
"""


def import_torch() -> None:
    """Import torch in this thread while the others keep running. Does nothing if it is imported."""
    if "torch" in sys.modules:
        return
    let_waiting_threads_sleep()
    _map_libraries()
    gc.disable()
    try:
        import torch  # noqa: F401
    finally:
        # modules are for good: going through them again would hold up a request each time
        gc.freeze()
        gc.enable()


def let_waiting_threads_sleep() -> None:
    """Have torch's threads sleep soon when they wait for one another.

    A waiting thread that keeps looking takes the core which the other one needs, where a DAW or
    another server has the rest. libgomp, which torch has on Linux, reads the number when it is
    mapped; a user's own setting of how threads wait is left alone.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(TURNS_BEFORE_SLEEP))


def _map_libraries() -> None:
    """Map torch's largest library as the import would, but in a foreign call.

    Other threads run during that. Where it fails, the import does it.
    """
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return
    library = Path(spec.origin).parent / "lib" / "libtorch_cpu.so"
    if library.is_file():  # elsewhere than on Linux it has another name, and is left to the import
        # a foreign call releases the interpreter's lock
        dlopen = ctypes.CDLL(None).dlopen
        dlopen.restype = ctypes.c_void_p
        dlopen(bytes(library), ctypes.c_int(os.RTLD_NOW))
