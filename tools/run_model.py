"""Run a model's denoising and encoding to their ends, without an engine or a scheduler."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from loopwright.model.base import Denoising, Encoding, Gaussian, LatentModel


class NoText:
    """A text encoder for models whose text states are given, or whose weights alone are needed."""

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Refuse to encode."""
        raise NotImplementedError

    def characters_read(self, text: str) -> int:
        """Refuse to count."""
        raise NotImplementedError


def run_denoising(model: LatentModel, denoising: Denoising) -> Tensor:
    """Evaluate every step in a forward of its own, and return the latents, [channels, frames]."""
    rows = next(denoising)
    while True:
        x, t = torch.stack([row.x for row in rows]), torch.tensor([row.t for row in rows])
        outputs = model.denoise(x, t, [row.conditioning for row in rows]).unbind()
        try:
            rows = denoising.send(outputs)
        except StopIteration as end:
            latents: Tensor = end.value
            return latents


def run_encoding(encoding: Encoding) -> Gaussian:
    """Encode every tile, and return the distribution of the latents."""
    while True:
        try:
            next(encoding)
        except StopIteration as end:
            distribution: Gaussian = end.value
            return distribution
