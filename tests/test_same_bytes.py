"""Ten requests over all endpoints, whose audio and metadata must not change."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from pathlib import Path

import httpx
import pytest

from loopwright.generation.assemble import assemble
from loopwright.http.app import create_app
from loopwright.settings import Settings

HERE = Path(__file__).parent
RECORD = HERE / "same_bytes.json"
CHANGING = {"generation_time", "realtime_factor", "warnings"}

DRUMS = {"prompt": "aggressive techno drums 140bpm", "bars": 2, "seed": 7}
REQUESTS: dict[str, tuple[str, dict[str, object], bool]] = {
    "audio": ("/generate", {"prompt": "hip-hop beat 90bpm", "seconds_total": 4, "seed": 1}, False),
    "style": (
        "/generate/style-transfer",
        {"prompt": "house piano chords 124bpm", "seed": 2, "style_strength": 0.6},
        True,
    ),
    "loop": ("/generate/loop", {**DRUMS, "candidates": 2}, False),
    "loop_from_audio": (
        "/generate/loop",
        {
            "prompt": "dub bass",
            "bpm": 92.5,
            "bars": 2,
            "seed": 3,
            "format": "flac",
            "bit_depth": 24,
            "loop_type": "instruments",
            "sampler_type": "euler",
            "steps": 20,
        },
        True,
    ),
    "guided": (
        "/generate/loop-guided",
        {**DRUMS, "guidance_mask": "first_bar", "format": "ogg"},
        True,
    ),
    "riff": (
        "/generate/loop-with-riff",
        {"prompt": "dark techno 128bpm", "key": "Ab", "bars": 2, "seed": 5},
        False,
    ),
    "variation": (
        "/generate/variation",
        {**DRUMS, "source_seed": 4, "n": 2, "normalize": "loudness"},
        False,
    ),
    "inpaint": ("/generate/inpaint", {**DRUMS, "from_bar": 2, "negative_prompt": "hats"}, True),
    "stack": (
        "/generate/stack",
        {"prompt": "house", "bpm": 124, "bars": 1, "parts": "drums,bass", "key": "F#m", "seed": 6},
        False,
    ),
    "two": (
        "/generate/loop",
        {
            "prompt": "lofi chords in a minor 80 bpm",
            "bars": 1,
            "n": 2,
            "cfg_scale": 1,
            "sampler_type": "dpmpp",
            "seed": 9,
        },
        False,
    ),
}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:24]


async def made(folder: Path) -> dict[str, object]:
    settings = Settings(model="pocket", riffs_dir=folder / "riffs", cache_dir=folder / "cache")
    app = create_app(settings, assemble)
    found: dict[str, object] = {}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://test", timeout=600
        ) as client,
    ):
        source = (await client.post("/generate/loop", json=DRUMS)).content
        found["source"] = _digest(source)
        added = await client.post(
            "/riffs", data={"key": "gsharp", "bpm": "140"}, files={"audio_file": ("a.wav", source)}
        )
        assert added.status_code == 200
        for name, (path, fields, takes_audio) in REQUESTS.items():
            body = {**fields, "return_format": "base64"}
            if takes_audio:
                body["audio_base64"] = base64.b64encode(source).decode()
            reply = await client.post(path, json=body)
            assert reply.status_code == 200, reply.text
            said = reply.json()
            results = said.get("results", [said])
            found[name] = [
                {
                    "audio": _digest(base64.b64decode(one["audio_base64"])),
                    "metadata": {
                        key: value for key, value in one["metadata"].items() if key not in CHANGING
                    },
                }
                for one in results
            ]
    return found


@pytest.mark.slow  # the bits of floating-point numbers depend on the processor
def test_ten_requests_over_all_endpoints_give_the_same_bytes(tmp_path: Path) -> None:
    assert json.loads(json.dumps(asyncio.run(made(tmp_path)))) == json.loads(RECORD.read_text())


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        RECORD.write_text(
            json.dumps(asyncio.run(made(Path(folder))), indent=1, sort_keys=True) + "\n"
        )
