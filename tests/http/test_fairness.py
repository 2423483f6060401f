"""Who asks, and that a short request does not wait for a long one of somebody else."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request

from loopwright.http.state import client_of
from loopwright.serving.active_run import ActiveRun
from tests.fakes import FakeEngine
from tests.http.conftest import connected
from tests.waiting import Gate, eventually

LOOP = {"prompt": "techno 140bpm", "bars": 1, "seed": 7}


def request(
    *headers: tuple[str, str], peer: tuple[str, int] | None = ("10.0.0.7", 5123)
) -> Request:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return Request({"type": "http", "headers": raw, "client": peer})


@pytest.mark.parametrize(
    ("sent", "client"),
    [
        ("studio-2_a.b:c", "studio-2_a.b:c"),
        ("x" * 64, "x" * 64),
        ("x" * 65, "10.0.0.7"),
        ("", "10.0.0.7"),
        ("two words", "10.0.0.7"),
        ("a\n", "10.0.0.7"),
        ("caf\u00e9", "10.0.0.7"),
    ],
)
def test_who_asks(sent: str, client: str) -> None:
    assert client_of(request(("x-client-id", sent))) == client


def test_who_asks_without_saying() -> None:
    assert client_of(request()) == "10.0.0.7"
    assert client_of(request(peer=None)) == ""


async def test_a_short_request_passes_a_long_one(runs: list[ActiveRun]) -> None:
    engine = FakeEngine(gate=Gate(10))
    async with connected(lambda _: engine) as client:
        long = asyncio.ensure_future(
            client.post(
                "/generate/loop",
                json={**LOOP, "n": 8, "steps": 100},
                headers={"x-client-id": "long"},
            )
        )
        await engine.gate.reached(11)
        short = asyncio.ensure_future(
            client.post(
                "/generate/loop", json={**LOOP, "steps": 8}, headers={"x-client-id": "short"}
            )
        )
        await eventually(lambda: len(runs) == 9)
        forwards_until_short_is_done = list[int]()
        (short_run,) = (run for run in runs if run.owner.client == "short")
        short_run.result.add_done_callback(
            lambda _: forwards_until_short_is_done.append(engine.forwards)
        )
        engine.gate.open()
        assert (await short).status_code == 200
        assert forwards_until_short_is_done[0] - 10 < 100
        assert (await long).status_code == 200
        assert engine.forwards == 8 * 100 + 8


async def test_the_api_says_how_clients_are_told_apart() -> None:
    async with connected() as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    asked = [
        path["post"]["parameters"][0]["name"]
        for name, path in paths.items()
        if name.startswith("/generate")
    ]
    assert asked
    assert set(asked) == {"X-Client-Id"}
