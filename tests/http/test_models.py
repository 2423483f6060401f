"""Models over HTTP, with the real loader, the real hub client, and a small hub."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from loopwright.engine.base import Engine, ModelKey, Stopgap
from loopwright.errors import ModelUnavailable
from loopwright.loading.backend import BackendOptions
from loopwright.loading.finetunes import no_prompts
from loopwright.loading.hub import Hub
from loopwright.loading.loader import Loader
from tests.fakes import FakeEngine, info
from tests.http.conftest import Client, connected
from tests.hub_server import HubServer
from tests.tiny import make_model_folder
from tests.waiting import Gate, eventually

REPO = "someone/acid"
FINETUNE = {
    "model_type": "finetune",
    "finetune_repo": REPO,
    "finetune_checkpoint": "acid_v1_step9.ckpt",
}
NAMED = {"finetune_repo": REPO, "finetune_checkpoint": "acid_v1_step9.ckpt"}
PROMPTS = {
    "version": 1,
    "prompt_bank": {"generic": ["acid line"]},
    "terms": {"top_unigrams": ["acid"], "top_bigrams": ["acid bass"]},
    "dice": {
        "generic": ["acid"],
        "drums": ["acid drums"],
        "instrumental": [],
        "pads": ["acid pad"],
    },
}
STAMPED = {**PROMPTS, "repo": REPO, "checkpoint": "acid_v1_step9.ckpt"}


class Evil:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.trace}",)


def publish_finetune(hub: HubServer, tmp_path: Path) -> None:
    """A repository with a checkpoint, its configuration, prompts, and a malicious checkpoint."""
    base = load_file(tmp_path / "base" / "model.safetensors")
    tuned = {
        f"diffusion.{name}": tensor * 1.01 if "layers" in name else tensor
        for name, tensor in base.items()
    }
    folder = tmp_path / "acid"
    folder.mkdir()
    torch.save({"state_dict": tuned, "epoch": 3}, folder / "acid_v1_step9.ckpt")
    torch.save({"state_dict": Evil(tmp_path / "it-ran")}, folder / "evil.ckpt")
    (folder / "acid_v1_config.json").write_text(
        (tmp_path / "base" / "model_config.json").read_text()
    )
    (folder / "prompts.json").write_text(json.dumps(PROMPTS))
    hub.publish(REPO, folder)


@pytest.fixture
async def client(hub_server: HubServer, tmp_path: Path) -> AsyncIterator[Client]:
    base = ModelKey(str(make_model_folder(tmp_path / "base")))
    publish_finetune(hub_server, tmp_path)
    hub_server.repos["someone/plain"] = {"model.safetensors": b"", "README.md": b""}
    hub_server.repos["someone/broken"] = {"x.ckpt": b"", "prompts.json": b"[1, 2"}
    hub = Hub({REPO, "someone/gone", "someone/plain", "someone/broken"})
    async with connected(
        Loader(hub, BackendOptions(engine="torch"), 0, base).load, hub=hub, key=base
    ) as client:
        await client.get("/model/info")
        yield client


async def test_status(client: Client) -> None:
    said = (await client.get("/models/status")).json()
    key = "standard_saos"
    assert said["cache_status"] == {
        "loaded_models": [key],
        "usage_order": [key],
        "cache_utilization": "1/2",
    }
    assert (said["active_model"], said["converting"]) == (key, False)
    details = said["model_details"][key]
    assert (details["type"], details["status"], details["sample_rate"]) == (
        "standard",
        "loaded",
        44100,
    )
    assert details["source"].endswith("/base")  # what it is
    assert set(details) == {
        "type",
        "source",
        "status",
        "converting",
        "engine",
        "precision",
        "device",
        "sample_rate",
        "sample_size",
        "repo",
        "checkpoint",
    }
    assert (said["max_models"], said["cuda_available"]) == (2, torch.cuda.is_available())


async def test_switching_and_back(client: Client) -> None:
    reply = await client.post("/models/switch", json=FINETUNE)
    said = reply.json()
    assert reply.status_code == 200, said
    assert (said["success"], said["model_type"], said["device"]) == (True, "finetune", "cpu")
    assert said["config"] == {"sample_rate": 44100, "sample_size": 16384}
    assert said["cache_status"]["cache_utilization"] == "2/2"
    ask = {"prompt": "techno drums", "seed": 1, "steps": 2, "return_format": "base64"}
    tuned = (await client.post("/generate", json=ask)).json()
    assert tuned["metadata"]["model_type"] == "finetune"  # the active one, where none is named
    standard = (await client.post("/generate", json={**ask, "model_type": "standard"})).json()
    assert standard["metadata"]["model_type"] == "standard"
    assert standard["audio_base64"] != tuned["audio_base64"]
    assert (await client.post("/models/switch", json={"model_type": "standard"})).json()[
        "model_type"
    ] == "standard"
    again = (await client.post("/generate", json=ask)).json()
    assert again["audio_base64"] == standard["audio_base64"]


async def test_the_key_of_a_finetune_names_its_repository_and_checkpoint(client: Client) -> None:
    await client.post("/models/switch", json=FINETUNE)
    said = (await client.get("/models/status")).json()
    key = f"{REPO}/acid_v1_step9.ckpt"
    assert said["cache_status"]["usage_order"] == ["standard_saos", key]
    assert said["active_model"] == key
    assert (said["model_details"][key]["type"], said["model_details"][key]["source"]) == (
        "finetune",
        key,
    )


async def test_what_is_loading_is_named(client: Client) -> None:
    gate = Gate()

    def load(key: ModelKey) -> Engine:
        gate.enter()
        return FakeEngine(info(key))

    async with connected(load) as loading:
        said = (await loading.get("/models/status")).json()
        gate.open()
    assert said["cache_status"]["loaded_models"] == []
    details = said["model_details"]["standard_saos"]
    assert (details["type"], details["source"], details["status"]) == (
        "standard",
        "fake/model",
        "loading",
    )
    assert (details["device"], details["sample_size"]) == (None, None)


async def test_a_model_that_is_converted_serves_meanwhile() -> None:
    gate = Gate()

    def load(key: ModelKey) -> Stopgap:
        def improve() -> Engine:
            gate.enter()
            return FakeEngine(replace(info(key), engine="openvino", precision="int8"))

        return Stopgap(FakeEngine(info(key)), improve)

    async def engine_of_a_take(client: Client) -> tuple[str, str]:
        ask = {"prompt": "drums 140bpm", "steps": 1, "return_format": "base64"}
        metadata = (await client.post("/generate/loop", json=ask)).json()["metadata"]
        return metadata["engine"], metadata["precision"]

    async def are_converting(client: Client) -> set[bool]:
        status, health = (
            (await client.get("/models/status")).json(),
            (await client.get("/health")).json(),
        )
        return {
            status["converting"],
            status["model_details"]["standard_saos"]["converting"],
            health["converting"],
        }

    async def is_converted(client: Client) -> bool:
        return await are_converting(client) == {False}

    async with connected(load) as client:
        assert await engine_of_a_take(client) == ("torch", "f32")
        assert await are_converting(client) == {True}
        assert (await client.get("/health")).json()["status"] == "healthy"
        gate.open()
        await eventually(lambda: is_converted(client))
        assert await engine_of_a_take(client) == ("openvino", "int8")
        assert (await client.get("/health")).json()["engine"] == "openvino"


@pytest.mark.parametrize(
    "fields", [{}, {"finetune_repo": REPO}, {"model_type": "standard", **NAMED}]
)
async def test_switching_to_the_standard_model(client: Client, fields: dict[str, str]) -> None:
    await client.post("/models/switch", json=FINETUNE)
    said = (await client.post("/models/switch", json=fields)).json()
    assert (said["success"], said["model_type"]) == (True, "standard")
    assert [name for name in NAMED if any(name in warning for warning in said["warnings"])] == (
        list(NAMED) if fields else []
    )
    assert (await client.get("/models/status")).json()["active_model"] == "standard_saos"


async def test_a_finetune_that_is_named_needs_no_model_type(client: Client) -> None:
    said = (await client.post("/models/switch", json=NAMED)).json()
    assert (said["model_type"], said["warnings"]) == ("finetune", [])
    await client.post("/models/switch", json={})
    ask = {"prompt": "techno drums", "steps": 1, "return_format": "base64"}
    named = (await client.post("/generate", json={**ask, **NAMED})).json()["metadata"]
    assert (named["model_type"], named["warnings"]) == ("finetune", [])


async def test_fields_of_a_finetune_that_do_not_count_are_named(client: Client) -> None:
    ask = {"prompt": "techno drums", "steps": 1, "return_format": "base64"}
    for fields, said in (
        (
            {"model_type": "standard", **NAMED},
            "finetune_repo and finetune_checkpoint were not used",
        ),
        ({"finetune_repo": REPO}, "finetune_repo was not used"),
        ({"finetune_checkpoint": "x.ckpt"}, "finetune_checkpoint was not used"),
    ):
        metadata = (await client.post("/generate", json={**ask, **fields})).json()["metadata"]
        assert metadata["model_type"] == "standard"
        assert any(said in warning for warning in metadata["warnings"])


async def test_a_generate_call_loads_what_it_needs(client: Client) -> None:
    ask = {"prompt": "techno drums", "seed": 1, "steps": 2, "return_format": "base64", **FINETUNE}
    assert (await client.post("/generate", json=ask)).json()["metadata"]["model_type"] == "finetune"
    assert (await client.get("/models/status")).json()["cache_status"]["cache_utilization"] == "2/2"


async def test_checkpoints(client: Client) -> None:
    said = (await client.post("/models/checkpoints", json={"finetune_repo": REPO})).json()
    assert said == {
        "success": True,
        "repo": REPO,
        "checkpoints": ["acid_v1_step9.ckpt", "evil.ckpt"],
        "count": 2,
    }


@pytest.mark.parametrize(
    ("body", "status", "hint"),
    [
        ({"finetune_repo": "someone/gone"}, 404, "check the name"),
        ({"finetune_repo": "someone/plain"}, 404, "choose a repository"),
        ({"finetune_repo": "someone/else"}, 400, ""),
        ({"finetune_repo": "../../etc"}, 400, ""),
        ({"finetune_repo": 3}, 400, ""),
        ({}, 400, ""),
        ([], 400, ""),
    ],
)
async def test_no_checkpoints(client: Client, body: object, status: int, hint: str) -> None:
    reply = await client.post("/models/checkpoints", json=body)
    said = reply.json()
    assert (reply.status_code, said["success"], said["checkpoints"]) == (status, False, [])
    assert said["error"]
    assert hint in said.get("hint", "")


async def test_no_checkpoints_from_a_hub_that_does_not_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def files(_: Hub, repo: str) -> list[str]:
        raise ModelUnavailable(f"{repo} cannot be reached", retry_after=3)

    monkeypatch.setattr(Hub, "files", files)
    reply = await client.post("/models/checkpoints", json={"finetune_repo": REPO})
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "3")
    assert (reply.json()["success"], reply.json()["checkpoints"]) == (False, [])


def out_of_reach(*_: object) -> Path:
    raise ModelUnavailable("the hub is out of reach")


async def test_prompts(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    said = (
        await client.get(
            "/models/prompts", params={"repo": REPO, "checkpoint": "acid_v1_step9.ckpt"}
        )
    ).json()
    assert (said["prompts"], said["type"], said["source"]) == (STAMPED, "finetune", REPO)
    assert (said["checkpoint"], "message" in said) == ("acid_v1_step9.ckpt", False)
    none_is_loaded = (await client.get("/models/prompts", params={"prefer": "finetune"})).json()
    assert none_is_loaded["prompts"] is None
    assert none_is_loaded["message"]
    await client.post("/models/switch", json=FINETUNE)
    for query in (
        {},
        {"prefer": "active"},
        {"prefer": "finetune"},
        {"prefer": "recent"},
        {"key": f"{REPO}/acid_v1_step9.ckpt"},
    ):
        assert (await client.get("/models/prompts", params=query)).json()["prompts"] == STAMPED
    assert (await client.get("/models/prompts", params={"key": "no/such"})).json()[
        "prompts"
    ] is None
    gone = await client.get("/models/prompts", params={"repo": "someone/gone"})
    assert (gone.status_code, gone.json()["success"]) == (404, False)
    monkeypatch.setattr(Hub, "fetch", out_of_reach)
    said = (await client.get("/models/prompts")).json()  # of the one that is loaded
    assert (said["success"], said["prompts"], said["source"]) == (True, no_prompts(), REPO)
    assert said["message"] == "the hub is out of reach"
    named = await client.get("/models/prompts", params={"repo": REPO})
    assert (named.status_code, named.json()["success"]) == (503, False)
    wrong = await client.get("/models/prompts", params={"prefer": "best"})
    assert (wrong.status_code, wrong.json()["field"]) == (400, "prefer")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({}, "is not a repository"),
        ({"key": "standard_saos"}, "is not a repository"),
        ({"repo": "someone/plain"}, "has no file prompts.json"),
        ({"repo": "someone/broken", "checkpoint": "x.ckpt"}, "is not valid JSON"),
    ],
)
async def test_a_model_that_suggests_no_prompts(
    client: Client, query: dict[str, str], message: str
) -> None:
    for reply in (
        await client.get("/models/prompts", params=query),
        await client.post("/models/prompts", json=query),
    ):
        said = reply.json()
        assert (said["success"], said["prompts"]) == (True, no_prompts())
        assert message in said["message"]
        assert said["model_key"] == ("standard_saos" if "repo" not in query else said["model_key"])


@pytest.mark.parametrize(
    "fields",
    [
        NAMED,
        {"repo": REPO, "checkpoint": "acid_v1_step9.ckpt"},
        {**NAMED, "prefer": "", "other": 1},
    ],
)
async def test_prompts_by_post(client: Client, fields: dict[str, object]) -> None:
    for reply in (
        await client.post("/models/prompts", json=fields),
        await client.post("/models/prompts", data=fields),
    ):
        said = reply.json()
        assert (said["prompts"], said["source"], said["checkpoint"]) == (
            STAMPED,
            REPO,
            "acid_v1_step9.ckpt",
        )
        assert any("other" in warning for warning in said["warnings"]) == ("other" in fields)
    wrong = await client.post("/models/prompts", json={"prefer": "best"})
    assert (wrong.status_code, wrong.json()["field"]) == (400, "prefer")


async def test_clearing(client: Client) -> None:
    for path in ("/models/clear-cache", "/cleanup"):
        said = (await client.post(path)).json()
        assert said["success"] is True
        assert said["message"]
    assert (await client.get("/models/status")).json()["cache_status"]["loaded_models"] == []
    assert (await client.get("/health")).json()["status"] == "healthy"
    assert (await client.post("/generate", json={"prompt": "drums", "steps": 1})).status_code == 200


async def test_a_malicious_checkpoint_is_refused_and_does_not_run(
    client: Client, tmp_path: Path
) -> None:
    reply = await client.post(
        "/models/switch", json={**FINETUNE, "finetune_checkpoint": "evil.ckpt"}
    )
    assert reply.status_code == 422
    assert "evil.ckpt was refused, since it holds more than weights" in reply.json()["error"]
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"finetune_repo": None}, 400, "finetune_repo"),
        ({"finetune_checkpoint": ""}, 400, "finetune_checkpoint"),
        ({"finetune_repo": "someone/else"}, 400, "finetune_repo"),
        ({"finetune_repo": "../../etc"}, 400, "finetune_repo"),
        ({"finetune_checkpoint": "../x.ckpt"}, 400, "finetune_checkpoint"),
        ({"finetune_checkpoint": "x.exe"}, 400, "finetune_checkpoint"),
        ({"finetune_checkpoint": "gone.ckpt"}, 404, "finetune_checkpoint"),
        ({"finetune_repo": "someone/gone"}, 404, "finetune_repo"),
        ({"model_type": "other"}, 400, "model_type"),
    ],
)
async def test_what_cannot_be_switched_to(
    client: Client, change: dict[str, object], status: int, field: str
) -> None:
    reply = await client.post("/models/switch", json={**FINETUNE, **change})
    assert (reply.status_code, reply.json()["field"], reply.json()["success"]) == (
        status,
        field,
        False,
    ), reply.text
    assert (await client.post("/generate", json={"prompt": "drums", "steps": 1})).status_code == 200
