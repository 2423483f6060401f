"""The reference's process, asked through its pipe.

Knows: where its environment is, its protocol (``driver``).
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PYTHON = HERE / ".venv" / "bin" / "python"
STOP_SECONDS = 60


@dataclass(frozen=True)
class Made:
    """An answer of the driver, timed by its own clock."""

    seconds: float
    stages: Mapping[str, float]


def versions() -> str:
    """Return the versions of the reference's packages."""
    names = ("stable-audio-tools", "torch", "transformers", "numpy")
    code = (
        "from importlib.metadata import version\n"
        f"print(', '.join(f'{{name}} {{version(name)}}' for name in {names}))"
    )
    return subprocess.run(
        [PYTHON, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


class Reference:
    """A running reference. seconds_to_ready: from its start until its model is loaded."""

    def __init__(self, process: subprocess.Popen[str], log: Path, began: float) -> None:
        self.pid = process.pid
        self._process = process
        self._log = log
        self._answer()
        self.seconds_to_ready = time.perf_counter() - began

    def make(self, request: Mapping[str, object]) -> Made:
        """Send one request; see the driver."""
        assert self._process.stdin is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer = self._answer()
        return Made(answer["seconds"], answer["stages"])

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            end = self._log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"the reference ended; its log ends:\n{end}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def running(model: Path, threads: int, folder: Path) -> Iterator[Reference]:
    """Run the reference until the block ends.

    Args:
        model: The model folder.
        threads: Of the process.
        folder: For its log.

    Raises:
        RuntimeError: It is not installed.
    """
    if not PYTHON.exists():
        raise RuntimeError(f"the reference is not installed: run bench/{HERE.name}/install.sh")
    folder.mkdir(parents=True, exist_ok=True)
    log, began = folder / "reference.log", time.perf_counter()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [
        str(PYTHON),
        str(HERE / "driver.py"),
        "--model",
        str(model),
        "--threads",
        str(threads),
    ]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            env={**environment, "HF_HUB_OFFLINE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
        )
    try:
        yield Reference(process, log, began)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
