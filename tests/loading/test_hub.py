"""The real hub client against a small local hub."""

from __future__ import annotations

import errno
from pathlib import Path

import huggingface_hub.constants
import pytest

from loopwright.errors import InvalidInput, LoopwrightError, ModelUnavailable, NotFound
from loopwright.loading import hub as module
from loopwright.loading.hub import Hub
from loopwright.loading.model_source import fetch_model, fetch_text_encoder, is_cached
from tests.hub_server import TOKEN, HubServer
from tests.tiny import make_model_folder, make_text_encoder

REPO = "someone/a-model"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library waits longer and longer between its tries."""
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)


@pytest.fixture
def published(hub_server: HubServer, tmp_path: Path) -> HubServer:
    hub_server.publish(REPO, make_model_folder(tmp_path / "model", text_encoder=False))
    return hub_server


def test_a_model_is_downloaded_once(published: HubServer) -> None:
    hub = Hub({REPO})
    assert not is_cached(hub, REPO)
    files = fetch_model(hub, REPO)
    assert files.config.name == "model_config.json"
    assert files.weights.stat().st_size > 1_000_000
    assert is_cached(hub, REPO)
    count = len(published.downloads)
    assert fetch_model(hub, REPO) == files
    assert len(published.downloads) == count == 2


def test_a_ckpt_is_taken_where_there_are_no_safetensors(published: HubServer) -> None:
    published.repos[REPO]["model.ckpt"] = published.repos[REPO].pop("model.safetensors")
    assert fetch_model(Hub({REPO}), REPO).weights.name == "model.ckpt"


def test_offline_it_works_from_the_cache(
    published: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub({REPO})
    files = fetch_model(hub, REPO)
    count = len(published.downloads)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert fetch_model(hub, REPO) == files
    assert len(published.downloads) == count
    with pytest.raises(ModelUnavailable, match="HF_HUB_OFFLINE forbids"):
        hub.fetch(REPO, "other.ckpt")


def test_a_download_that_broke_off_does_not_count_as_complete(published: HubServer) -> None:
    published.broken.add("model.safetensors")
    hub = Hub({REPO})
    with pytest.raises(LoopwrightError):
        fetch_model(hub, REPO)
    assert not is_cached(hub, REPO)
    published.broken.clear()
    assert fetch_model(hub, REPO).weights.read_bytes() == published.repos[REPO]["model.safetensors"]


@pytest.mark.parametrize(
    ("trouble", "token", "part"),
    [
        ("gated", None, "needs a token: accept its licence at"),
        ("refused", TOKEN, "has not accepted the licence of someone/a-model: open"),
    ],
)
def test_a_licence_is_explained(
    published: HubServer, trouble: str, token: str | None, part: str
) -> None:
    getattr(published, trouble).add(REPO)
    with pytest.raises(ModelUnavailable, match=part) as caught:
        fetch_model(Hub({REPO}, token), REPO)
    assert f"{published.url}/{REPO}" in caught.value.message


def test_the_token_opens_a_gated_model(published: HubServer) -> None:
    published.gated.add(REPO)
    assert fetch_model(Hub({REPO}, TOKEN), REPO).config.is_file()


@pytest.mark.usefixtures("hub_server")
def test_an_unknown_repository() -> None:
    with pytest.raises(NotFound, match="there is no repository someone/gone") as caught:
        fetch_model(Hub({"*"}), "someone/gone")
    assert "hint" in caught.value.details


def test_a_file_that_is_not_there(published: HubServer) -> None:
    with pytest.raises(NotFound, match=r"has no file other\.ckpt"):
        Hub({REPO}).fetch(REPO, "other.ckpt")
    assert published.downloads == []


@pytest.mark.usefixtures("hub_server")
def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(
        huggingface_hub.constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}",
    )
    with pytest.raises(ModelUnavailable, match=r"127\.0\.0\.1:9 cannot be reached"):
        fetch_model(Hub({REPO}), REPO)


def test_a_full_disk(published: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "hf_hub_download", full)
    with pytest.raises(ModelUnavailable, match="is full; make room"):
        fetch_model(Hub({REPO}), REPO)
    assert published.downloads == []


@pytest.mark.parametrize(
    "name", ["../../etc", "a/b/c", "https://evil.example/x", "a b/c", "", "a/..", "nobody"]
)
def test_names_are_checked_before_anything_is_touched(hub_server: HubServer, name: str) -> None:
    with pytest.raises(InvalidInput, match="must be a hub repository"):
        Hub({"*"}).check_name(name)
    assert hub_server.downloads == []


def test_only_allowed_repositories(published: HubServer) -> None:
    with pytest.raises(InvalidInput, match="must be a repository this server allows") as caught:
        fetch_model(Hub({"stabilityai/stable-audio-open-small"}), REPO)
    assert caught.value.code == "repo_not_allowed"
    assert published.downloads == []


def test_a_text_encoder_is_fetched_whole(hub_server: HubServer, tmp_path: Path) -> None:
    make_text_encoder(tmp_path)
    hub_server.publish("t5-small", tmp_path)
    folder = fetch_text_encoder(Hub(()), "t5-small")
    assert (folder / "tokenizer.json").is_file()
    del hub_server.repos["t5-small"]["model.safetensors"]
    hub_server.publish("t5-large", tmp_path)
    del hub_server.repos["t5-large"]["model.safetensors"]
    with pytest.raises(ModelUnavailable, match=r"model\.safetensors is missing"):
        fetch_text_encoder(Hub(()), "t5-large")
