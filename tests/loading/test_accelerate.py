"""What is done for GPUs, tried on a CPU."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from tools.run_model import NoText
from torch import Tensor

from loopwright.loading.accelerate import Compiled, accelerate, padded
from tests.model.golden import GOLDEN, golden, load_folder, relative_error


def inputs(rows: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    made = golden("saos-tiny")
    positive, _ = made.model.conditioning_pair(made.conditions(negative=True))
    x = torch.randn(
        rows,
        made.model.spec.channels,
        made.model.spec.frames,
        generator=torch.Generator().manual_seed(0),
    )
    pairs = torch.stack([positive.keys_values] * rows, dim=2)  # type: ignore[attr-defined]
    return x, torch.linspace(0.9, 0.1, rows), pairs, torch.stack([positive.global_cond] * rows)  # type: ignore[attr-defined]


@torch.inference_mode()
@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_compiled_rows_are_those_of_the_module(rows: int) -> None:
    denoiser = golden("saos-tiny").model.denoiser
    compiled = Compiled(denoiser, "eager")
    assert relative_error(compiled(*inputs(rows)), denoiser(*inputs(rows))) < 1e-5


@torch.inference_mode()
def test_rows_are_padded_to_few_sizes() -> None:
    seen: list[int] = []

    class Counted(torch.nn.Module):
        def forward(self, x: Tensor, *others: Tensor) -> Tensor:
            return x * 2

    compiled = Compiled(Counted(), "eager")
    plain = compiled._compiled
    assert plain is not None

    def counted(x: Tensor, *others: Tensor) -> Tensor:
        seen.append(len(x))
        return plain(x, *others)

    compiled._compiled = counted
    for rows in range(1, 9):
        assert len(compiled(*inputs(rows))) == rows
    assert set(seen) == {1, 2, 4, 8}
    assert [padded(rows) for rows in (1, 2, 3, 9)] == [1, 2, 4, 16]


@torch.inference_mode()
def test_what_cannot_be_compiled_is_computed_as_it_is() -> None:
    denoiser = golden("saos-tiny").model.denoiser

    def no_compiler(module: object, examples: Sequence[object]) -> object:
        raise RuntimeError("there is no compiler here")

    compiled = Compiled(denoiser, no_compiler)  # type: ignore[arg-type]
    assert relative_error(compiled(*inputs(2)), denoiser(*inputs(2))) == 0
    assert compiled._compiled is None


@torch.inference_mode()
def test_half_precision_stays_near() -> None:
    exact = golden("saos-tiny").model
    half = load_folder(GOLDEN / "saos-tiny", NoText())
    accelerate(half, torch.device("cpu"), "f16")
    assert {parameter.dtype for parameter in half.denoiser.parameters()} == {torch.float16}
    x, t, pairs, global_cond = inputs(2)
    made = half.predict(x, t, pairs, global_cond)
    assert made.dtype == torch.float32
    assert relative_error(made, exact.predict(x, t, pairs, global_cond)) < 0.02
    latents = torch.randn(1, exact.spec.channels, 8)
    audio = half.autoencoder.decode_fine(half.autoencoder.decode_coarse(latents))
    assert audio.dtype == torch.float32
    assert (
        relative_error(
            audio, exact.autoencoder.decode_fine(exact.autoencoder.decode_coarse(latents))
        )
        < 0.05
    )
