"""The machine: what it is, how fast it multiplies right now, how much memory a process took.

Knows: Linux's /proc. Does not know: what is measured. Nothing here names the machine's owner, host or folders.
"""

from __future__ import annotations

import os
import platform
import re
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

PROC = Path("/proc")
MATRIX = 2048
PRODUCTS = 5

PACKAGES = ("torch", "openvino", "nncf", "transformers", "numpy")
"""Whose versions matter to speed; those that are installed are named."""


@dataclass(frozen=True)
class Machine:
    """What a result needs to be read. memory: bytes."""

    processor: str
    cores: int
    memory: int
    system: str
    python: str
    packages: tuple[tuple[str, str], ...]


def describe() -> Machine:
    """This machine."""
    cpu = (PROC / "cpuinfo").read_text()
    memory = (PROC / "meminfo").read_text()
    return Machine(
        processor=f"{_field(cpu, 'model name')} (family {_field(cpu, 'cpu family')}, model {_field(cpu, 'model')})",
        cores=cores(),
        memory=int(_field(memory, "MemTotal").split()[0]) * 1024,
        system=f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {platform.release().split('-')[0]}",
        python=platform.python_version(),
        packages=tuple(_versions()),
    )


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def matmul_gflops(threads: int) -> float:
    """What a plain float32 matrix product reaches now, in GFLOP/s: the median of a few."""
    import torch

    torch.set_num_threads(threads)
    a, b = torch.randn(2, MATRIX, MATRIX).unbind()
    torch.mm(a, b)
    seconds = []
    for _ in range(PRODUCTS):
        began = time.perf_counter()
        torch.mm(a, b)
        seconds.append(time.perf_counter() - began)
    return 2 * MATRIX**3 / statistics.median(seconds) / 1e9


def forget_peak(pid: int) -> None:
    """Let the peak memory of a process and its children begin anew."""
    for process in _tree(pid):
        (PROC / str(process) / "clear_refs").write_text("5")


def peak_memory(pid: int) -> int:
    """The most memory a process and its present children took since then, in bytes: the sum of each one's own peak."""
    return sum(int(_field(_status(process), "VmHWM").split()[0]) * 1024 for process in _tree(pid))


def read_once(folder: Path) -> None:
    """Read all files in a folder, so that they lie in the system's cache for whoever comes first, too."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                while file.read(1 << 24):
                    pass


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for task in (PROC / str(pid) / "task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _tree(int(child))


def _status(pid: int) -> str:
    return (PROC / str(pid) / "status").read_text()


def _field(text: str, name: str) -> str:
    found = re.search(rf"^{name}\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else "0"


def _versions() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        try:
            yield package, metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
