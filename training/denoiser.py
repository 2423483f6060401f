"""Stage `denoiser`: trains a rectified flow on the latents, with a new caption at each use.

It may start as soon as there are a few latents; it takes in shards that are written later.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from loopwright.model.pocket.denoiser import Denoiser
from training.drum_codec import DRUM_CHANNELS
from training.latents import CHANNELS, read, shards, statistics
from training.loops import Loop, draw_loop
from training.stage import Stage, scaled, start_from, use_one_thread
from training.words import VOCABULARY_SIZE, caption

SHAPE = {
    "words": VOCABULARY_SIZE,
    "channels": CHANNELS,
    "drum_channels": DRUM_CHANNELS,
    "width": 256,
    "depth": 6,
    "heads": 4,
    "inner": 640,
    "patch": 2,
}
BATCH_SIZE = 16
STEPS = scaled(20000)
RATE = 1.2e-3
LENGTHS, LENGTH_SHARES = (128, 192, 256), (0.75, 0.15, 0.1)
"""Latent frames of an example, from the loop's beginning: short ones train faster, and most loops
are short."""
MIN_LOSS_TIME = 0.1
"""The loss divides by the squared time, but by no less than this one's."""
LOG_SNR = (-6.5, 3.0)
"""Range of log signal-to-noise in training: that of ``log_snr_times``, and a little more."""
CHECK_EVERY = 100
"""Steps between two checks for new shards."""


class Latents:
    """All latents written so far, normalised; ``load_new`` adds later ones."""

    def __init__(self) -> None:
        self.loops: list[Loop] = []
        self.latents: list[NDArray[np.float16]] = []
        self.seen: set[str] = set()
        self.load_new()
        self.mean, self.spread = statistics()

    def load_new(self) -> None:
        """Load new shards, except the first, which is held out."""
        for path in shards():
            if path.name not in self.seen and path.stem != "00000":
                self.seen.add(path.name)
                numbers, latents = read(path)
                self.loops += [draw_loop(int(number)) for number in numbers]
                self.latents += list(latents)

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Draw a batch.

        Returns:
            Latents, [BATCH_SIZE, frames, CHANNELS]; tokens, [BATCH_SIZE, MAX_TOKENS]; tempi in bpm,
            [BATCH_SIZE].
        """
        chosen = rng.integers(len(self.loops), size=BATCH_SIZE)
        frames = rng.choice(LENGTHS, p=LENGTH_SHARES)
        rows = np.stack([self.latents[index][:frames] for index in chosen])
        latents = torch.from_numpy(rows).float()
        tokens = torch.tensor([caption(self.loops[index], rng) for index in chosen])
        bpm = torch.tensor([self.loops[index].grid.bpm for index in chosen])
        return (latents - self.mean) / self.spread, tokens, bpm


def flow_loss(
    model: Denoiser, latents: Tensor, tokens: Tensor, bpm: Tensor, rng: np.random.Generator
) -> Tensor:
    """Compute the mean squared error of the velocity, [batch].

    Times are spaced as a sampler's steps are: half of them are nearly noise, where the model
    decides what plays.
    """
    t = torch.sigmoid(-torch.from_numpy(rng.uniform(*LOG_SNR, len(latents))).float())
    noise = torch.from_numpy(rng.standard_normal(latents.shape, dtype=np.float32))
    mixed = (1 - t)[:, None, None] * latents + t[:, None, None] * noise
    error = (model.predict_clean(mixed, t, tokens, bpm) - latents).square().mean((1, 2))
    squares: Tensor = error / t.clamp(min=MIN_LOSS_TIME).square()
    return squares


def main() -> None:
    """Train the denoiser."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--steps", type=int, default=STEPS)
    options.add_argument("--rate", type=float, default=RATE, help="the learning rate's peak")
    options.add_argument(
        "--start", type=Path, help="an earlier checkpoint to start from, as far as it fits"
    )
    chosen = options.parse_args()
    use_one_thread(0)
    data, model = Latents(), Denoiser(**SHAPE)
    if chosen.start:
        start_from(model, chosen.start)
    stage = Stage("denoiser", model, chosen.steps, chosen.rate, weight_decay=0.01, average=0.998)

    def loss_of(step: int) -> tuple[Tensor, Mapping[str, float]]:
        if step % CHECK_EVERY == 0:
            data.load_new()
        rng = np.random.default_rng([8, step])
        loss = flow_loss(model, *data.batch(rng), rng).mean()
        return loss, {"loops": float(len(data.loops))}

    stage.run(loss_of)


if __name__ == "__main__":
    main()
