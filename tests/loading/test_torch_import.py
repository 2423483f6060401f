"""Torch imported beside a server that answers, in an interpreter of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loopwright.loading.torch_import import TURNS_BEFORE_SLEEP


def printed(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_torch_is_imported_whole_and_the_collector_goes_on() -> None:
    script = """
import gc, sys, threading
from loopwright.loading.torch_import import import_torch
assert "torch" not in sys.modules
thread = threading.Thread(target=import_torch)
thread.start(); thread.join()
frozen = gc.get_freeze_count()
import_torch()
import torch
print(torch.ones(3).sum().item(), gc.isenabled(), frozen > 0, gc.get_freeze_count() == frozen)
"""
    assert printed(script) == "3.0 True True True"


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
def test_its_libraries_are_mapped_before_the_import() -> None:
    script = """
import sys
from loopwright.loading import torch_import
torch_import._map_libraries()
print("libtorch_cpu" in open("/proc/self/maps").read(), "torch" in sys.modules)
"""
    assert printed(script) == "True False"


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="elsewhere torch has another library of threads"
)
@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({}, f"GOMP_SPINCOUNT = '{TURNS_BEFORE_SLEEP}'"),
        ({"GOMP_SPINCOUNT": "7"}, "GOMP_SPINCOUNT = '7'"),
        ({"OMP_WAIT_POLICY": "passive"}, "GOMP_SPINCOUNT = '0'"),
    ],
)
def test_threads_that_wait_leave_the_cores_to_others(wish: dict[str, str], said: str) -> None:
    script = "from loopwright.loading.torch_import import import_torch; import_torch()"
    others = {
        name: value
        for name, value in os.environ.items()
        if name not in {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}
    }
    environment = {**others, "OMP_DISPLAY_ENV": "verbose", **wish}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    assert said in done.stderr
