"""Which engines, devices and precisions go together, and what is said where they don't."""

from __future__ import annotations

import pytest
import torch

from loopwright.errors import InvalidInput
from loopwright.loading import backend
from loopwright.loading.backend import BackendOptions, choose_backend
from loopwright.model.family import Backend

no_gpu = pytest.mark.skipif(
    torch.cuda.is_available() or torch.backends.mps.is_available(),
    reason="for a machine without a GPU",
)


@no_gpu
@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        (BackendOptions(), Backend("openvino", "cpu", "int8")),
        (BackendOptions(precision="f32"), Backend("openvino", "cpu", "f32")),
        (BackendOptions(engine="torch"), Backend("torch", "cpu", "f32")),
        (BackendOptions(engine="openvino", device="cpu"), Backend("openvino", "cpu", "int8")),
    ],
)
def test_what_options_come_to(options: BackendOptions, chosen: Backend) -> None:
    assert choose_backend(options) == chosen


def test_options_that_any_engine_fulfils() -> None:
    assert BackendOptions().allows_any
    assert BackendOptions(device="cpu").allows_any
    assert not BackendOptions(engine="openvino").allows_any
    assert not BackendOptions(precision="f32").allows_any


@no_gpu
def test_without_the_extra_torch_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "has_openvino", lambda: False)
    assert choose_backend(BackendOptions()) == Backend("torch", "cpu", "f32")
    with pytest.raises(
        InvalidInput,
        match=r"engine openvino is not installed.*pip install 'loopwright\[openvino\]'",
    ):
        BackendOptions(engine="openvino")


def test_a_gpu_takes_half_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_backend(BackendOptions()) == Backend("torch", "cuda", "f16")
    assert choose_backend(BackendOptions(precision="f32")) == Backend("torch", "cuda", "f32")
    assert choose_backend(BackendOptions(engine="openvino")) == Backend("openvino", "cpu", "int8")
    with pytest.raises(
        InvalidInput, match=r"precision must be f16 or f32 with torch on cuda, got .int8.$"
    ):
        choose_backend(BackendOptions(precision="int8"))


@no_gpu
@pytest.mark.parametrize(
    ("options", "field", "said"),
    [
        (
            {"engine": "torch", "precision": "int8"},
            "precision",
            "precision must be f32 with torch on cpu, got .int8.$",
        ),
        (
            {"engine": "openvino", "precision": "f16"},
            "precision",
            "must be f32 or int8 with openvino, got .f16.$",
        ),
        ({"device": "cuda"}, "device", "device must be one this machine has"),
        (
            {"engine": "openvino", "device": "cuda"},
            "device",
            "computes on the CPU: device must be auto or cpu, got .cuda.$",
        ),
    ],
)
def test_what_cannot_be(options: dict[str, str], field: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as refused:
        choose_backend(BackendOptions(**options))  # type: ignore[arg-type]
    assert refused.value.field == field
