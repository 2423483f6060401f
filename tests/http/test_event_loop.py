"""While one client's megabytes are encoded or read, the event loop serves the others."""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import threading
from collections.abc import Callable, Sized
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.generation.result import Generation
from loopwright.http import audio_json, body, reply
from loopwright.http.body import MAX_JSON_VALUES, MAX_SIZE_ON_LOOP
from tests.http.conftest import Client
from tests.sounds import encoded, tone

LOOP = {"prompt": "techno drums 140bpm", "bars": 4, "seed": 7}
WAV = encoded(tone(440, 2))
AS_TEXT = base64.b64encode(WAV).decode()

Ask = Callable[[Client], Any]
Patch = Callable[[object, str], list[str]]


@pytest.fixture
async def on_no_loop(monkeypatch: pytest.MonkeyPatch) -> Patch:
    """Make a function wait until the event loop did something else; note each call's thread."""
    loop = asyncio.get_running_loop()

    def patch(module: object, name: str) -> list[str]:
        function, calls = getattr(module, name), []

        def waiting(*args: object, **kwargs: object) -> object:
            somebody_else_was_served = threading.Event()
            loop.call_soon_threadsafe(somebody_else_was_served.set)
            assert somebody_else_was_served.wait(5), f"{name} was called on the event loop"
            calls.append(threading.current_thread().name)
            return function(*args, **kwargs)

        monkeypatch.setattr(module, name, waiting)
        return calls

    return patch


async def as_file(client: Client) -> Any:
    return await client.post("/generate/loop", json=LOOP)


async def as_base64(client: Client) -> Any:
    return await client.post("/generate/loop", json={**LOOP, "n": 2, "return_format": "base64"})


async def variation(client: Client) -> Any:
    return await client.post("/generate/variation", json={**LOOP, "source_seed": 3})


async def sent_as_json(client: Client) -> Any:
    return await client.post("/generate/loop", json={**LOOP, "audio_base64": AS_TEXT})


async def sent_as_form(client: Client) -> Any:
    return await client.post("/generate/loop", data={**LOOP, "audio_base64": AS_TEXT})


@pytest.mark.parametrize(
    ("module", "name", "ask"),
    [
        (Generation, "encoded", as_file),
        (Generation, "encoded", as_base64),
        (Generation, "encoded", variation),
        (reply, "audio_json", as_base64),
        (body, "_read_json", sent_as_json),
        (body, "_read_urlencoded", sent_as_form),
        (body, "from_base64", sent_as_json),
    ],
)
async def test_the_event_loop_goes_on(
    on_no_loop: Patch, client: Client, module: object, name: str, ask: Ask
) -> None:
    calls = on_no_loop(module, name)
    reply = await ask(client)
    assert reply.status_code == 200, reply.text
    assert calls
    assert threading.main_thread().name not in calls


@pytest.mark.parametrize(
    ("ask", "functions"),
    [(as_base64, ["base64.b64encode", "json.dumps"]), (sent_as_json, ["base64.b64decode"])],
)
async def test_no_call_that_keeps_the_interpreters_lock_gets_all_of_it(
    client: Client, monkeypatch: pytest.MonkeyPatch, ask: Ask, functions: list[str]
) -> None:
    """A thread alone does not free the loop: these functions hold the lock until they are done."""
    sizes: list[int] = []

    def measuring(function: Callable[..., Any]) -> Callable[..., Any]:
        def measured(value: Any, *args: Any, **kwargs: Any) -> Any:
            result = function(value, *args, **kwargs)
            sizes.append(max(len(value) if isinstance(value, Sized) else 0, len(result)))
            return result

        return measured

    for name in functions:
        module, _, attribute = name.partition(".")
        monkeypatch.setattr(name, measuring(getattr(importlib.import_module(module), attribute)))
    reply = await ask(client)
    assert reply.status_code == 200, reply.text
    assert len(sizes) > 1
    assert max(sizes) <= audio_json.PIECE // 3 * 4


async def test_json_of_more_values_than_any_request_has(client: Client) -> None:
    reply = await client.post(
        "/generate/loop", content=b'{"prompt": [' + b"0," * MAX_JSON_VALUES + b"0]}"
    )
    assert (reply.status_code, reply.json()["code"]) == (400, "invalid_json")
    assert f"at most {MAX_JSON_VALUES:,} values" in reply.json()["error"]
    spread = b'{"prompt": ["' + (b" " * MAX_SIZE_ON_LOOP + b'","') * 200 + b'"]}'
    assert (await client.post("/generate/loop", content=spread)).json()["code"] != "invalid_json"


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=3))
def test_json_with_audio_is_the_librarys(files: list[bytes]) -> None:
    metadata = [{"seed": number, "prompt": 'ein "Ton", größer'} for number in range(len(files))]
    results = [
        {"audio_base64": base64.b64encode(file).decode(), "metadata": said}
        for file, said in zip(files, metadata, strict=True)
    ]
    whole = {"success": True, **results[0], **({"results": results} if len(files) > 1 else {})}
    made = audio_json.audio_json(files, metadata)
    assert made == json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "size", [1, 2, 3, *(audio_json.PIECE * 2 + more for more in (-1, 0, 1, 2))]
)
def test_base64_of_any_length_there_and_back(size: int) -> None:
    data = bytes(number % 251 for number in range(size))
    text = json.loads(audio_json.audio_json([data], [{}]))["audio_base64"]
    assert text == base64.b64encode(data).decode()
    assert audio_json.from_base64(text) == data
    assert audio_json.from_base64(f"data:audio/wav;base64,{text}") == data


@pytest.mark.parametrize("size", [1, 2, 3, 100, audio_json.PIECE, audio_json.PIECE * 2 + 1])
def test_base64_as_encoders_write_it(size: int) -> None:
    data = bytes(number * 7 % 251 for number in range(size))
    text = base64.b64encode(data).decode()
    for written in (
        base64.encodebytes(data).decode(),
        text.replace("=", ""),
        f" {text}\r\n",
        base64.urlsafe_b64encode(data).decode(),
        f"data:audio/wav;base64,{base64.urlsafe_b64encode(data).decode().rstrip('=')}\n",
    ):
        assert audio_json.from_base64(written) == data


def test_what_is_wrong_with_base64_is_shown_where_it_is() -> None:
    with pytest.raises(ValueError, match=r'character 1,000,001 is "\*"'):
        audio_json.from_base64("A" * 1_000_000 + "*" + "A" * 1000)


FULL = "A" * (audio_json.PIECE // 3 * 4)


@pytest.mark.parametrize(
    "text",
    ["A", "AA=A", "AA\vAA", "ä", "data:;base64,", f"{FULL[:-2]}==AAAA", f"{FULL}A", f"{FULL}*AAA"],
)
def test_what_is_no_base64(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        audio_json.from_base64(text)
