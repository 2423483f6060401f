"""Memory that a mapped file takes, released.

OpenVINO keeps the file of a graph mapped after its weights are packed into memory of its own; pages
that nobody reads again would count twice. Linux only: elsewhere nothing is done.
Knows: maps of this process. Does not know: graphs.
"""

from __future__ import annotations

import ctypes
import mmap
from pathlib import Path

MAPS = Path("/proc/self/maps")


def release_pages(file: Path) -> None:
    """Release the pages of a file that this process has mapped for reading only.

    A page that is read again comes back from the file.
    """
    if not MAPS.is_file() or not hasattr(mmap, "MADV_DONTNEED"):
        return
    # called in C, since Python's own madvise is a method of maps that Python made
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    name = str(file.resolve())
    for line in MAPS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) < 6:  # anonymous memory, which has no path
            continue
        addresses, rights, *_, path = fields
        # what was written into other maps would be lost
        if path == name and "w" not in rights:
            start, stop = (int(address, 16) for address in addresses.split("-"))
            madvise(start, stop - start, mmap.MADV_DONTNEED)
