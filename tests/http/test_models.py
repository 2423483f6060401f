"""Models over HTTP, with the real loader, the real hub client, and a small hub."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from loopwright.engine.backend import Wishes
from loopwright.engine.base import ModelKey
from loopwright.engine.hub import Hub
from loopwright.engine.loader import Loader
from tests.http.conftest import Client, connected
from tests.hub_server import HubServer
from tests.tiny import make_model_folder

REPO = "someone/acid"
FINETUNE = {"model_type": "finetune", "finetune_repo": REPO, "finetune_checkpoint": "acid_v1_step9.ckpt"}
PROMPTS = {"version": 1, "dice": {"generic": ["acid"], "drums": ["acid drums"], "instrumental": []}}


class Evil:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.trace}",)


def publish_finetune(hub: HubServer, tmp_path: Path) -> None:
    """A repository with a training checkpoint, its configuration, prompts, and a malicious checkpoint."""
    base = load_file(tmp_path / "base" / "model.safetensors")
    tuned = {f"diffusion.{name}": tensor * 1.01 if "layers" in name else tensor for name, tensor in base.items()}
    folder = tmp_path / "acid"
    folder.mkdir()
    torch.save({"state_dict": tuned, "epoch": 3}, folder / "acid_v1_step9.ckpt")
    torch.save({"state_dict": Evil(tmp_path / "it-ran")}, folder / "evil.ckpt")
    (folder / "acid_v1_config.json").write_text((tmp_path / "base" / "model_config.json").read_text())
    (folder / "prompts.json").write_text(json.dumps(PROMPTS))
    hub.publish(REPO, folder)


@pytest.fixture
async def client(hub_server: HubServer, tmp_path: Path) -> AsyncIterator[Client]:
    base = ModelKey(str(make_model_folder(tmp_path / "base")))
    publish_finetune(hub_server, tmp_path)
    hub = Hub({REPO, "someone/gone"})
    async with connected(Loader(hub, Wishes(engine="torch"), 0, base), hub=hub, key=base) as client:
        await client.get("/model/info")
        yield client


async def test_status(client: Client) -> None:
    said = (await client.get("/models/status")).json()
    (key,) = said["cache_status"]["loaded_models"]
    assert said["cache_status"] == {"loaded_models": [key], "usage_order": [key], "cache_utilization": "1/2"}
    assert said["model_details"][key]["type"] == "standard"
    assert set(said["model_details"][key]) == {
        "type",
        "source",
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
    assert (await client.post("/models/switch", json={"model_type": "standard"})).json()["model_type"] == "standard"
    again = (await client.post("/generate", json=ask)).json()
    assert again["audio_base64"] == standard["audio_base64"]


async def test_a_generate_call_loads_what_it_needs(client: Client) -> None:
    ask = {"prompt": "techno drums", "seed": 1, "steps": 2, "return_format": "base64", **FINETUNE}
    assert (await client.post("/generate", json=ask)).json()["metadata"]["model_type"] == "finetune"
    assert (await client.get("/models/status")).json()["cache_status"]["cache_utilization"] == "2/2"


async def test_checkpoints(client: Client) -> None:
    said = (await client.post("/models/checkpoints", json={"finetune_repo": REPO})).json()
    assert said == {"success": True, "repo": REPO, "checkpoints": ["acid_v1_step9.ckpt", "evil.ckpt"], "count": 2}
    gone = await client.post("/models/checkpoints", json={"finetune_repo": "someone/gone"})
    assert gone.status_code == 404
    assert "check the name" in gone.json()["hint"]


async def test_prompts(client: Client) -> None:
    said = (await client.get("/models/prompts", params={"repo": REPO, "checkpoint": "acid_v1_step9.ckpt"})).json()
    assert (said["prompts"], said["type"], said["source"]) == (PROMPTS, "finetune", REPO)
    nothing = (await client.get("/models/prompts")).json()
    assert nothing["prompts"] is None
    assert nothing["message"]
    await client.post("/models/switch", json=FINETUNE)
    for query in (
        {},
        {"prefer": "active"},
        {"prefer": "finetune"},
        {"prefer": "recent"},
        {"key": f"{REPO}/acid_v1_step9.ckpt"},
    ):
        assert (await client.get("/models/prompts", params=query)).json()["prompts"] == PROMPTS
    assert (await client.get("/models/prompts", params={"key": "no/such"})).json()["prompts"] is None
    wrong = await client.get("/models/prompts", params={"prefer": "best"})
    assert (wrong.status_code, wrong.json()["field"]) == (400, "prefer")


async def test_clearing(client: Client) -> None:
    for path in ("/models/clear-cache", "/cleanup"):
        said = (await client.post(path)).json()
        assert said["success"] is True
        assert said["message"]
    assert (await client.get("/models/status")).json()["cache_status"]["loaded_models"] == []
    assert (await client.get("/health")).json()["status"] == "healthy"
    assert (await client.post("/generate", json={"prompt": "drums", "steps": 1})).status_code == 200


async def test_a_malicious_checkpoint_is_refused_and_does_not_run(client: Client, tmp_path: Path) -> None:
    reply = await client.post("/models/switch", json={**FINETUNE, "finetune_checkpoint": "evil.ckpt"})
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
        ({"model_type": None}, 400, "model_type"),
    ],
)
async def test_what_cannot_be_switched_to(client: Client, change: dict[str, object], status: int, field: str) -> None:
    reply = await client.post("/models/switch", json={**FINETUNE, **change})
    assert (reply.status_code, reply.json()["field"], reply.json()["success"]) == (status, field, False), reply.text
    assert (await client.post("/generate", json={"prompt": "drums", "steps": 1})).status_code == 200
