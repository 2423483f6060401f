"""The server as a user runs it: a process, a socket, the embedded model."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from tests.waiting import PATIENCE, until


@dataclass
class Started:
    """A server that was started, and a client of it; ``log`` is whole once it has ended."""

    process: subprocess.Popen[str]
    client: httpx.Client
    log: list[str]


@contextmanager
def started(*flags: str, log: list[str] | None = None) -> Iterator[Started]:
    """Start a server on a free port; kill it at the end if it runs then.

    Args:
        flags: Further flags of ``loopwright serve``.
        log: Where its lines of the log go.
    """
    folder = tempfile.mkdtemp(prefix="loopwright-")
    command = [sys.executable, "-m", "loopwright", "serve", "--port", "0", "--model", "pocket"]
    command += ["--cache-dir", f"{folder}/cache", *flags]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    log = [] if log is None else log
    assert process.stderr is not None
    reading = threading.Thread(target=log.extend, args=(process.stderr,))
    reading.start()
    try:
        with httpx.Client(base_url=_address(process, log), timeout=PATIENCE) as client:
            until(lambda: client.get("/health/ready").status_code == httpx.codes.OK)
            yield Started(process, client, log)
    finally:
        process.kill()
        process.wait()
        reading.join()
        shutil.rmtree(folder)


@contextmanager
def serving(*flags: str, log: list[str] | None = None) -> Iterator[httpx.Client]:
    """Start a server as ``started`` does, yield a client of it, and check that it stops cleanly."""
    with started(*flags, log=log) as server:
        try:
            yield server.client
        finally:
            server.process.send_signal(signal.SIGINT)
            server.process.wait(PATIENCE)
    said = "".join(server.log)
    assert server.process.returncode == 0, said
    assert re.search(r"model\W+pocket", said)
    assert "Traceback" not in said


def _address(process: subprocess.Popen[str], log: list[str]) -> str:
    """Wait until the server says where it listens."""
    found: list[str] = []

    def says_where() -> bool:
        assert process.poll() is None, "".join(log)
        found.extend(re.findall(r"url\W+(http://[^\s\"]+)", "".join(log)))
        return bool(found)

    until(says_where)
    return found[0]
