"""How much memory this process has."""

from __future__ import annotations

import mmap
from pathlib import Path

STATM = Path("/proc/self/statm")
"""Sizes in pages: of the address space, of what is resident, and others (proc_pid_statm(5))."""


def resident_bytes() -> int | None:
    """Return what the process has in the machine's memory; None where the system is not Linux."""
    try:
        pages = STATM.read_text(encoding="ascii").split()[1]
    except OSError:
        return None
    return int(pages) * mmap.PAGESIZE
