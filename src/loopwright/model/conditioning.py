"""The conditioner: from hidden states of words and numbers to what the denoiser is conditioned on.

Knows: its own mathematics; the order in which conditioners are put together.
Does not know: tokenising, text encoders.
Shapes: b texts, n tokens of a text, m context tokens (n + numbers), c the width conditioners share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from loopwright.model.config import ConditioningConfig, NumberConfig

FREQUENCIES = 128


@dataclass(frozen=True)
class Conditions:
    """What texts and numbers condition the denoiser on.

    Attributes:
        context: What cross-attention looks at, [b, m, c].
        mask: Which tokens of the context are words or numbers, not padding, [b, m], bool.
        global_cond: The global conditioning, [b, global width].
    """

    context: Tensor
    mask: Tensor
    global_cond: Tensor

    def as_negative(self) -> Tensor:
        """Return the context with padding set to 0, as a negative prompt's is, [b, m, c]."""
        return torch.where(self.mask[..., None], self.context, 0.0)


class NumberEmbedding(nn.Module):
    """A number as itself and as sines and cosines of learned frequencies, projected.

    Args:
        config: The number's bounds.
        width: Width of the embedding, c.
    """

    def __init__(self, config: NumberConfig, width: int) -> None:
        super().__init__()
        self.minimum, self.maximum = config.minimum, config.maximum
        self.frequencies = nn.Parameter(torch.randn(FREQUENCIES))
        self.project = nn.Linear(2 * FREQUENCIES + 1, width)

    def forward(self, value: Tensor) -> Tensor:
        """Embed a number [], clamped to its bounds -> [c]."""
        clamped = value.clamp(self.minimum, self.maximum)
        share = (clamped - self.minimum) / (self.maximum - self.minimum)
        angles = 2 * math.pi * share * self.frequencies
        features = torch.cat([share[None], angles.sin(), angles.cos()])
        embedded: Tensor = self.project(features)
        return embedded


class Conditioner(nn.Module):
    """All conditioners of a model.

    Args:
        config: Which there are, and in which order.
    """

    def __init__(self, config: ConditioningConfig) -> None:
        super().__init__()
        self.context_names, self.global_names = config.context_names, config.global_names
        self.text_name = config.text.name
        self.text = (
            nn.Linear(config.text.hidden_width, config.width)
            if config.text.projected
            else nn.Identity()
        )
        self.numbers = nn.ModuleDict(
            {number.name: NumberEmbedding(number, config.width) for number in config.numbers}
        )

    def forward(self, states: Tensor, mask: Tensor, numbers: Mapping[str, Tensor]) -> Conditions:
        """Put texts and numbers together.

        Args:
            states: Hidden states of the texts, [b, n, hidden width].
            mask: Which of them are words, [b, n], bool.
            numbers: By name, [] each; the same for all texts.
        """
        batch = states.shape[0]
        # padding counts as zeros: the denoiser is given no mask
        tokens = {self.text_name: self.text(states) * mask[..., None]}
        masks = {self.text_name: mask}
        for name, embed in self.numbers.items():
            tokens[name] = embed(numbers[name]).expand(batch, 1, -1)
            masks[name] = mask.new_ones(batch, 1)
        context = torch.cat([tokens[name] for name in self.context_names], dim=1)
        context_mask = torch.cat([masks[name] for name in self.context_names], dim=1)
        global_cond = torch.cat([tokens[name][:, 0] for name in self.global_names], dim=-1)
        return Conditions(context, context_mask, global_cond)
