"""The embedded model over HTTP: loops a minute by clients, what the service costs over the bare engine, the first byte.

Knows: how to be many clients, how to drive an engine with no service around it. Does not know: how results are shown.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.machine import matmul_gflops
from bench.results import Embedded, Load, Pair
from bench.scenarios import BARS, LOOP_SAMPLES, PROMPT, SAMPLE_RATE
from bench.server import REPLY_SECONDS, Server, serving
from loopwright.audio.types import Audio
from loopwright.engine.base import Engine, ModelKey, Task
from loopwright.kinds.planner import plan_loop
from loopwright.kinds.request import LoopRequest
from loopwright.loading.backend import BackendOptions
from loopwright.loading.hub import Hub
from loopwright.loading.loader import Loader
from loopwright.model.pocket.family import POCKET
from loopwright.planning.plan import GenerationPlan

Say = Callable[[str], None]

CLIENTS = (1, 4, 16)
LOAD_SECONDS = 10.0
PAIRS = 15
"""Loops a round, made both over HTTP and by the engine alone."""

WARM_UPS = 2
ENDPOINT = "/generate/loop"


@dataclass(frozen=True)
class Alone:
    """An engine with nothing around it but a thread of its own, as it has in the server: memory costs less there."""

    engine: Engine
    thread: ThreadPoolExecutor

    def seconds(self, seed: int) -> float:
        """How long it takes for one loop, planning not counted."""
        plan = plan_loop(LoopRequest.model_validate(_fields(seed)), self.engine.info.limits)
        began = time.perf_counter()
        self.thread.submit(carry_out, self.engine, plan).result()
        return time.perf_counter() - began


def embedded(folder: Path, threads: int, rounds: int, say: Say) -> Embedded:
    """Measure it all; in each round the numbers of clients, then pairs."""
    loads, pairs = list[Load](), list[Pair]()
    alone = Alone(bare_engine(threads), ThreadPoolExecutor(1))
    with alone.thread, serving(POCKET.name, (), threads, folder / POCKET.name) as server:
        for seed in range(WARM_UPS):
            _pair(server, alone, seed, engine_first=False)
        for number in range(1, rounds + 1):
            for clients in CLIENTS:
                loads.append(_load(server.url, clients, number, threads))
                say(
                    f"round {number}, embedded: {clients} clients {loads[-1].per_minute:.0f} loops/min"
                )
            pairs += [
                _pair(server, alone, seed, engine_first=seed % 2 == 0) for seed in range(PAIRS)
            ]
    return Embedded(LOOP_SAMPLES / SAMPLE_RATE, tuple(loads), tuple(pairs))


def bare_engine(threads: int) -> Engine:
    """The engine the server has, in this process, with nothing around it."""
    key = ModelKey(POCKET.name)
    return Loader(Hub(()), BackendOptions(), threads, key).load(key)


def carry_out(engine: Engine, plan: GenerationPlan) -> Audio:
    """A plan by the engine alone: no queue, no turns, nothing done to the audio."""
    steps = engine.start(plan)
    pending = next(steps)
    while True:
        answer = pending.do() if isinstance(pending, Task) else engine.forward(pending)
        try:
            pending = steps.send(answer)
        except StopIteration as end:
            audio: Audio = end.value
            return audio


def _fields(seed: int) -> dict[str, object]:
    return {"prompt": PROMPT, "bars": BARS, "seed": seed}


def _pair(server: Server, alone: Alone, seed: int, *, engine_first: bool) -> Pair:
    """The same plan both ways; which comes first changes, so that neither always finds the other's leftovers in the cache."""
    seconds = alone.seconds(seed) if engine_first else 0.0
    reply = server.ask(ENDPOINT, _fields(seed))
    return Pair(reply.seconds, seconds or alone.seconds(seed), reply.first_byte, reply.stages)


def _load(url: str, clients: int, number: int, threads: int) -> Load:
    """Clients that ask again as soon as they are answered, until the time is up; what is then under way still counts."""
    gflops = matmul_gflops(threads)
    seconds, first_byte = list[float](), list[float]()
    lock, began = threading.Lock(), time.perf_counter()

    def be_client(which: int) -> None:
        with httpx.Client(base_url=url, timeout=REPLY_SECONDS) as client:
            seed = which
            while time.perf_counter() - began < LOAD_SECONDS:
                first, last = _ask(client, seed)
                seed += clients
                with lock:
                    first_byte.append(first)
                    seconds.append(last)

    with ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(be_client, which) for which in range(clients)]:
            done.result()
    return Load(
        clients, number, time.perf_counter() - began, tuple(seconds), tuple(first_byte), gflops
    )


def _ask(client: httpx.Client, seed: int) -> tuple[float, float]:
    """Seconds to the first byte of the audio, and to the last."""
    began, first = time.perf_counter(), 0.0
    with client.stream("POST", ENDPOINT, json=_fields(seed)) as response:
        response.raise_for_status()
        for _ in response.iter_raw():
            first = first or time.perf_counter() - began
    return first, time.perf_counter() - began
