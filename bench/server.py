"""The server as a user starts it: a process of its own, asked over HTTP.

Knows: flags, how it says where it listens, its log lines. Does not know: which music is asked for.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx

START_SECONDS, STOP_SECONDS, REPLY_SECONDS, LOG_SECONDS = 900, 60, 900, 5
POLL_SECONDS = 0.01
LOG_LINES_SHOWN = 20


@dataclass(frozen=True)
class Variant:
    """A way to run the server: a column of the report."""

    name: str
    flags: tuple[str, ...] = ()


VARIANTS = (
    Variant("ours"),
    Variant("ours, torch f32", ("--engine", "torch", "--precision", "f32")),
    Variant("ours, openvino f32", ("--engine", "openvino", "--precision", "f32")),
    Variant("ours, openvino int8", ("--engine", "openvino", "--precision", "int8")),
)
DEFAULT = VARIANTS[0]


@cache
def known_variants() -> tuple[Variant, ...]:
    """Return the variants whose flags this server has."""
    command = [sys.executable, "-m", "loopwright", "serve", "--help"]
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    said = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout
    words = set(said.replace("│", " ").split())
    return tuple(variant for variant in VARIANTS if words.issuperset(variant.flags[::2]))


@dataclass(frozen=True)
class Reply:
    """A reply. seconds, first_byte: since the request; stages: seconds by the server's clock."""

    content: bytes
    seconds: float
    first_byte: float
    stages: Mapping[str, float]


class Server:
    """A running server. seconds_to_ready: from its start until its model is loaded."""

    def __init__(
        self, process: subprocess.Popen[bytes], log: Path, url: str, seconds_to_ready: float
    ) -> None:
        self.pid = process.pid
        self.url = url
        self.seconds_to_ready = seconds_to_ready
        self._log = log
        self._client = httpx.Client(base_url=url, timeout=REPLY_SECONDS)

    def ask(self, endpoint: str, fields: Mapping[str, object], audio: Path | None = None) -> Reply:
        """Send a request, on a connection that is kept. audio: a file to send along, as a form."""
        began = time.perf_counter()
        with self._client.stream("POST", endpoint, **_body(fields, audio)) as response:
            content, first = bytearray(), 0.0
            for chunk in response.iter_raw():
                first = first or time.perf_counter() - began
                content += chunk
            seconds = time.perf_counter() - began
        if response.status_code != httpx.codes.OK:
            raise RuntimeError(
                f"{endpoint} was answered {response.status_code}: {bytes(content[:500])!r}"
            )
        return Reply(bytes(content), seconds, first, self._stages(response.headers["x-request-id"]))

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def _stages(self, request_id: str) -> dict[str, float]:
        """Return a request's seconds by stage from the log, whose line comes after the reply."""
        until = time.monotonic() + LOG_SECONDS
        while time.monotonic() < until:
            for line in _lines(self._log):
                if line.get("request_id") == request_id and line.get("event") == "request":
                    return {
                        name.removeprefix("seconds_"): value
                        for name, value in line.items()
                        if name.startswith("seconds_")
                    }
            time.sleep(POLL_SECONDS)
        raise RuntimeError(f"the log has no line of request {request_id}")


@contextmanager
def serving(
    model: str, flags: tuple[str, ...], threads: int, folder: Path, source: Path | None = None
) -> Iterator[Server]:
    """Run a server until the block ends.

    Args:
        model: A model's name or folder.
        flags: Further flags of ``loopwright serve``.
        threads: Of the process.
        folder: For its log and its cache.
        source: Where another commit is checked out, whose server it is; None: this one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "server.log"
    command = [
        sys.executable,
        "-m",
        "loopwright",
        "serve",
        "--port",
        "0",
        "--model",
        model,
        "--threads",
        str(threads),
    ]
    command += ["--log-format", "json", "--cache-dir", str(folder / "cache"), *flags]
    began = time.perf_counter()
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=folder, env=_environment(source), stdout=file, stderr=file
        )
    try:
        url = _wait_until_ready(process, log)
        server = Server(process, log, url, time.perf_counter() - began)
        yield server
        server.close()
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment(source: Path | None) -> dict[str, str]:
    """Return our environment without settings of a server, and with the hub offline."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOOPWRIGHT_")}
    if source is not None:
        kept["PYTHONPATH"] = str(source / "src")
    return {**kept, "HF_HUB_OFFLINE": "1"}


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> str:
    """Return the URL of the server once it is ready.

    Raises:
        RuntimeError: It does not become ready; the error has the end of its log.
    """
    until, url = time.monotonic() + START_SECONDS, ""
    with httpx.Client() as client:
        while time.monotonic() < until and process.poll() is None:
            url = url or next(
                (str(line["url"]) for line in _lines(log) if line.get("event") == "listening"), ""
            )
            if url and _is_ready(client, url):
                return url
            time.sleep(POLL_SECONDS)
    end = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])
    raise RuntimeError(f"the server did not become ready; its log ends:\n{end}")


def _is_ready(client: httpx.Client, url: str) -> bool:
    """Return whether the model is loaded, by the engine that will serve it from now on."""
    try:
        is_loaded = client.get(f"{url}/health/ready").status_code == httpx.codes.OK
        return is_loaded and not client.get(f"{url}/health").json()["converting"]
    except httpx.TransportError:
        return False


def _body(fields: Mapping[str, object], audio: Path | None) -> dict[str, Any]:
    if audio is None:
        return {"json": dict(fields)}
    words = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in fields.items()
    }
    return {"data": words, "files": {"audio_file": (audio.name, audio.read_bytes(), "audio/wav")}}


def _lines(log: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a log, the last first, without those that are not JSON."""
    for line in reversed(log.read_text(errors="replace").splitlines()):
        if line.startswith("{") and line.endswith("}"):
            yield json.loads(line)
