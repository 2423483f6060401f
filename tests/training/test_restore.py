"""Every stage's checkpoint can be restored from committed files, and exports to what ships."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training.export import SHIPPED, renamed, silent_latents
from training.latents import Teachers, statistics
from training.loops import draw_loop
from training.restore import main as restore


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in ("stage", "latents", "restore"):
        monkeypatch.setattr(f"training.{module}.STATE", tmp_path)
    restore()
    return tmp_path


def test_restored_weights_equal_the_shipped_ones(state: Path) -> None:
    with resources.as_file(
        resources.files("loopwright.weights") / "pocket" / "model.safetensors"
    ) as path:
        shipped = load_file(path)
    mean, spread = statistics()
    silence = (silent_latents() - mean) / spread
    exported = {"latent_mean": mean, "latent_spread": spread} | renamed(SHIPPED)
    assert torch.allclose(shipped.pop("latent_silence").float(), silence, atol=0.02)
    assert exported.keys() == shipped.keys()
    assert all(torch.equal(exported[name].half(), shipped[name]) for name in shipped)


def test_existing_checkpoints_stay(state: Path) -> None:
    (state / "encoder.pt").write_bytes(b"mine")
    restore()
    assert (state / "encoder.pt").read_bytes() == b"mine"


def test_the_teachers_make_latents_in_the_denoisers_scale(state: Path) -> None:
    mean, spread = statistics()
    latents = (Teachers().latents(draw_loop(9_000_001, "mix")) - mean) / spread
    assert torch.isfinite(latents).all()
    assert 0.5 < float(latents.std()) < 2
