"""What all tests stand on: no settings from outside, and a hub of our own.

The hub's address is set before the hub's library is imported.
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from loopwright.serving.active_run import ActiveRun
from loopwright.serving.scheduler import Scheduler
from loopwright.settings import Settings
from loopwright.system.logs import configure_logs
from tests.hub_server import HubServer
from tests.server import serving

if TYPE_CHECKING:
    from loopwright.generation.service import Service

# each process computes on one core: others would only wait for the other processes' work
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
configure_logs("warning", "console")
# an example takes as long as the machine lets it
hypothesis_settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("any machine")
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


LONG_FILES = frozenset(
    (
        "test_silence.py",
        "test_sound.py",
        "test_docs.py",
        "test_end_to_end.py",
        "test_cli.py",
        "test_conversion.py",
        "test_parity.py",
        "test_editing.py",
        "test_stopgap.py",
        "test_nonsense.py",
        "test_inputs.py",
        "test_api.py",
        "test_models.py",
        "test_stopping.py",
    )
)
"""Files of tests that take longest, by CPU time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first, so that no process is left with one when the others are done."""
    items.sort(key=lambda item: item.path.name not in LONG_FILES)


@pytest.fixture(autouse=True)
def _own_torch_state() -> Iterator[None]:
    """Give each test the same random numbers and threads of torch, in any company."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def hub_server() -> Iterator[HubServer]:
    """An empty hub and an empty cache of it."""
    _hub.reset()
    shutil.rmtree(_hub_home, ignore_errors=True)
    yield _hub
    _hub.reset()
    shutil.rmtree(_hub_home, ignore_errors=True)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[ActiveRun]:
    """Every run that is submitted to a scheduler, in order."""
    found, submit = list[ActiveRun](), Scheduler.submit

    def noting(self: Scheduler, *args: Any, **more: Any) -> ActiveRun:
        found.append(submit(self, *args, **more))
        return found[-1]

    monkeypatch.setattr(Scheduler, "submit", noting)
    return found


@pytest.fixture(scope="session")
def pocket() -> Iterator[Service]:
    """A service with the embedded model."""
    from loopwright.generation.assemble import assemble  # imports the hub's library

    service = assemble(Settings(model="pocket"))
    yield service
    service.close()


@pytest.fixture(scope="session")
def server() -> Iterator[httpx.Client]:
    """A client of a server."""
    with serving() as client:
        yield client


def pytest_collection_finish() -> None:
    """Take what is there for good out of collections: a model that is closed asks for one."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Remove the hub's cache."""
    shutil.rmtree(_hub_home, ignore_errors=True)
