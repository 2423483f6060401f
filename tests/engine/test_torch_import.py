"""Torch imported beside a server that answers, in an interpreter of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def printed(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_torch_is_imported_whole_and_the_collector_goes_on() -> None:
    script = """
import gc, sys, threading
from loopwright.engine.torch_import import import_torch
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
from loopwright.engine import torch_import
torch_import._map_libraries()
print("libtorch_cpu" in open("/proc/self/maps").read(), "torch" in sys.modules)
"""
    assert printed(script) == "True False"
