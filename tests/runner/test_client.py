"""The service in a process of its own: the same audio, and a server that outlives it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

from loopwright.errors import InvalidInput, QueueFull, RunnerDied, ShuttingDown
from loopwright.generation.loop_service import LoopService
from loopwright.generation.sources import Upload
from loopwright.kinds.loop import LoopRequest
from loopwright.kinds.request import ModelChoice
from loopwright.runner.client import RunnerClient
from loopwright.runner.process import is_poison
from loopwright.serving.active_run import Progress
from loopwright.settings import Settings
from tests.fakes import KEY, fake_service, make_fake_service, make_slow_service
from tests.sounds import encoded, tone
from tests.system.test_workers import is_running
from tests.waiting import eventually, until

LOOP = LoopRequest(prompt="drums 140bpm", bars=1, seed=1, steps=4)
LONG = LOOP.model_copy(update={"steps": 100})


@asynccontextmanager
async def running(
    make: Callable[[Settings], LoopService] = make_fake_service, **settings: object
) -> AsyncIterator[RunnerClient]:
    client = RunnerClient(Settings(**settings), make, KEY)  # type: ignore[arg-type]
    client.start()
    try:
        yield client
    finally:
        client.close()


async def test_a_take_is_the_same_as_in_this_process() -> None:
    here = fake_service()
    (expected,) = await here.takes(LOOP)
    here.close()
    async with running() as client:
        (take,) = await client.takes(LOOP)
    assert take.file == expected.file
    assert take.file_name == expected.file_name
    differing = {"generation_time", "realtime_factor"}
    assert {key: value for key, value in take.metadata.items() if key not in differing} == {
        key: value for key, value in expected.metadata.items() if key not in differing
    }


async def test_audio_goes_there_and_many_calls_at_once_come_back() -> None:
    async with running() as client:
        upload = Upload(encoded(tone(440, 2)))
        requests = [LOOP.model_copy(update={"seed": seed}) for seed in range(8)]
        made = await asyncio.gather(*(client.takes(request, upload) for request in requests))
    assert [take.seed for (take,) in made] == list(range(8))
    assert all(take.metadata["style_transfer"] for (take,) in made)


async def test_an_error_comes_back_with_all_that_it_says(tmp_path: Path) -> None:
    async with running(riffs_dir=tmp_path) as client:
        with pytest.raises(InvalidInput) as caught:
            await client.takes(LoopRequest(prompt="drums"))
        assert (caught.value.field, caught.value.code) == ("bpm", "missing_parameter")
        with pytest.raises(InvalidInput, match="finetune_checkpoint is missing"):
            await client.switch_model(ModelChoice(model_type="finetune", finetune_repo="a/b"))
        assert (await client.riffs()).riffs == ()


async def test_progress_is_reported_and_the_state_is_known() -> None:
    seen: list[Progress] = []
    async with running() as client:
        assert client.status().active_model.state == "loading"
        await client.takes(LOOP, on_progress=seen.append)
        assert client.status().active_model.state == "ready"
        assert client.status().queue_depth == 0
        assert (await client.model_info()).key == KEY
        assert await client.clear_models() == 1
        assert client.status().active_model.state == "absent"
    assert [progress.done for progress in seen] == [0, 1, 2, 3, 4]


async def test_a_call_given_up_frees_its_place() -> None:
    async with running(make_slow_service) as client:
        given_up = [asyncio.ensure_future(client.takes(LONG)) for _ in range(2)]
        await eventually(lambda: client.status().queue_depth == 2)
        with pytest.raises(QueueFull):
            await client.takes(LOOP)
        for call in given_up:
            call.cancel()
        await eventually(lambda: client.status().queue_depth == 0)
        await client.takes(LOOP)


async def test_a_runner_that_dies_fails_its_calls_and_is_started_again() -> None:
    async with running(make_slow_service) as client:
        call = asyncio.ensure_future(client.takes(LONG))
        await eventually(lambda: client.status().queue_depth == 1)
        assert client.runner_pid is not None
        os.kill(client.runner_pid, signal.SIGKILL)
        with pytest.raises(RunnerDied, match="signal 9"):
            await call
        assert client.status().is_restarting
        with pytest.raises(RunnerDied, match="is starting again"):
            await client.takes(LOOP)
        await eventually(lambda: not client.status().is_restarting)
        assert (await client.takes(LOOP))[0].seed == 1
        assert client.restarts == 1


async def test_what_the_runner_logs_names_the_request(
    capfd: pytest.CaptureFixture[str],
) -> None:
    failing = LOOP.model_copy(update={"prompt": "FAIL 140bpm"})
    async with running(log_format="json") as client:
        with (
            structlog.contextvars.bound_contextvars(request_id="one"),
            pytest.raises(RuntimeError, match="told to fail"),
        ):
            await client.takes(failing)
        await client.takes(LOOP)
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    (failed,) = (line for line in lines if line["event"] == "generation failed")
    assert failed["request_id"] == "one"
    assert sum("request_id" in line for line in lines) == 1


async def test_closing_ends_the_runner() -> None:
    async with running() as client:
        await client.takes(LOOP)
        pid = client.runner_pid
        assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(ShuttingDown, match="stopping"):
        await client.takes(LOOP)


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="looks at processes as Linux shows them"
)
def test_a_runner_ends_with_its_server_even_amid_a_call(tmp_path: Path) -> None:
    server, said = tmp_path / "server.py", tmp_path / "pid"
    server.write_text(
        "import asyncio, pathlib, sys\n"
        "from tests.runner.test_client import LONG, make_slow_service, running\n"
        "from tests.waiting import eventually\n"
        "async def serve():\n"
        "    async with running(make_slow_service) as client:\n"
        "        call = asyncio.ensure_future(client.takes(LONG))\n"
        "        await eventually(lambda: client.status().queue_depth == 1)\n"
        "        part = pathlib.Path(sys.argv[1] + '.part')\n"
        "        part.write_text(str(client.runner_pid))\n"
        "        part.rename(sys.argv[1])\n"
        "        await asyncio.sleep(3600)\n"
        "asyncio.run(serve())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, server, said], env=environment) as process:
        until(said.exists)
        process.kill()
    until(lambda: not is_running(int(said.read_text())))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("CUDA error: an illegal memory access was encountered", True),
        ("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", True),
        ("the fake engine was told to fail", False),
    ],
)
def test_errors_after_which_a_gpu_computes_nothing(message: str, expected: bool) -> None:
    assert is_poison(RuntimeError(message)) is expected


def test_a_lack_of_gpu_memory_is_no_such_error() -> None:
    class OutOfMemoryError(RuntimeError):
        """As torch names it."""

    assert not is_poison(OutOfMemoryError("CUDA out of memory. CUDA error"))
