"""Does the denoiser copy? Distances of generated loops to the nearest training loop, beside those of held-out loops."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from loopwright.model.pocket.model import load_pocket_from
from training.latents import read, shards, statistics
from training.stage import STATE
from training.takes import FRAMES, made, prompted

BINS = 43
"""Latents are compared by their course in so many stretches, so that a small shift in time hides no copy."""


def described(latents: Tensor) -> NDArray[np.float32]:
    """latents: [frames, channels], normalised -> their mean in BINS stretches, one row of numbers."""
    stretches = latents[:FRAMES].reshape(BINS, -1, latents.shape[-1]).mean(1)
    return stretches.flatten().numpy()


def nearest(some: NDArray[np.float32], all_of_them: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each one's distance to its nearest among all, a dimension's root mean square."""
    distances = [np.sqrt(((one - all_of_them) ** 2).mean(1)).min() for one in some]
    return np.array(distances, np.float32)


@torch.inference_mode()
def main() -> None:
    """Print both distributions."""
    model, (mean, spread) = load_pocket_from(STATE / "new"), statistics()
    held_out, *training = [
        np.stack(
            [described((torch.from_numpy(one).float() - mean) / spread) for one in read(path)[1]]
        )
        for path in shards()
    ]
    nothing = np.zeros((0, 2, 0), np.float32)
    generated = np.stack(
        [described(made(model, take, nothing).T) for take in list(prompted())[::2]]
    )
    learnt = np.concatenate(training)
    for name, own in (("held out", held_out), ("generated", generated)):
        found = nearest(own, learnt)
        print(
            f"{name}: nearest training loop at {found.min():.2f} at least, {np.median(found):.2f} in the middle"
        )


if __name__ == "__main__":
    main()
