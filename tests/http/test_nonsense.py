"""Nonsense is met with sense: no 5xx, and no reply outside the contract's shape."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from starlette.testclient import TestClient

from loopwright.http.app import create_app
from loopwright.settings import Settings
from tests.fakes import LIMITS, FakeEngine, fake_service, info
from tests.http.conftest import Client

SHAPE = {"success", "error", "code", "field", "request_id"}
EXAMPLES = 12

PATHS = (
    "/generate",
    "/generate/style-transfer",
    "/generate/loop",
    "/generate/loop-with-riff",
    "/generate/loop-guided",
)

VALUES: tuple[object, ...] = (
    "",
    " ",
    "🥁🥁 140bpm",
    "x" * 100_000,
    "drums 0bpm",
    "drums 3159345bpm",
    "drums 140bpm\0",
    "\ud800",
    -1,
    0,
    1e308,
    float("nan"),
    float("-inf"),
    2**200,
    10**400,
    True,
    None,
    [],
    [1],
    {},
    {"a": {"b": []}},
)


FIELDS = (
    "prompt",
    "negative_prompt",
    "bpm",
    "bars",
    "steps",
    "cfg_scale",
    "seed",
    "loop_type",
    "style_strength",
    "strict",
    "return_format",
    "sampler_type",
    "model_type",
    "finetune_repo",
    "key",
    "transpose",
    "guidance_mask",
    "guidance_strength",
    "seconds_total",
)


def check(status: int, body: Any) -> None:
    assert status < 500, body
    if status >= 400:
        assert set(body) >= SHAPE
        assert body["success"] is False
        assert isinstance(body["error"], str)
        assert 0 < len(body["error"]) < 1500


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder: Path = tmp_path_factory.mktemp("nonsense")
    made = Settings(riffs_dir=folder / "riffs", cache_dir=folder / "cache")
    engine = FakeEngine(info())
    assert engine.info.limits == LIMITS
    app = create_app(made, lambda chosen: fake_service(lambda _: engine, settings=chosen))
    with TestClient(app, raise_server_exceptions=False):
        yield app


def test_whatever_the_openapi_document_allows_and_forbids(app: Any) -> None:
    """Schemathesis makes requests from the document, valid and not, for every operation."""
    document = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [result.ok() for result in document.get_all_operations()]  # type: ignore[union-attr]
    assert len(operations) >= len(PATHS) + 12
    for operation in operations:
        for mode in schemathesis.GenerationMode:
            _try(operation.as_strategy(generation_mode=mode))


def _try(cases: st.SearchStrategy[Any]) -> None:
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None)
    @given(cases)
    def send(case: Any) -> None:
        reply = case.call()
        assert reply.status_code < 500, reply.text
        if reply.status_code >= 400:
            check(reply.status_code, reply.json())

    with suppress(Unsatisfiable):  # an operation without parameters cannot be called wrongly
        send()


@pytest.mark.parametrize("path", PATHS)
async def test_every_field_with_every_wrong_value(client: Client, path: str) -> None:
    good = {"prompt": "drums 140bpm", "seconds_total": 1, "bars": 1, "steps": 1, "key": "a"}
    for field in FIELDS:
        for value in VALUES:
            body = json.dumps({**good, field: value})
            reply = await client.post(
                path, content=body, headers={"content-type": "application/json"}
            )
            check(reply.status_code, reply.json() if reply.status_code >= 400 else None)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "multipart/form-data; boundary=b",
        "text/plain",
        "",
        "application/x-www-form-urlencoded",
    ],
)
def test_any_bytes_as_a_body(app: Any, path: str, kind: str) -> None:
    client = TestClient(app, raise_server_exceptions=False)

    @settings(max_examples=20)
    @given(st.binary(max_size=300))
    def send(content: bytes) -> None:
        reply = client.post(path, content=content, headers={"content-type": kind} if kind else {})
        check(reply.status_code, reply.json())

    send()


async def test_tempi_that_are_none(client: Client) -> None:
    for bpm in (0, 29, 301, 3159345, -140):
        reply = await client.post("/generate/loop", json={"prompt": "drums", "bpm": bpm})
        assert (reply.status_code, reply.json()["field"]) == (400, "bpm")
        said = await client.post("/generate/loop", json={"prompt": f"drums {abs(bpm)}bpm"})
        assert said.status_code == 400 if abs(bpm) != 140 else 200


async def test_many_bad_requests_at_once(client: Client) -> None:
    replies = await asyncio.gather(
        *(client.post("/generate/loop", json={"prompt": "x" * 3000}) for _ in range(50))
    )
    assert {reply.status_code for reply in replies} == {400}
