"""Time the command line and the server: starts, health checks beside work, and cancelled requests.

`python bench/lean.py` prints medians of whole processes, in seconds, and how long health checks
wait while a model loads, while loops are made and while megabytes pass: in milliseconds and, since
machines differ, in multiples of the wait at an idle server. It then prints how soon the place of a
client that goes away is free, as a share of what its request would have taken. The last line is the
server's memory, in MB. Run it on an otherwise idle machine.
"""

from __future__ import annotations

import base64
import itertools
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
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

RUNS = 7
LOOP = {"prompt": "techno drums 140bpm", "bars": 4, "steps": 1}
UPLOAD_BYTES = 20_000_000
CLIENTS = 4
IDLE_CHECKS = 200
LONG_STEPS = 250


def command_seconds(*arguments: str) -> float:
    """Return the median of RUNS runs, in seconds."""
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
    """Start a server; yield a client, the seconds until the first answer, and the process id."""
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
    """Time health checks, one after the other, until something is done; in milliseconds."""
    found = []
    while not done():
        began = time.perf_counter()
        client.get("/health")
        found.append((time.perf_counter() - began) * 1000)
        time.sleep(0.002)
    return found


def waits_during(client: httpx.Client, body: bytes) -> list[float]:
    """Time health checks while a loop that another client asks for is made and answered."""

    def run() -> None:
        with httpx.Client(base_url=client.base_url, timeout=120) as other:
            reply = other.post("/generate/loop", content=body)
            sent, received = (len(content) / 1e6 for content in (body, reply.content))
            print(f"  {sent:.0f} MB sent, {received:.0f} MB received ({reply.status_code})")

    thread = threading.Thread(target=run)
    thread.start()
    return waits(client, lambda: not thread.is_alive())


def waits_beside_loops(client: httpx.Client) -> list[float]:
    """Time health checks while CLIENTS clients each wait for a loop."""
    fields = {**LOOP, "steps": 50}
    threads = [
        threading.Thread(
            target=client.post,
            args=("/generate/loop",),
            kwargs={"json": {**fields, "seed": seed}, "timeout": 600},
        )
        for seed in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    return waits(client, lambda: not any(thread.is_alive() for thread in threads))


def cancelled_share(client: httpx.Client) -> float:
    """Return how soon a cancelled request's place is free, as a share of what the request takes."""
    fields = {**LOOP, "steps": LONG_STEPS}
    began = time.perf_counter()
    client.post("/generate/loop", json=fields, timeout=600).raise_for_status()
    whole = time.perf_counter() - began
    with suppress(httpx.ReadTimeout):
        client.post("/generate/loop", json=fields, timeout=whole / 10)
    began = time.perf_counter()
    while client.get("/health").json()["queue_depth"]:
        time.sleep(0.002)
    return (time.perf_counter() - began) / whole


def shown(name: str, found: list[float], idle: float) -> None:
    """Print a line of the result; ``idle`` is the median wait at an idle server."""
    median, late = statistics.median(found), statistics.quantiles(found, n=20)[-1]
    print(
        f"  health checks {name}: median {median:.1f} ms ({median / idle:.1f}×), "
        f"19 in 20 within {late:.0f} ms ({late / idle:.1f}×), longest {max(found):.0f} ms"
    )


def main() -> None:
    """Print every measurement."""
    model = sys.argv[1] if len(sys.argv) > 1 else "pocket"
    for arguments in (["--help"], ["--version"], ["serve", "--help"]):
        print(f"loopwright {' '.join(arguments)}: {command_seconds(*arguments):.3f} s")
    with serving(model) as (client, seconds, process):
        print(f"listening after {seconds:.2f} s")
        began = time.perf_counter()
        found = waits(client, lambda: client.get("/health/ready").status_code == 200)
        print(f"model loaded after {seconds + time.perf_counter() - began:.2f} s")
        count = itertools.count()
        idle = statistics.median(waits(client, lambda: next(count) >= IDLE_CHECKS))
        print(f"  health checks at an idle server: median {idle:.1f} ms")
        shown("while it loads", found, idle)
        shown(f"while {CLIENTS} loops are made", waits_beside_loops(client), idle)
        many = json.dumps({**LOOP, "n": 8, "bit_depth": 32, "return_format": "base64"}).encode()
        shown("meanwhile", waits_during(client, many), idle)
        sent = json.dumps(
            {**LOOP, "audio_base64": base64.b64encode(os.urandom(UPLOAD_BYTES)).decode()}
        ).encode()
        shown("meanwhile", waits_during(client, sent), idle)
        share = cancelled_share(client)
        print(
            f"the place of a client that goes away is free after {share:.3f} of its request's time"
        )
        status = Path(f"/proc/{process}/status").read_text()
        print(
            "; ".join(
                f"{name} {int(size) // 1024} MB"
                for name, size in re.findall(r"(VmHWM|Rss\w+):\s+(\d+)", status)
            )
        )


if __name__ == "__main__":
    main()
