"""The machine: what it is, how fast it multiplies right now, how much memory a process took.

Knows: Linux's /proc. Does not know: what is measured. Nothing here names the machine's owner, host
or folders.
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
"""Packages whose versions matter to speed; those that are installed are named."""


@dataclass(frozen=True)
class Machine:
    """The facts about a machine that a result needs. memory: bytes."""

    processor: str
    cores: int
    memory: int
    system: str
    python: str
    packages: tuple[tuple[str, str], ...]


def describe() -> Machine:
    """Describe this machine."""
    cpu = (PROC / "cpuinfo").read_text()
    memory = (PROC / "meminfo").read_text()
    name, family, model = (_field(cpu, name) for name in ("model name", "cpu family", "model"))
    distribution = platform.freedesktop_os_release()["PRETTY_NAME"]
    return Machine(
        processor=f"{name} (family {family}, model {model})",
        cores=cores(),
        memory=int(_field(memory, "MemTotal").split()[0]) * 1024,
        system=f"{distribution}, Linux {platform.release().split('-')[0]}",
        python=platform.python_version(),
        packages=tuple(_versions()),
    )


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def matmul_gflops(threads: int) -> float:
    """Measure what a plain float32 matrix product reaches now, in GFLOP/s: the median of a few."""
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
    """Reset the peak memory of a process and its children."""
    for process in _tree(pid):
        (PROC / str(process) / "clear_refs").write_text("5")


def peak_memory(pid: int) -> int:
    """Return the peak memory of a process and its children since then, in bytes.

    This is the sum of the processes' own peaks.
    """
    return sum(int(_field(_status(process), "VmHWM").split()[0]) * 1024 for process in _tree(pid))


def read_once(folder: Path) -> None:
    """Read all files in a folder, so that the first contender finds them in the system's cache."""
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
