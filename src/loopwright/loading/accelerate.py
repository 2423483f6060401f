"""A Stable Audio model in torch made quick on its device.

Half precision on a GPU, compiled with CUDA graphs on CUDA, a tile per core on a CPU. All of it can
be tried on a CPU. Knows: what each device is good at. Does not know: plans, requests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
import torch
from torch import Tensor, nn

from loopwright.model.family import Precision
from loopwright.model.stable_audio import StableAudioModel
from loopwright.model.tile_pool import TilePool

log = structlog.get_logger()


def accelerate(model: StableAudioModel, device: torch.device, precision: Precision) -> None:
    """Cast a model to its device's precision and, on a CPU, give it a tile per core.

    The text encoder and the conditioner stay in float32.
    """
    if precision == "f16":
        model.denoiser.half()
        model.autoencoder.half()
    if device.type == "cpu":
        model.tile_pool = TilePool(torch.get_num_threads())


class Compiled:
    """A denoiser compiled when it is first called, once per batch size, padded to a power of two.

    Where it cannot be compiled, it is called as it is, and the log says why.

    Args:
        module: The denoiser.
        backend: Torch's compiler; inductor is used with CUDA graphs.
    """

    def __init__(self, module: nn.Module, backend: str = "inductor") -> None:
        self._module = module
        options: dict[str, Any] = {"backend": backend}
        if backend == "inductor":
            options = {"mode": "reduce-overhead"}
        self._compiled: Callable[..., Tensor] | None = torch.compile(
            module, dynamic=False, **options
        )

    def __call__(self, x: Tensor, t: Tensor, keys_values: Tensor, global_cond: Tensor) -> Tensor:
        """See ``DiffusionTransformer.forward``; rows that pad the batch are copies of the last."""
        if self._compiled is None:
            return self._call_module(x, t, keys_values, global_cond)
        rows = x.shape[0]
        # any values would do for the rows that pad; those of the last row are at hand
        index = torch.arange(padded(rows), device=x.device).clamp(max=rows - 1)
        batch = x[index], t[index], keys_values[:, :, index], global_cond[index]
        try:
            # a copy, since the graph's next replay writes over what this one returns
            return self._compiled(*batch)[:rows].clone()
        except torch.OutOfMemoryError:  # which says nothing about the compiler
            raise
        except Exception as error:  # whatever a compiler, a driver or a missing one raises
            log.warning(
                "the denoiser cannot be compiled here; it is computed as it is",
                reason=str(error).split("\n")[0],
            )
            self._compiled = None
            return self._call_module(x, t, keys_values, global_cond)

    def _call_module(self, *inputs: Tensor) -> Tensor:
        out: Tensor = self._module(*inputs)
        return out


def padded(rows: int) -> int:
    """Return the next power of two: as many graphs are captured as there are sizes."""
    return 1 << (rows - 1).bit_length()
