"""Health and the model's description, and what surrounds every endpoint."""

from __future__ import annotations

import pytest

from loopwright.engine.base import Engine, ModelKey
from loopwright.errors import CheckpointError
from loopwright.http.app import origin_pattern
from tests.http.conftest import Client, connected


async def test_health_when_loaded(client: Client) -> None:
    assert (await client.get("/model/info")).status_code == 200  # waits for the model
    reply = await client.get("/health")
    said = reply.json()
    assert reply.status_code == 200
    assert said["status"] == "healthy"
    assert said["model_loaded"] is True
    assert said["model_info"] == {
        "sample_rate": 44100,
        "sample_size": 524288,
        "diffusion_objective": "rf_denoiser",
    }
    assert {"device", "cuda_available", "version", "queue_depth"} <= set(said)
    assert said["limitations"] == ["it is a fake"]


async def test_a_model_that_cannot_be_loaded() -> None:
    def load(_: ModelKey) -> Engine:
        raise CheckpointError("the weights are upside down")

    async with connected(load) as client:
        reply = await client.post("/generate/loop", json={"prompt": "drums 140bpm"})
        assert (reply.status_code, reply.json()["code"]) == (503, "model_unavailable")
        assert "upside down" in reply.json()["error"]
        assert int(reply.headers["retry-after"]) > 0
        health = await client.get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "error")
        assert "upside down" in health.json()["error"]
        assert (await client.get("/health/live")).status_code == 200
        assert (await client.get("/health/ready")).status_code == 503
        assert (await client.get("/model/info")).status_code == 503


async def test_model_info_says_what_the_contract_says(client: Client) -> None:
    said = (await client.get("/model/info")).json()
    assert said["config"] == {
        "diffusion_objective": "rf_denoiser",
        "io_channels": 64,
        "max_duration_seconds": 12,
        "sample_rate": 44100,
        "sample_size": 524288,
    }
    parameters = said["supported_parameters"]
    assert parameters["bars"] == {"default": "auto", "options": [1, 2, 4, 8], "type": "int"}
    assert parameters["cfg_scale"] == {"default": 6.0, "range": "0-20", "type": "float"}
    assert parameters["loop_type"] == {
        "default": "auto",
        "options": ["drums", "instruments", "auto"],
        "type": "string",
    }
    assert parameters["negative_prompt"] == {"required": False, "type": "string"}
    assert parameters["prompt"] == {"required": True, "type": "string"}
    assert parameters["return_format"] == {
        "default": "file",
        "options": ["file", "base64"],
        "type": "string",
    }
    assert parameters["seed"] == {"default": -1, "note": "-1 for random", "type": "int"}
    assert parameters["steps"] == {"default": 8, "range": "1-100", "type": "int"}


@pytest.mark.parametrize("path", ["/health", "/audio/health"])
async def test_a_path_prefix_taken_off_by_the_proxy_or_not(path: str) -> None:
    async with connected(root_path="/audio") as client:
        assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("null", True),
        ("http://localhost", True),
        ("http://localhost:3000", True),
        ("http://127.0.0.1:8080", True),
        ("https://evil.example", False),
        ("http://localhost.evil.example", False),
    ],
)
async def test_cors(client: Client, origin: str, allowed: bool) -> None:
    reply = await client.get("/health", headers={"origin": origin})
    assert ("access-control-allow-origin" in reply.headers) is allowed


async def test_cors_holds_for_errors_too(client: Client) -> None:
    reply = await client.post(
        "/generate/loop", json={"prompt": "FAIL 140bpm"}, headers={"origin": "null"}
    )
    assert reply.status_code == 500
    assert reply.headers["access-control-allow-origin"]
    assert "X-Seed" in reply.headers["access-control-expose-headers"]


def test_origin_patterns() -> None:
    assert origin_pattern("*") == ".*"
    assert origin_pattern("") == "(?!)"


async def test_a_request_id_is_taken_only_if_it_is_sane(client: Client) -> None:
    assert (await client.get("/health", headers={"x-request-id": "my-id.1"})).headers[
        "x-request-id"
    ] == "my-id.1"
    assert (await client.get("/health", headers={"x-request-id": "a b\tc"})).headers[
        "x-request-id"
    ] != "a b\tc"
