"""Which model a server runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopwright.engine.base import ModelKey
from loopwright.errors import InvalidInput
from loopwright.loading.hub import Hub
from loopwright.loading.model_source import fetch_model
from loopwright.loading.selection import select_model
from loopwright.settings import BASE_REPO
from tests.hub_server import HubServer
from tests.tiny import make_model_folder


@pytest.fixture
def hub(hub_server: HubServer, tmp_path: Path) -> Hub:
    hub_server.publish(BASE_REPO, make_model_folder(tmp_path / "base", text_encoder=False))
    return Hub({BASE_REPO})


def test_pocket_where_there_is_nothing_else(hub: Hub) -> None:
    selection = select_model("auto", hub)
    assert selection.key == ModelKey("pocket")
    assert "not in the hub's cache and HF_TOKEN is not set" in selection.reason


def test_the_big_one_with_a_token_or_from_the_cache(hub: Hub) -> None:
    assert select_model("auto", Hub({BASE_REPO}, "hf_x")).key == ModelKey(BASE_REPO)
    fetch_model(hub, BASE_REPO)
    assert select_model("auto", hub).key == ModelKey(BASE_REPO)


def test_what_is_asked_for(hub: Hub, tmp_path: Path) -> None:
    assert select_model("pocket", hub).key == ModelKey("pocket")
    assert select_model(BASE_REPO, hub).key == ModelKey(BASE_REPO)
    assert select_model(str(tmp_path / "base"), hub).key == ModelKey(
        str((tmp_path / "base").resolve())
    )


@pytest.mark.parametrize("setting", ["/nowhere", "./nowhere", "no model", "../x"])
def test_what_can_be_no_model(hub: Hub, setting: str) -> None:
    with pytest.raises(InvalidInput, match="model must be"):
        select_model(setting, hub)


def test_a_folder_without_a_model(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="which has none"):
        select_model(str(tmp_path / "empty"), hub)
