"""The server as a process that is told to stop, and that slow clients try to fill."""

from __future__ import annotations

import select
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.server import Started, started
from tests.waiting import PATIENCE, until

LOOP = {"prompt": "aggressive techno drums 140bpm", "bars": 4, "seed": 7}
LONG = {**LOOP, "n": 8, "steps": 250}
"""Minutes of work on any machine."""

PATIENT = str(10 * PATIENCE)
"""So long a grace that no test sees its end."""


def ask(server: Started, fields: dict[str, object]) -> httpx.Response:
    """Send a request over a connection of its own."""
    return httpx.post(f"{server.client.base_url}/generate/loop", json=fields, timeout=PATIENCE)


def is_busy(server: Started) -> bool:
    depth: int = server.client.get("/health").json()["queue_depth"]
    return depth > 0


def said_without_traceback(server: Started) -> str:
    said = "".join(server.log)
    assert "Traceback" not in said, said
    return said


def test_sigterm_lets_a_loop_finish_and_refuses_the_next() -> None:
    with (
        started("--shutdown-grace-seconds", PATIENT) as server,
        ThreadPoolExecutor() as threads,
    ):
        asked = threads.submit(ask, server, {**LOOP, "steps": 30})
        until(lambda: is_busy(server))
        server.process.send_signal(signal.SIGTERM)
        until(lambda: server.client.get("/health/ready").json() == {"status": "draining"})
        refused = ask(server, LOOP)
        assert (refused.status_code, refused.json()["code"]) == (503, "shutting_down")
        assert asked.result().status_code == 200
        assert server.process.wait(PATIENCE) == -signal.SIGTERM
    said_without_traceback(server)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_what_runs_with_our_own_words(second: signal.Signals) -> None:
    with (
        started("--shutdown-grace-seconds", PATIENT) as server,
        ThreadPoolExecutor() as threads,
    ):
        asked = threads.submit(ask, server, LONG)
        until(lambda: is_busy(server))
        server.process.send_signal(signal.SIGTERM)
        until(lambda: server.client.get("/health/ready").json() == {"status": "draining"})
        server.process.send_signal(second)
        reply = asked.result()
        assert (reply.status_code, reply.json()["code"]) == (503, "shutting_down")
        assert server.process.wait(PATIENCE) == -signal.SIGTERM
    assert "ended before they were done" in said_without_traceback(server)


SLOW_CLIENTS = 300
GONE_SECONDS = 45


@pytest.mark.slow
def test_300_slow_clients_are_gone_in_45_seconds_and_others_are_served() -> None:
    """Some say nothing, some send half their headers, some half their body."""
    halves = [
        b"",
        b"POST /generate/loop HTTP/1.1\r\nHost: x\r\n",
        b"POST /generate/loop HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
    ]
    with started() as server:
        address = ("127.0.0.1", server.client.base_url.port)
        began = time.monotonic()
        slow = [socket.create_connection(address) for _ in range(SLOW_CLIENTS)]
        for number, client in enumerate(slow):
            client.sendall(halves[number % len(halves)])
        served, is_open = 0, set(slow)
        while is_open and time.monotonic() - began < GONE_SECONDS:
            assert server.client.post("/generate/loop", json=LOOP).status_code == 200
            served += 1
            for client in select.select(list(is_open), [], [], 0)[0]:
                if not client.recv(1 << 16):
                    is_open.remove(client)
                    client.close()
        assert not is_open
        assert served > len(halves)
    said_without_traceback(server)
