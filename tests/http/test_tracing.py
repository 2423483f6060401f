"""Traces, as a collector receives them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from loopwright.errors import InvalidInput
from loopwright.generation.loop_service import LoopService
from loopwright.http.app import create_app
from loopwright.http.tracing import CLOSE_SECONDS, Tracing
from loopwright.runner.client import RunnerClient
from loopwright.settings import Settings
from loopwright.system.logs import configure_logs
from loopwright.system.measurements import StageEnded
from tests.fakes import KEY, make_fake_service
from tests.http.conftest import Client

LOOP = {"prompt": "techno drums 140bpm", "bars": 1, "seed": 7, "steps": 4}
STAGES = ["queued", "conditioning", "denoising", "decoding", "post", "encoding"]


class Collector:
    """A collector of traces that keeps what it receives.

    Attributes:
        address: Where it listens.
        received: Requests to it, as they came.
    """

    def __init__(self) -> None:
        self.received: list[ExportTraceServiceRequest] = []
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                body = self.rfile.read(int(self.headers["content-length"]))
                received.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def spans(self) -> list[Span]:
        """All spans that were sent, in the order of their beginnings."""
        spans = [
            span
            for request in self.received
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        return sorted(spans, key=lambda span: span.start_time_unix_nano)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@asynccontextmanager
async def traced(
    endpoint: str, make_service: Callable[[Settings], LoopService] = make_fake_service
) -> AsyncIterator[Client]:
    """A client of an app that sends what is left of its traces at the end."""
    app = create_app(Settings(otel_endpoint=endpoint, root_path="/audio"), make_service)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test/audio") as client,
    ):
        yield client


def attributes_of(span: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def in_a_runner(settings: Settings) -> RunnerClient:
    return RunnerClient(settings, make_fake_service, KEY)


@pytest.mark.parametrize("make_service", [make_fake_service, in_a_runner])
async def test_a_request_is_a_span_and_its_stages_are_in_it(
    collector: Collector, make_service: Callable[[Settings], LoopService]
) -> None:
    async with traced(collector.address, make_service) as client:
        for path in ("/health", "/health/ready", "/metrics"):
            await client.get(path)
        await client.post("/generate/loop", json=LOOP, headers={"x-request-id": "one"})
    (request,) = (span for span in collector.spans if not span.parent_span_id)
    assert request.name == "POST /generate/loop"
    said = attributes_of(request)
    assert (said["loopwright.request_id"], said["http.response.status_code"]) == ("one", 200)
    stages = [span for span in collector.spans if span.parent_span_id]
    assert [span.name for span in stages] == STAGES
    for span in stages:
        assert (span.trace_id, span.parent_span_id) == (request.trace_id, request.span_id)
        assert attributes_of(span)["loopwright.worked_seconds"] >= 0
        tolerance = 50_000_000  # nanoseconds, of two clocks
        assert span.start_time_unix_nano >= request.start_time_unix_nano - tolerance
        assert span.end_time_unix_nano <= request.end_time_unix_nano + tolerance
    resource = attributes_of(collector.received[0].resource_spans[0].resource)
    assert resource["service.name"] == "loopwright"


async def test_the_trace_of_a_caller_goes_on_and_the_log_names_it(collector: Collector) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    parent = f"00-{trace_id}-b7ad6b7169203331-01"
    configure_logs("info", "console")
    try:
        async with traced(collector.address) as client:
            with structlog.testing.capture_logs() as lines:
                await client.post("/generate/loop", json=LOOP, headers={"traceparent": parent})
                await client.post(
                    "/generate/loop", json=LOOP, headers={"traceparent": parent[:-1] + "0"}
                )
    finally:
        configure_logs("warning", "console")
    traced_line, other_line = (line for line in lines if line["event"] == "request")
    (request,) = (span for span in collector.spans if span.name.startswith("POST"))
    assert traced_line["trace_id"] == trace_id == request.trace_id.hex()
    assert traced_line["span_id"] == request.span_id.hex()
    # the caller had not chosen the second to be sampled
    assert "trace_id" not in other_line
    assert len(collector.spans) == 1 + len(STAGES)


def test_a_clock_that_was_set_back_makes_no_span_that_ends_before_it_begins(
    collector: Collector,
) -> None:
    tracing = Tracing(collector.address)
    fields = {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"}
    tracing.take(StageEnded("decoding", 0.1, began=1000.0, ended=900.0, log_fields=fields))
    tracing.take(StageEnded("decoding", 0.1, began=1000.0, ended=1001.0))  # of no request
    tracing.close()
    (span,) = collector.spans
    assert span.start_time_unix_nano == span.end_time_unix_nano == 1000 * 10**9


async def test_a_collector_that_is_not_there_holds_nothing_up() -> None:
    async with traced("http://127.0.0.1:9") as client:
        reply = await client.post("/generate/loop", json=LOOP)
        assert reply.status_code == 200
        began = time.monotonic()
    assert time.monotonic() - began < CLOSE_SECONDS + 5


@pytest.mark.parametrize("endpoint", ["localhost:4318", "ftp://collector", "http://", ""])
def test_an_endpoint_that_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(InvalidInput, match="such as http://localhost:4318") as caught:
        Tracing(endpoint)
    assert caught.value.field == "otel_endpoint"


def test_without_the_extra_the_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(InvalidInput, match=r"pip install 'loopwright\[otel\]'"):
        Tracing("http://localhost:4318")


def test_nothing_of_the_sdk_is_imported_without_the_setting() -> None:
    """Even where the environment asks FastAPI for traces of its own."""
    script = (
        "import sys; from starlette.testclient import TestClient\n"
        "from loopwright.settings import Settings\n"
        "from loopwright.http.app import create_app\n"
        "from tests.fakes import make_fake_service\n"
        "with TestClient(create_app(Settings(otel_endpoint={}), make_fake_service)) as client:\n"
        "    assert client.get('/model/info').status_code == 200\n"
        "print(any(name.startswith('opentelemetry.sdk') for name in sys.modules))"
    )
    asked = {
        "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
    }
    for endpoint, is_imported in (("None", "False"), ("'http://127.0.0.1:9'", "True")):
        command = [sys.executable, "-c", script.format(endpoint)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env={**os.environ, **asked}
        )
        assert done.stdout.splitlines()[-1] == is_imported
