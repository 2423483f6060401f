"""What ``GET /metrics`` shows, measured in this process and in the runner."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from loopwright.engine.base import Batching
from loopwright.http.app import create_app
from loopwright.http.metrics import ROWS_BUCKETS
from loopwright.runner import process
from loopwright.runner.client import RunnerClient
from loopwright.runner.process import memory_for
from loopwright.settings import Settings
from loopwright.system.measurements import (
    RunnerMemory,
    report,
)
from loopwright.system.memory import resident_bytes
from tests.fakes import KEY, FakeEngine, fake_service, info, make_fake_service, make_slow_service
from tests.http.conftest import Client, connected
from tests.waiting import eventually

LOOP = {"prompt": "techno drums 140bpm", "bars": 1, "seed": 7, "steps": 4}
STAGES = ("conditioning", "denoising", "decoding", "post", "encoding")

needs_proc = pytest.mark.skipif(resident_bytes() is None, reason="only Linux says how much memory")


class Values(dict[tuple[str, frozenset[tuple[str, str]]], float]):
    """The values of all series."""

    def of(self, name: str, **labels: str) -> float | None:
        return self.get((name, frozenset(labels.items())))


async def scrape(client: Client) -> Values:
    reply = await client.get("/metrics")
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    values = Values()
    for family in text_string_to_metric_families(reply.text):
        for sample in family.samples:
            values[sample.name, frozenset(sample.labels.items())] = sample.value
    return values


@asynccontextmanager
async def served_by_a_runner(make: Any) -> AsyncIterator[tuple[Client, RunnerClient]]:
    runner: list[RunnerClient] = []

    def start(settings: Settings) -> RunnerClient:
        runner.append(RunnerClient(settings, make, KEY))
        return runner[0]

    app = create_app(Settings(), start)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        yield client, runner[0]


async def test_requests_are_counted_by_template_and_status(client: Client) -> None:
    for name in ("a.wav", "b.wav"):
        await client.delete(f"/riffs/{name}")
    await client.head("/health/live")
    await client.get("/nowhere")
    await client.get("/generate/loop")
    await client.request("BREW", "/health")
    for _ in range(2):
        assert (await client.post("/generate/loop", json=LOOP)).status_code == 200
    await client.post("/generate/loop", json={"prompt": "x"})
    values = await scrape(client)
    requests = {
        (labels["method"], labels["route"], labels["status"]): value
        for (name, pairs), value in values.items()
        if name == "loopwright_http_requests_total" and (labels := dict(pairs))
    }
    assert requests == {
        ("DELETE", "/riffs/{filename}", "404"): 2,
        ("HEAD", "/health/live", "200"): 1,
        ("GET", "other", "404"): 1,
        ("GET", "/generate/loop", "405"): 1,
        ("other", "/health", "405"): 1,
        ("POST", "/generate/loop", "200"): 2,
        ("POST", "/generate/loop", "400"): 1,
    }
    name = "loopwright_http_request_duration_seconds"
    assert values.of(f"{name}_count", method="POST", route="/generate/loop") == 3
    assert (values.of(f"{name}_sum", method="POST", route="/generate/loop") or 0) > 0


async def test_every_route_is_counted_under_the_path_that_openapi_has() -> None:
    async with connected(root_path="/audio") as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
        for path, methods in paths.items():
            for method in methods:
                await client.request(method, path.replace("{filename}", "x"))
        values = await scrape(client)
    counted = {
        dict(labels).get("route") for name, labels in values if name.endswith("requests_total")
    }
    assert counted - {None} == set(paths) | {"other"}  # which is /openapi.json


async def test_stages_waits_rows_and_caches_are_measured() -> None:
    batching = Batching(max_batch_size=4)
    async with connected(lambda _: FakeEngine(batching=batching)) as client:
        before = await scrape(client)
        for stage in STAGES:  # there from the start, so that a rate sees the first
            assert before.of("loopwright_stage_duration_seconds_count", stage=stage) == 0
        await client.post("/generate/loop", json={**LOOP, "cfg_scale": 3, "n": 2})
        await client.post("/generate/loop", json={**LOOP, "cfg_scale": 1})
        values = await scrape(client)
    for stage in STAGES:
        assert values.of("loopwright_stage_duration_seconds_count", stage=stage) == 3, stage
    assert values.of("loopwright_queue_wait_seconds_count") == 3
    # two rows for each run and step with guidance, whatever share of them was evaluated together
    assert values.of("loopwright_forward_rows_sum") == 2 * 2 * 4 + 4
    assert values.of("loopwright_forward_rows_bucket", le=str(float(ROWS_BUCKETS[0]))) == 4
    assert values.of("loopwright_cache_lookups_total", cache="models", result="miss") == 1
    assert values.of("loopwright_cache_lookups_total", cache="models", result="hit") == 2
    assert values.of("loopwright_queue_depth") == 0
    assert values.of("loopwright_ready") == 1
    model = {"model": str(KEY), "device": "cpu", "engine": "torch", "precision": "f32"}
    assert values.of("loopwright_model_memory_bytes", **model) == 1


async def test_what_a_runner_measures_reaches_the_server() -> None:
    async with served_by_a_runner(make_fake_service) as (client, _):
        await client.post("/generate/loop", json=LOOP)
        values = await scrape(client)  # at once: what a call took is known before its result
        for stage in STAGES:
            assert values.of("loopwright_stage_duration_seconds_count", stage=stage) == 1, stage
        assert values.of("loopwright_queue_wait_seconds_count") == 1
        assert (values.of("loopwright_forward_rows_count") or 0) >= 4
        if resident_bytes() is not None:
            for name in ("server", "runner"):
                size = values.of("loopwright_resident_memory_bytes", process=name)
                assert size is not None
                assert 10e6 < size < 10e9
            assert values.of("process_open_fds")


async def test_a_runner_that_ended_is_counted_and_what_it_did_stays_counted() -> None:
    async with served_by_a_runner(make_slow_service) as (client, runner):
        await client.post("/generate/loop", json=LOOP)
        assert runner.runner_pid is not None
        os.kill(runner.runner_pid, signal.SIGKILL)
        await eventually(lambda: runner.restarts == 1)
        values = await scrape(client)
        assert values.of("loopwright_runner_restarts_total") == 1
        assert values.of("loopwright_ready") == 0
        assert values.of("loopwright_resident_memory_bytes", process="runner") is None
        await eventually(lambda: not runner.status().is_restarting)
        await client.post("/generate/loop", json=LOOP)
        values = await scrape(client)
    assert values.of("loopwright_stage_duration_seconds_count", stage="post") == 2


async def test_a_run_that_is_given_up_counts_as_one_that_waited(client: Client) -> None:
    reply = await client.post("/generate/loop", json={**LOOP, "prompt": "FAIL 140bpm"})
    assert reply.status_code == 500
    values = await scrape(client)
    assert values.of("loopwright_queue_wait_seconds_count") == 1
    assert values.of("loopwright_stage_duration_seconds_count", stage="denoising") == 0


@needs_proc
def test_the_memory_of_this_process_follows_what_it_holds() -> None:
    before = resident_bytes()
    held = bytearray(b"x" * 50_000_000)
    after = resident_bytes()
    assert before is not None
    assert after is not None
    assert 40e6 < after - before < 120e6
    del held


def test_the_memory_of_a_gpu_is_measured_where_a_model_is_on_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = fake_service(lambda _: FakeEngine(replace(info(), device="cuda")))
    from torch import cuda

    for name, size in (
        ("memory_allocated", 1),
        ("memory_reserved", 3),
        ("max_memory_allocated", 2),
    ):
        monkeypatch.setattr(cuda, name, lambda size=size: size)
    monkeypatch.setattr(process, "resident_bytes", lambda: 4)
    assert memory_for(service.status()) == RunnerMemory(4)
    with service.models.registry.lease(KEY):
        assert memory_for(service.status()) == RunnerMemory(4, 1, 3, 2)
    service.close()


async def test_the_memory_of_a_gpu_is_shown_only_where_there_is_one(client: Client) -> None:
    assert (await scrape(client)).of("loopwright_gpu_memory_allocated_bytes") is None
    report(RunnerMemory(4, 1, 3, 2))
    values = await scrape(client)
    found = [
        values.of(f"loopwright_gpu_memory_{name}_bytes")
        for name in ("allocated", "reserved", "peak")
    ]
    assert found == [1, 3, 2]
    assert values.of("loopwright_resident_memory_bytes", process="runner") == 4
