"""A model in torch made quick on its device: half precision on a GPU, compiled with CUDA graphs on CUDA, tiles a core on a CPU.

Knows: what each device is good at. Does not know: plans, requests. All of it can be tried on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
import torch
from torch import Tensor, nn

from loopwright.engine.base import Precision
from loopwright.model.stable_audio import StableAudioModel
from loopwright.model.tile_pool import TilePool

MOST_ROWS_CPU, MOST_ROWS_GPU = 8, 64
MEMORY_SHARE = 0.5
"""Of the GPU's free memory that a batch may take; the rest is for decoding."""

log = structlog.get_logger()


def accelerated(
    model: StableAudioModel, device: torch.device, precision: Precision
) -> StableAudioModel:
    """The same model in its device's numbers (texts are always read in float32) and, on a CPU, with a tile a core."""
    if precision == "f16":
        model.denoiser.half()
        model.autoencoder.half()
    if device.type == "cpu":
        model.tile_pool = TilePool(torch.get_num_threads())
    return model


class Compiled:
    """A module compiled when it is first called, once for each number of rows (padded to powers of two).

    Where it cannot be compiled, it is called as it is, and the log says why. backend: torch's; inductor with CUDA graphs.
    """

    def __init__(self, module: nn.Module, backend: str = "inductor") -> None:
        self._module = module
        options: dict[str, Any] = (
            {"mode": "reduce-overhead"} if backend == "inductor" else {"backend": backend}
        )
        self._compiled: Callable[..., Tensor] | None = torch.compile(
            module, dynamic=False, **options
        )

    def __call__(self, x: Tensor, t: Tensor, keys_values: Tensor, global_cond: Tensor) -> Tensor:
        """As ``DiffusionTransformer.forward``; the rows beyond those asked for are copies of the last."""
        if self._compiled is None:
            return self._plain(x, t, keys_values, global_cond)
        rows = x.shape[0]
        index = torch.arange(padded(rows), device=x.device).clamp(max=rows - 1)
        try:
            # a copy, since the graph's next replay writes over what this one returns
            return self._compiled(x[index], t[index], keys_values[:, :, index], global_cond[index])[
                :rows
            ].clone()
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            log.warning(
                "the denoiser cannot be compiled here; it is computed as it is",
                reason=str(error).split("\n")[0],
            )
            self._compiled = None
            return self._plain(x, t, keys_values, global_cond)

    def _plain(self, *inputs: Tensor) -> Tensor:
        out: Tensor = self._module(*inputs)
        return out


def padded(rows: int) -> int:
    """The next power of two: as many graphs are captured as there are sizes."""
    return 1 << (rows - 1).bit_length()


def most_rows(device: torch.device, evaluate: Callable[[int], object]) -> int:
    """How many rows memory allows in one forward. evaluate: so many rows."""
    if device.type != "cuda":
        return MOST_ROWS_CPU if device.type == "cpu" else MOST_ROWS_GPU
    evaluate(1)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    evaluate(1)
    bytes_a_row = max(torch.cuda.max_memory_allocated(device) - before, 1)
    free, _ = torch.cuda.mem_get_info(device)
    return int(min(max(free * MEMORY_SHARE // bytes_a_row, 1), MOST_ROWS_GPU))
