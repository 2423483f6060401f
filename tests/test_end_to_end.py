"""The server in a process of its own, asked over a socket."""

from __future__ import annotations

import asyncio
import base64
import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import soundfile

from tests.server import serving
from tests.waiting import PATIENCE, until

LOOP = {"prompt": "aggressive techno drums 140bpm", "bars": 4, "seed": 7}
LONG = {**LOOP, "n": 8, "steps": 250}
"""Minutes of work on any machine."""


def test_health_says_which_model_and_what_it_cannot_do(server: httpx.Client) -> None:
    said = server.get("/health").json()
    assert (said["status"], said["model"], said["device"]) == ("healthy", "pocket", "cpu")
    assert any("no voices" in sentence for sentence in said["limitations"])
    assert server.get("/model/info").json()["model_name"] == "pocket"


def test_a_loop_is_made_exactly(server: httpx.Client) -> None:
    reply = server.post("/generate/loop", data={name: str(value) for name, value in LOOP.items()})
    assert reply.status_code == 200
    audio, rate = soundfile.read(io.BytesIO(reply.content))
    assert (audio.shape, rate) == ((302400, 2), 44100)
    assert (reply.headers["x-bpm"], reply.headers["x-bars"]) == ("140", "4")


def test_the_whole_window_and_a_part_of_it(server: httpx.Client) -> None:
    reply = server.post(
        "/generate", json={"prompt": "house drums 120bpm", "return_format": "base64"}
    )
    audio, _ = soundfile.read(io.BytesIO(base64.b64decode(reply.json()["audio_base64"])))
    assert len(audio) == 524288
    assert (
        server.post("/generate", json={"prompt": "drums", "seconds_total": 2}).headers[
            "x-duration-seconds"
        ]
        == "2.000000"
    )


def test_the_same_seed_gives_the_same_bytes_alone_and_in_company_and_after_a_restart(
    server: httpx.Client,
) -> None:
    alone = server.post("/generate/loop", json=LOOP).content
    with ThreadPoolExecutor(4) as threads:
        seeds = [7, 8, 7, 9]
        replies = list(
            threads.map(
                lambda seed: server.post("/generate/loop", json={**LOOP, "seed": seed}), seeds
            )
        )
    contents = [reply.content for reply in replies]
    assert contents[0] == contents[2] == alone
    assert len(set(contents)) == 3
    with serving("--threads", "2") as again:
        assert again.post("/generate/loop", json=LOOP).content == alone


def test_health_answers_while_loops_are_made(server: httpx.Client) -> None:
    """Twenty answers come before any of four requests is done; ``bench/lean.py`` times them."""

    def health() -> dict[str, object]:
        said: dict[str, object] = server.get("/health").json()
        return said

    async def ask() -> None:
        async with httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE) as clients:
            asked = [
                asyncio.ensure_future(clients.post("/generate/loop", json={**LONG, "seed": seed}))
                for seed in range(4)
            ]
            while (await asyncio.to_thread(health))["queue_depth"] != 4:
                assert not any(one.done() for one in asked), [one.result() for one in asked]
            depths = [(await asyncio.to_thread(health))["queue_depth"] for _ in range(20)]
            for one in asked:
                one.cancel()
        assert depths == [4] * 20

    asyncio.run(ask())
    until(lambda: health()["queue_depth"] == 0)  # clients that went away free their places
    assert server.post("/generate/loop", json=LOOP).status_code == 200


def test_a_port_that_is_taken(server: httpx.Client) -> None:
    port = str(server.base_url.port)
    done = subprocess.run(
        [sys.executable, "-m", "loopwright", "serve", "--port", port, "--model", "pocket"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in done.stderr
    assert "Traceback" not in done.stderr
