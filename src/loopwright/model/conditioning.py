"""From hidden states of words and from numbers to what the denoiser is conditioned on.

Knows: its own mathematics; the order in which conditioners are put together. Does not know: tokenising, text encoders.
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
    """What was said, in numbers.

    context: [b, m, c], what cross-attention looks at; mask: [b, m], which of it is meant; global_cond: [b, global width].
    """

    context: Tensor
    mask: Tensor
    global_cond: Tensor

    def as_negative(self) -> Tensor:
        """The context with everything that is not meant set to 0, as guidance takes it: [b, m, c]."""
        return torch.where(self.mask[..., None], self.context, 0.0)


class NumberEmbedding(nn.Module):
    """A number as itself and as sines and cosines of learned frequencies, projected."""

    def __init__(self, config: NumberConfig, width: int) -> None:
        super().__init__()
        self.minimum, self.maximum = config.minimum, config.maximum
        self.frequencies = nn.Parameter(torch.randn(FREQUENCIES))
        self.project = nn.Linear(2 * FREQUENCIES + 1, width)

    def forward(self, value: Tensor) -> Tensor:
        """A number, [], clamped to its bounds -> [c]."""
        share = (value.clamp(self.minimum, self.maximum) - self.minimum) / (
            self.maximum - self.minimum
        )
        angles = 2 * math.pi * share * self.frequencies
        features = torch.cat([share[None], angles.sin(), angles.cos()])
        embedded: Tensor = self.project(features)
        return embedded


class Conditioner(nn.Module):
    """All conditioners of a model."""

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
        """states: [b, n, hidden width], mask: [b, n], the same numbers ([] each) for all -> Conditions."""
        rows = states.shape[0]
        text = self.text(states) * mask[..., None]
        embedded = {
            name: embed(numbers[name]).expand(rows, 1, -1) for name, embed in self.numbers.items()
        }
        parts = [text if name == self.text_name else embedded[name] for name in self.context_names]
        ones = mask.new_ones(rows, 1)
        masks = [mask if name == self.text_name else ones for name in self.context_names]
        global_cond = torch.cat([embedded[name][:, 0] for name in self.global_names], dim=-1)
        return Conditions(torch.cat(parts, dim=1), torch.cat(masks, dim=1), global_cond)
