"""``python -m bench.slow_clients``: clients that stall, and stopping; writes ``SLOW_CLIENTS.md``.

Knows: the real server with ``pocket``, asked over HTTP and over bare sockets. Does not know: what
the server does about it, so any commit's server can be measured.
"""

from __future__ import annotations

import argparse
import datetime
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench import machine
from bench.checkpoint import CACHE
from bench.figures import figure
from bench.report import NOTHING, cell, table
from bench.scenarios import PROMPT
from bench.server import REPLY_SECONDS, Server, serving
from loopwright.model.pocket.family import POCKET

HERE = Path(__file__).parent
ENDPOINT = "/generate/loop"
LOOP = {"prompt": PROMPT, "bars": 4, "seed": 7}
CLIENTS, WATCHED_SECONDS = 300, 45
STALLED = (
    b"",
    b"POST /generate/loop HTTP/1.1\r\nHost: x\r\n",
    b"POST /generate/loop HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
)
"""What a third of the clients each sends, and then no more: nothing, half its headers, half its
body."""

HEALTH_PAUSE = 0.1
WORK = {**LOOP, "n": 5, "steps": 50}
"""A request that runs for longer than the 5 s after which servers used to end it."""

HEAD_START = 1.0
"""Seconds a request runs before the server is told to stop."""

STOPPED_SECONDS = 60


@dataclass(frozen=True)
class Stalled:
    """What became of clients that stall, and of others meanwhile.

    open_at_end: of the clients, after WATCHED_SECONDS. last_gone: seconds until the last was closed
    of those that were. loops: that another client got meanwhile. health: seconds of each answer.
    """

    open_at_end: int
    last_gone: float | None
    loops: int
    health: Sequence[float]


@dataclass(frozen=True)
class Stop:
    """How a server stopped: replies to a request under way and to one that came then; seconds."""

    running: str
    new: str
    ready: str
    seconds: float


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.slow_clients",
        description="Measure what clients that stall do to the server, and how it stops.",
    )
    parser.add_argument(
        "--before", type=Path, help="a folder with another commit, whose server is measured too"
    )
    parser.add_argument(
        "--output", type=Path, default=HERE / "SLOW_CLIENTS.md", help="default: %(default)s"
    )
    given = parser.parse_args()
    columns = dict[str, tuple[Stalled, Stop]]()
    if given.before is not None:
        columns[f"before ({_commit(given.before)})"] = _measure(given.before)
    columns["now"] = _measure(None)
    given.output.write_text(page(columns), encoding="utf-8")
    print(given.output.read_text(encoding="utf-8"))


def _measure(source: Path | None) -> tuple[Stalled, Stop]:
    folder = CACHE / "slow-clients"
    with serving(POCKET.name, (), machine.cores(), folder, source) as server:
        stalled = _stall(server)
    with serving(POCKET.name, (), machine.cores(), folder, source) as server:
        return stalled, _stop(server)


def _stall(server: Server) -> Stalled:
    """Let clients stall, and count what becomes of them while two others use the server."""
    url = httpx.URL(server.url)
    began, gone = time.monotonic(), dict[int, float]()

    def is_time() -> bool:
        return time.monotonic() - began < WATCHED_SECONDS

    def use() -> int:
        loops = 0
        while is_time():
            server.ask(ENDPOINT, LOOP)
            loops += 1
        return loops

    def watch_health() -> list[float]:
        seconds = list[float]()
        with httpx.Client(base_url=url, timeout=REPLY_SECONDS) as client:
            while is_time():
                asked = time.perf_counter()
                client.get("/health").raise_for_status()
                seconds.append(time.perf_counter() - asked)
                time.sleep(HEALTH_PAUSE)
        return seconds

    clients = {client.fileno(): client for client in _stalling_clients(url)}
    with ThreadPoolExecutor() as pool:
        loops, health = pool.submit(use), pool.submit(watch_health)
        while is_time():
            waiting = [client for number, client in clients.items() if number not in gone]
            for client in select.select(waiting, [], [], HEALTH_PAUSE)[0]:
                with suppress(ConnectionResetError):
                    if client.recv(1 << 16):
                        continue
                gone[client.fileno()] = time.monotonic() - began
    for client in clients.values():
        client.close()
    last = max(gone.values(), default=None)
    return Stalled(len(clients) - len(gone), last, loops.result(), health.result())


def _stalling_clients(url: httpx.URL) -> list[socket.socket]:
    clients = [socket.create_connection((url.host, url.port)) for _ in range(CLIENTS)]
    for number, client in enumerate(clients):
        client.sendall(STALLED[number % len(STALLED)])
    return clients


def _stop(server: Server) -> Stop:
    """Tell a server to stop while a request runs, and send another."""
    with ThreadPoolExecutor() as pool:
        running = pool.submit(_outcome, "POST", f"{server.url}{ENDPOINT}", WORK)
        time.sleep(HEAD_START)
        began = time.monotonic()
        os.kill(server.pid, signal.SIGTERM)
        time.sleep(HEAD_START)
        new = _outcome("POST", f"{server.url}{ENDPOINT}", LOOP)
        ready = _outcome("GET", f"{server.url}/health/ready", None)
        while _is_running(server.pid) and time.monotonic() - began < STOPPED_SECONDS:
            time.sleep(HEALTH_PAUSE)
        return Stop(running.result(), new, ready, time.monotonic() - began)


def _is_running(pid: int) -> bool:
    """Return whether a child of ours runs; after its end it is a zombie until it is waited for."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def _outcome(method: str, url: str, body: dict[str, object] | None) -> str:
    try:
        reply = httpx.request(method, url, json=body, timeout=REPLY_SECONDS)
    except httpx.TransportError as error:
        return type(error).__name__
    kind = reply.headers["content-type"].partition(";")[0]
    return f"{reply.status_code} {kind}"


def _commit(folder: Path) -> str:
    command = ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def page(columns: dict[str, tuple[Stalled, Stop]]) -> str:
    """Return the whole page."""
    about = machine.describe()
    today = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    stalled, stops = zip(*columns.values(), strict=True)
    rows = [
        [
            f"connections open after {WATCHED_SECONDS} s, of {CLIENTS}",
            *[str(one.open_at_end) for one in stalled],
        ],
        [
            "the last was closed after, seconds",
            *[NOTHING if one.last_gone is None else f"{one.last_gone:.1f}" for one in stalled],
        ],
        ["loops made meanwhile for another client", *[str(one.loops) for one in stalled]],
        [
            "an answer of `/health` meanwhile, milliseconds",
            *[cell(figure(1000 * value for value in one.health), 1) for one in stalled],
        ],
    ]
    stopping = [
        ["the request under way", *[one.running for one in stops]],
        [f"a new request, {HEAD_START:.0f} s later", *[one.new for one in stops]],
        ["`/health/ready` then", *[one.ready for one in stops]],
        ["the server ended after, seconds", *[f"{one.seconds:.1f}" for one in stops]],
    ]
    return f"""# Clients that stall, and stopping

Written by `python -m bench.slow_clients` on {today}: `pocket`, over HTTP, on {about.processor},
{about.cores} cores used, with the default settings; measured once.

## {CLIENTS} clients that stall

A third of them connects and sends nothing, a third half its headers, a third half its body.
Meanwhile another client asks for loops, one after the other.

{table(("", *columns), rows)}

## SIGTERM while a request runs

The request needs more than 5 s. What is not answered is named by the error that the client sees.

{table(("", *columns), stopping)}
"""


if __name__ == "__main__":
    main()
