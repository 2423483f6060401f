"""What all tests stand on: a hub of our own, set before the hub's library is imported, and no settings from outside."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopwright.system.logs import configure_logs
from tests.hub_server import HubServer

configure_logs("warning", "console")
_hub = HubServer()
_hub_home = Path(tempfile.mkdtemp(prefix="hub-home-"))
os.environ["HF_ENDPOINT"] = _hub.url
os.environ["HF_HOME"] = str(_hub_home)
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ["HF_HUB_DISABLE_XET"] = "1"
for name in list(os.environ):
    if name.startswith("LOOPWRIGHT_") or name in {
        "HF_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
        "HF_HUB_OFFLINE",
    }:
        del os.environ[name]


@pytest.fixture
def hub_server() -> Iterator[HubServer]:
    """An empty hub and an empty cache of it."""
    _hub.reset()
    shutil.rmtree(_hub_home, ignore_errors=True)
    yield _hub
    _hub.reset()
    shutil.rmtree(_hub_home, ignore_errors=True)
