"""Memory that a mapped file takes, given back.

OpenVINO keeps the file of a graph mapped after its weights are packed into memory of its own; pages that nobody will look at
again would count twice. Linux only: elsewhere nothing is done. Knows: maps of this process. Does not know: graphs.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator
from pathlib import Path

MAPS = Path("/proc/self/maps")


def release_pages(file: Path) -> None:
    """Give back the pages of a file that this process has mapped. One that is read again comes back from the file."""
    if not MAPS.is_file() or not hasattr(mmap, "MADV_DONTNEED"):
        return
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for start, stop in _mapped(file):
        madvise(start, stop - start, mmap.MADV_DONTNEED)


def _mapped(file: Path) -> Iterator[tuple[int, int]]:
    """Where a file is mapped for reading only: what was written into other maps would be lost."""
    name = str(file.resolve())
    for line in MAPS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        addresses, rights, *_, path = (
            line.split(maxsplit=5) if line.count(" ") >= 5 else (line, "", "")
        )
        if path == name and "w" not in rights:
            start, stop = (int(one, 16) for one in addresses.split("-"))
            yield start, stop
