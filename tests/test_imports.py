"""What is not imported before it is needed; ``bench/lean.py`` measures the times."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "librosa",
    "matplotlib",
    "numba",
    "openvino",
    "pyloudnorm",
    "scipy",
    "torch",
    "transformers",
}
"""Seconds each; a model, or a request that asks for it, waits for them."""

OF_THE_SERVER = HEAVY | {"fastapi", "huggingface_hub", "numpy", "soundfile", "structlog", "uvicorn"}
"""Tenths of seconds; ``--help`` waits for none."""

PRINT_HELP = """
import contextlib, sys
sys.argv = ['loopwright', *{}]
from loopwright.cli.main import app
with contextlib.suppress(SystemExit):
    app()
"""

SERVER = """
import asyncio
from loopwright.cli.serve import start_runner
from loopwright.http.app import create_app
from loopwright.kinds.loop import LoopRequest
from loopwright.settings import Settings
settings = Settings(model="pocket", log_level="error")
create_app(settings, start_runner).openapi()
async def make_a_loop():
    runner = start_runner(settings)
    runner.start()
    await runner.takes(LoopRequest(prompt="drums 140bpm", bars=1, steps=1))
    runner.close()
asyncio.run(make_a_loop())
"""


def imported(script: str) -> set[str]:
    """The packages a new interpreter has after running a script."""
    script += "\nimport json, sys"
    script += "\nprint(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["serve", "--help"]])
def test_help_waits_for_nothing_of_the_server(arguments: list[str]) -> None:
    assert not imported(PRINT_HELP.format(arguments)) & OF_THE_SERVER


def test_the_help_of_generate_waits_for_the_requests_alone() -> None:
    """Its flags are their fields, which need pydantic, and arithmetic that needs numpy."""
    heavy = OF_THE_SERVER - {"numpy"}
    assert not imported(PRINT_HELP.format(["generate", "--help"])) & heavy


def test_the_flags_are_known_without_pydantic() -> None:
    assert "pydantic" not in imported("import loopwright.cli.main")


def test_a_server_that_makes_loops_imports_nothing_heavy_itself() -> None:
    assert not imported(SERVER) & HEAVY


def test_what_is_heavy_is_recognised() -> None:
    """Else the others would pass on an empty list."""
    assert "torch" in imported("import loopwright.model.base")
