"""The embedded model over HTTP: loops per minute, the first byte, the cost of the service.

Knows: how to be many clients, how to run an engine without a service. Does not know: how results
are shown.
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
from loopwright.kinds.loop import LoopRequest, plan_loop
from loopwright.loading.backend import BackendOptions
from loopwright.loading.hub import Hub
from loopwright.loading.loader import Loader
from loopwright.model.pocket.family import POCKET
from loopwright.planning.plan import GenerationPlan

Say = Callable[[str], None]

CLIENTS = (1, 4, 16)
LOAD_SECONDS = 10.0
PAIRS = 15
"""Loops per round, generated both over HTTP and by the engine alone."""

WARM_UPS = 2
ENDPOINT = "/generate/loop"


@dataclass(frozen=True)
class Alone:
    """An engine in a thread of its own, as in the server, since memory costs less there."""

    engine: Engine
    thread: ThreadPoolExecutor

    def seconds(self, seed: int) -> float:
        """Generate a loop and return the seconds it took, without planning."""
        plan = plan_loop(LoopRequest.model_validate(_fields(seed)), self.engine.info.limits)
        began = time.perf_counter()
        self.thread.submit(carry_out, self.engine, plan).result()
        return time.perf_counter() - began


def embedded(folder: Path, threads: int, rounds: int, say: Say) -> Embedded:
    """Measure in each round every number of clients, then pairs."""
    loads, pairs = list[Load](), list[Pair]()
    alone = Alone(bare_engine(threads), ThreadPoolExecutor(1))
    with alone.thread, serving(POCKET.name, (), threads, folder / POCKET.name) as server:
        for seed in range(WARM_UPS):
            _pair(server, alone, seed, engine_first=False)
        for number in range(1, rounds + 1):
            for clients in CLIENTS:
                loads.append(_load(server.url, clients, number, threads))
                per_minute = loads[-1].per_minute
                say(f"round {number}, embedded: {clients} clients {per_minute:.0f} loops/min")
            pairs += [
                _pair(server, alone, seed, engine_first=seed % 2 == 0) for seed in range(PAIRS)
            ]
    return Embedded(LOOP_SAMPLES / SAMPLE_RATE, tuple(loads), tuple(pairs))


def bare_engine(threads: int) -> Engine:
    """Load the engine that the server has, in this process."""
    key = ModelKey(POCKET.name)
    return Loader(Hub(()), BackendOptions(), threads, key).load(key)


def carry_out(engine: Engine, plan: GenerationPlan) -> Audio:
    """Carry out a plan by the engine alone: no queue, no turns, no postprocessing."""
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
    """Carry out a plan both ways.

    Callers vary the order, so that neither way always finds the caches that the other filled.
    """
    seconds = alone.seconds(seed) if engine_first else 0.0
    reply = server.ask(ENDPOINT, _fields(seed))
    return Pair(reply.seconds, seconds or alone.seconds(seed), reply.first_byte, reply.stages)


def _load(url: str, clients: int, number: int, threads: int) -> Load:
    """Let clients send a request after each reply for LOAD_SECONDS; the last replies count too."""
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
    """Request a loop; return the seconds to the first byte of its audio, and to the last."""
    began, first = time.perf_counter(), 0.0
    with client.stream("POST", ENDPOINT, json=_fields(seed)) as response:
        response.raise_for_status()
        for _ in response.iter_raw():
            first = first or time.perf_counter() - began
    return first, time.perf_counter() - began
