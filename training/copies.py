"""Whether the denoiser copies: distances of generated and held-out loops to training loops."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from loopwright.model.pocket.model import load_pocket_from
from training.latents import read, shards, statistics
from training.stage import STATE
from training.takes import FRAMES, generate, prompted

BINS = 43
"""Bins over time in which latents are averaged, so that a small shift in time hides no copy."""


def describe(latents: Tensor) -> NDArray[np.float32]:
    """Average normalised latents [frames, channels] in BINS bins over time, flattened."""
    bins = latents[:FRAMES].reshape(BINS, -1, latents.shape[-1]).mean(1)
    return bins.flatten().numpy()


def nearest(rows: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the distance of each row to the nearest of the others, as a root mean square."""
    distances = [np.sqrt(((row - others) ** 2).mean(1)).min() for row in rows]
    return np.array(distances, np.float32)


@torch.inference_mode()
def main() -> None:
    """Print the smallest and the median distance of both."""
    model, (mean, spread) = load_pocket_from(STATE / "new"), statistics()
    held_out, *training = [
        np.stack(
            [describe((torch.from_numpy(row).float() - mean) / spread) for row in read(path)[1]]
        )
        for path in shards()
    ]
    no_sources = np.zeros((0, 2, 0), np.float32)
    generated = np.stack(
        [describe(generate(model, take, no_sources).T) for take in list(prompted())[::2]]
    )
    known = np.concatenate(training)
    for name, rows in (("held out", held_out), ("generated", generated)):
        found = nearest(rows, known)
        print(
            f"{name}: distance to the nearest training loop: minimum {found.min():.2f}, "
            f"median {np.median(found):.2f}"
        )


if __name__ == "__main__":
    main()
