"""How soon the command line and the server answer, and how long health checks wait while a model loads or megabytes pass.

`python bench/lean.py` prints medians of whole processes, in seconds, and the longest of the waits, in milliseconds, on an
otherwise idle machine. The last line is of the server's memory, in MB.
"""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

RUNS = 7
LOOP = {"prompt": "techno drums 140bpm", "bars": 4, "steps": 1}
UPLOAD_BYTES = 20_000_000


def command_seconds(*arguments: str) -> float:
    """The median of some runs."""
    seconds = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "loopwright", *arguments], capture_output=True, check=True
        )
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


@contextmanager
def serving(model: str) -> Iterator[tuple[httpx.Client, float, int]]:
    """A client of a new server, seconds until it first answered, its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (
        tempfile.TemporaryDirectory() as folder,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        flags = [
            "--port",
            str(port),
            "--model",
            model,
            "--cache-dir",
            folder,
            "--log-level",
            "error",
        ]
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "loopwright", "serve", *flags], cwd=folder
        )
        try:
            while not _answers(client):
                time.sleep(0.005)
            yield client, time.perf_counter() - began, process.pid
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def waits(client: httpx.Client, done: Callable[[], bool]) -> list[float]:
    """Milliseconds of health checks, one after the other, until something is done."""
    found = []
    while not done():
        began = time.perf_counter()
        client.get("/health")
        found.append((time.perf_counter() - began) * 1000)
        time.sleep(0.002)
    return found


def waits_during(client: httpx.Client, body: bytes) -> list[float]:
    """The same while a loop that another client asks for is made and answered."""

    def run() -> None:
        with httpx.Client(base_url=client.base_url, timeout=120) as other:
            reply = other.post("/generate/loop", content=body)
            print(
                f"  {len(body) / 1e6:.0f} MB sent, {len(reply.content) / 1e6:.0f} MB received ({reply.status_code})"
            )

    thread = threading.Thread(target=run)
    thread.start()
    return waits(client, lambda: not thread.is_alive())


def shown(name: str, found: list[float]) -> None:
    """A line of the result."""
    print(
        f"  health checks {name}: median {statistics.median(found):.1f} ms, longest {max(found):.0f} ms"
    )


def main() -> None:
    """Print it all."""
    model = sys.argv[1] if len(sys.argv) > 1 else "pocket"
    for arguments in (["--help"], ["--version"], ["serve", "--help"]):
        print(f"loopwright {' '.join(arguments)}: {command_seconds(*arguments):.3f} s")
    with serving(model) as (client, seconds, process):
        print(f"listening after {seconds:.2f} s")
        began = time.perf_counter()
        found = waits(client, lambda: client.get("/health/ready").status_code == 200)
        print(f"model loaded after {seconds + time.perf_counter() - began:.2f} s")
        shown("while it loads", found)
        many = json.dumps({**LOOP, "n": 8, "bit_depth": 32, "return_format": "base64"}).encode()
        shown("meanwhile", waits_during(client, many))
        sent = json.dumps(
            {**LOOP, "audio_base64": base64.b64encode(os.urandom(UPLOAD_BYTES)).decode()}
        ).encode()
        shown("meanwhile", waits_during(client, sent))
        status = Path(f"/proc/{process}/status").read_text()
        print(
            "; ".join(
                f"{name} {int(size) // 1024} MB"
                for name, size in re.findall(r"(VmHWM|Rss\w+):\s+(\d+)", status)
            )
        )


if __name__ == "__main__":
    main()
