"""Stage `denoiser`: a rectified flow over the latents, with captions drawn anew every time.

It may start as soon as there are some latents; it takes in the shards that come later.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.latents import CHANNELS, read, shards, statistics
from training.loops import Loop, draw_loop
from training.model.denoiser import Denoiser
from training.stage import Stage, one_thread
from training.words import VOCABULARY_SIZE, caption

SHAPE = {"words": VOCABULARY_SIZE, "channels": CHANNELS, "width": 256, "depth": 6, "heads": 4, "inner": 640, "patch": 2}
ROWS = 16
STEPS = 6000
RATE = 1.2e-3
LENGTHS, LENGTH_SHARES = (128, 192, 256), (0.75, 0.15, 0.1)
"""Latent frames learnt from, always from the loop's beginning: shorter ones are quicker, and a loop is rarely longer."""
LOOK_EVERY = 100
"""Steps between looks for new shards."""


class Latents:
    """All latents there are so far, normalised; ``look`` again for more."""

    def __init__(self) -> None:
        self.loops: list[Loop] = []
        self.latents: list[NDArray[np.float16]] = []
        self.seen: set[str] = set()
        self.look()
        self.mean, self.spread = statistics()

    def look(self) -> None:
        """Take in new shards; not the first, which is held out."""
        for path in shards():
            if path.name not in self.seen and path.stem != "00000":
                self.seen.add(path.name)
                numbers, latents = read(path)
                self.loops += [draw_loop(int(number)) for number in numbers]
                self.latents += list(latents)

    def batch(self, drawn: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Latents [ROWS, frames, CHANNELS], tokens [ROWS, MAX_TOKENS], tempi [ROWS]."""
        chosen = drawn.integers(len(self.loops), size=ROWS)
        frames = drawn.choice(LENGTHS, p=LENGTH_SHARES)
        latents = torch.from_numpy(np.stack([self.latents[one][:frames] for one in chosen])).float()
        tokens = torch.tensor([caption(self.loops[one], drawn) for one in chosen])
        bpm = torch.tensor([self.loops[one].grid.bpm for one in chosen])
        return (latents - self.mean) / self.spread, tokens, bpm


def flow_loss(model: Denoiser, latents: Tensor, tokens: Tensor, bpm: Tensor, drawn: np.random.Generator) -> Tensor:
    """Mean square of the velocity's error, [rows]. Times are logit-normal, mostly noisy: what is played is decided there."""
    t = torch.sigmoid(torch.from_numpy(drawn.standard_normal(len(latents))).float() * 1.2 + 1.0)
    noise = torch.from_numpy(drawn.standard_normal(latents.shape, dtype=np.float32))
    mixed = (1 - t)[:, None, None] * latents + t[:, None, None] * noise
    velocity = model(mixed, t, tokens, bpm)
    squares: Tensor = (velocity - (noise - latents)).square().mean((1, 2))
    return squares


def main() -> None:
    """Train it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--steps", type=int, default=STEPS)
    chosen = options.parse_args()
    one_thread(0)
    data, model = Latents(), Denoiser(**SHAPE)
    stage = Stage("denoiser", model, chosen.steps, RATE, weight_decay=0.01, average=0.998)

    def loss_of(step: int) -> tuple[Tensor, Mapping[str, float]]:
        if step % LOOK_EVERY == 0:
            data.look()
        drawn = np.random.default_rng([8, step])
        loss = flow_loss(model, *data.batch(drawn), drawn).mean()
        return loss, {"loops": float(len(data.loops))}

    stage.run(loss_of)


if __name__ == "__main__":
    main()
