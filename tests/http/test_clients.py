"""What existing clients send, byte for byte, and what they read of the replies."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
import soundfile

from tests.http.conftest import Client
from tests.sounds import encoded, tone

BOUNDARY = "Boundary-6F3C1A52-7B0E-4B7E-9C55-1D2E3F405162"
MULTIPART = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}

PHONE = {
    "prompt": "aggressive techno drums 140bpm",
    "loop_type": "drums",
    "steps": "8",
    "cfg_scale": "6.0",
    "seed": "-1",
    "return_format": "base64",
    "bars": "4",
}

# Indented and ordered as the plugin writes it; no bars.
PLUGIN = (
    b'{\r\n  "prompt": "warm analog bass 128 BPM",\r\n  "steps": 8,\r\n  "cfg_scale": 1,\r\n'
    b'  "return_format": "base64",\r\n  "seed": -1,\r\n  "model_type": "standard",\r\n'
    b'  "sampler_type": "pingpong",\r\n  "loop_type": "instruments"\r\n}'
)

LOOP_TYPES = {
    "prompt": str,
    "original_prompt": str,
    "loop_type": str,
    "detected_bpm": int,
    "bars": int,
    "loop_duration_seconds": float,
    "calculated_duration_seconds": float,
    "available_audio_seconds": float,
    "seconds_per_bar": float,
    "style_transfer": bool,
    "model_type": str,
    "steps": int,
    "cfg_scale": float,
    "seed": int,
    "sample_rate": int,
    "generation_time": float,
    "realtime_factor": float,
    "device": str,
}


def multipart(fields: dict[str, str], audio: bytes | None = None) -> bytes:
    """The body as the phone's library writes it."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    if audio is not None:
        head = (
            'Content-Disposition: form-data; name="audio_file"; filename="combined_loop.wav"\r\n'
            "Content-Type: audio/wav"
        )
        parts.append(f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + audio + b"\r\n")
    return b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


def check_types(metadata: dict[str, Any]) -> None:
    for name, kind in LOOP_TYPES.items():
        assert type(metadata[name]) is kind, (name, metadata[name])
    assert metadata["negative_prompt"] is None or isinstance(metadata["negative_prompt"], str)
    assert 0 <= metadata["seed"] < 2**32


async def test_the_phone_asks_for_a_loop(client: Client) -> None:
    reply = await client.post("/generate/loop", content=multipart(PHONE), headers=MULTIPART)
    said = reply.json()
    assert (reply.status_code, said["success"]) == (200, True)
    check_types(said["metadata"])
    assert soundfile.info(io.BytesIO(base64.b64decode(said["audio_base64"]))).frames == 302400
    assert (
        said["metadata"]["negative_prompt"]
        == "melody, harmony, pitched instruments, vocals, singing"
    )


async def test_the_phone_sends_its_loop(client: Client) -> None:
    body = multipart({**PHONE, "style_strength": "0.7"}, encoded(tone(220, 3)))
    said = (await client.post("/generate/loop", content=body, headers=MULTIPART)).json()
    check_types(said["metadata"])
    assert (said["metadata"]["style_transfer"], said["metadata"]["style_strength"]) == (True, 0.7)


async def test_the_plugin_asks_for_a_loop(client: Client) -> None:
    reply = await client.post(
        "/generate/loop", content=PLUGIN, headers={"content-type": "application/json"}
    )
    metadata = reply.json()["metadata"]
    check_types(metadata)
    assert (metadata["detected_bpm"], metadata["bars"], metadata["model_type"]) == (
        128,
        4,
        "standard",
    )
    assert metadata["negative_prompt"] == "drums, percussion, kick, snare, hi-hat"


async def test_a_tempo_that_is_not_whole(client: Client) -> None:
    ask = {"prompt": "drums 92.5bpm", "return_format": "base64"}
    assert (await client.post("/generate/loop", json=ask)).json()["metadata"][
        "detected_bpm"
    ] == 92.5


async def test_the_plugin_looks_at_the_models(client: Client) -> None:
    await client.get("/model/info")
    status = (await client.get("/models/status")).json()
    assert isinstance(status["cache_status"]["loaded_models"], list)
    assert isinstance(status["cache_status"]["usage_order"], list)
    assert status["cache_status"]["cache_utilization"] == "1/2"
    assert isinstance(status["max_models"], int)
    assert (
        status["cache_status"]["usage_order"][-1] == "standard_saos"
    )  # what projects are saved with
    (details,) = status["model_details"].values()
    assert (type(details["sample_rate"]), type(details["sample_size"])) == (int, int)
    switched = (await client.post("/models/switch", json={"model_type": "standard"})).json()
    assert (switched["success"], type(switched["message"])) == (True, str)
    prompts = (await client.get("/models/prompts?prefer=active")).json()
    assert prompts["success"] is True
    assert prompts["prompts"]["dice"] == {"generic": [], "drums": [], "instrumental": []}
    health = (await client.get("/health")).json()
    assert (health["status"], health["model_loaded"]) == ("healthy", True)


@pytest.mark.parametrize("seed", ["-1", "0", "4294967295"])
async def test_seeds_of_the_whole_range(client: Client, seed: str) -> None:
    reply = await client.post(
        "/generate/loop", content=multipart({**PHONE, "seed": seed}), headers=MULTIPART
    )
    assert reply.status_code == 200
    if seed != "-1":
        assert reply.json()["metadata"]["seed"] == int(seed)
