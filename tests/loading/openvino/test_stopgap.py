"""Torch serves while a model is converted, unless somebody asked for an engine or a precision."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from loopwright.engine.base import ModelKey, Stopgap
from loopwright.loading import stable_audio
from loopwright.loading.backend import BackendOptions
from loopwright.loading.hub import Hub
from loopwright.loading.loader import Loader
from tests.loading.openvino.test_parity import plans
from tests.loading.test_loader import carry_out
from tests.tiny import make_model_folder

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available() or torch.backends.mps.is_available(),
    reason="for a machine without a GPU",
)


class Waited(Exception):
    """The load went on to convert the model."""


def loader(tmp_path: Path, **options: str) -> tuple[Loader, ModelKey]:
    key = ModelKey(str(make_model_folder(tmp_path / "model")))
    return Loader(Hub(()), BackendOptions(**options), 2, key, tmp_path / "cache"), key  # type: ignore[arg-type]


def test_torch_serves_at_once_and_the_conversion_follows(tmp_path: Path) -> None:
    load, key = loader(tmp_path)
    stopgap = load.load_or_stopgap(key)
    assert isinstance(stopgap, Stopgap)
    assert (stopgap.engine.info.engine, stopgap.engine.info.precision) == ("torch", "f32")
    assert not list((tmp_path / "cache").rglob("*.xml"))  # nothing was converted yet
    assert carry_out(stopgap.engine, plans(stopgap.engine)[0]).any()
    engine = stopgap.improve()
    assert (engine.info.engine, engine.info.precision) == ("openvino", "int8")
    assert engine.info.limits == stopgap.engine.info.limits
    assert carry_out(engine, plans(engine)[0]).any()
    again = load.load_or_stopgap(key)
    assert not isinstance(again, Stopgap)
    assert again.info.engine == "openvino"


@pytest.mark.parametrize(
    "options", [{"engine": "openvino"}, {"precision": "int8"}, {"precision": "f32"}]
)
def test_what_was_asked_for_is_waited_for(
    options: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert(*_: object, low_priority: bool = False) -> None:
        assert not low_priority  # somebody waits
        raise Waited

    monkeypatch.setattr(stable_audio, "load_openvino", convert)
    load, key = loader(tmp_path, **options)
    with pytest.raises(Waited):
        load.load_or_stopgap(key)


def test_who_cannot_stay_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(*_: object, low_priority: bool = False) -> None:
        assert not low_priority
        raise Waited

    monkeypatch.setattr(stable_audio, "load_openvino", convert)
    load, key = loader(tmp_path)
    with pytest.raises(Waited):
        load.load(key)
