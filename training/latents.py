"""Stage `latents`: encodes loops as the teachers' latents, in shards, for the denoiser.

Run with ``--part 0 --parts 2`` and ``--part 1 --parts 2`` for two processes. Existing shards stay.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from loopwright.model.pocket.layers import FINE_PER_LATENT, HOP
from loopwright.model.pocket.tones import ROLL_CHANNELS, TONE_CHANNELS
from training.drum_codec import DRUM_CHANNELS, DrumCodec
from training.loops import Loop, draw_loop, drum_audio, loop_controls
from training.stage import STATE, load_weights, scaled, use_one_thread
from training.tone_codec import FRAMES, ToneCodec, decoder_targets

SHARD = 50
LOOPS = max(3 * SHARD, scaled(5000))
FIRST_SEED = 3_000_000
HELD_OUT_SEED = 9_000_000
MIN_SPREAD = 0.8
"""Lower bound of a drum dimension's deviation: where means hardly vary, posteriors are about as
wide as the prior, and dividing by less would blow them up."""
CHANNELS = DRUM_CHANNELS + TONE_CHANNELS
"""Channels of a latent frame; drums first."""


class Teachers:
    """Both teachers, loaded from their stages' checkpoints."""

    def __init__(self) -> None:
        self.drums, self.tones = DrumCodec(), ToneCodec()
        self.drums.load_state_dict(load_weights("drum_codec"))
        self.tones.load_state_dict(load_weights("tone_codec"))
        self._no_drums: Tensor | None = None

    @torch.inference_mode()
    def latents(self, loop: Loop) -> Tensor:
        """Encode a loop: the mean of the drums' posterior, the tones' roll and timbre.

        Returns:
            [FRAMES, CHANNELS].
        """
        return torch.cat([self._of_drums(loop), self._of_tones(loop)], -1)

    def _of_drums(self, loop: Loop) -> Tensor:
        if loop.drums is None and self._no_drums is not None:
            return self._no_drums
        latents: Tensor = self.drums.encode(torch.from_numpy(drum_audio(loop, FRAMES * HOP))[None])[
            0
        ][0]
        if loop.drums is None:
            self._no_drums = latents
        return latents

    def _of_tones(self, loop: Loop) -> Tensor:
        return self.tones.encode(
            decoder_targets(loop_controls(loop, FRAMES * FINE_PER_LATENT))[None]
        )[0]


def shards() -> list[Path]:
    """Return the paths of the shards written so far."""
    return sorted((STATE / "latents").glob("*.npz"))


def read(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    """Read the numbers of loops, and their latents, [loops, FRAMES, CHANNELS]."""
    with np.load(path) as held:
        return held["numbers"], held["latents"]


def statistics() -> tuple[Tensor, Tensor]:
    """Return the mean and deviation of every dimension, [CHANNELS] each.

    They are measured once, since all later stages depend on them. All notes share theirs: 0 and the
    root mean square of the roll.
    """
    path = STATE / "statistics.pt"
    if not path.exists():
        latents = np.concatenate([read(shard)[1] for shard in shards()[1:21]])
        rows = torch.from_numpy(latents).float().flatten(0, 1)
        mean, spread = rows.mean(0), rows.std(0)
        spread[:DRUM_CHANNELS].clamp_(min=MIN_SPREAD)
        notes = slice(DRUM_CHANNELS, DRUM_CHANNELS + ROLL_CHANNELS)
        mean[notes], spread[notes] = 0.0, rows[:, notes].square().mean().sqrt()
        # the denoiser and the encoder may both get here: each writes a file of its own
        beside = path.with_suffix(f".{os.getpid()}")
        torch.save({"mean": mean, "spread": spread}, beside)
        beside.replace(path)
    held = torch.load(path, weights_only=True)
    return held["mean"], held["spread"]


def write_shard(teachers: Teachers, number: int) -> None:
    """Write a shard; the first has loops that training never sees."""
    path = STATE / "latents" / f"{number:05d}.npz"
    if path.exists():
        return
    first = HELD_OUT_SEED if number == 0 else FIRST_SEED + number * SHARD
    numbers = np.arange(first, first + SHARD)
    latents = (
        torch.stack([teachers.latents(draw_loop(int(seed))) for seed in numbers]).half().numpy()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"new-{number}.tmp")
    with beside.open("wb") as file:
        np.savez(file, numbers=numbers, latents=latents)
    beside.replace(path)
    print(path.name, flush=True)


def main() -> None:
    """Write the shards of this process."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--loops", type=int, default=LOOPS)
    options.add_argument("--part", type=int, default=0)
    options.add_argument("--parts", type=int, default=1)
    chosen = options.parse_args()
    use_one_thread(0)
    teachers = Teachers()
    for number in range(chosen.part, chosen.loops // SHARD, chosen.parts):
        write_shard(teachers, number)


if __name__ == "__main__":
    main()
