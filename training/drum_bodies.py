"""Stage `drum_bodies`: trains the oscillators of drums on the drum teacher's latents, kept fixed.

The targets come from the synthesiser's own hits; no sound is made or compared.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loopwright.model.pocket.bodies import MATCH_REACH, BodyDecoder, decode_controls
from loopwright.model.pocket.layers import FINE_HOP, FINE_PER_LATENT, HOP
from training.drum_codec import DRUM_CHANNELS, SILENT_SHARE, DrumCodec
from training.stage import Stage, load_weights, progress, scaled, use_one_thread
from training.synth.drum_tones import drum_tones
from training.synth.drums import Take, draw_drums, play

LOOPS = scaled(1700)
FIRST_SEED = 1_000_000
FRAMES = 176
"""Latent frames kept of a loop, from a random start."""
CROP = 56
BATCH_SIZE = 16
STEPS = scaled(2400)
RATE = 1.5e-3
QUIETEST, QUIETEST_SHARE = 4e-3, 0.03
"""Amplitudes below which a body counts as absent: absolute, and as a share of the loudest."""


class Bodies(nn.Module):
    """The decoder of bodies, with its tensors named as in the codec."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = nn.ModuleDict({"bodies": BodyDecoder(DRUM_CHANNELS)})

    def controls(self, latents: Tensor) -> Tensor:
        """Predict controls as the decoder does."""
        bodies = self.decoder["bodies"]
        assert isinstance(bodies, BodyDecoder)
        return bodies.controls(latents)


def decoder_targets(power: Tensor) -> Tensor:
    """Compute the targets of the body decoder from the powers of bodies.

    The MATCH_REACH oscillators to either side of the right one are targets as well; the decoder
    lets one of them ring.

    Args:
        power: [..., steps, BODIES].

    Returns:
        Presence, 0 or 1, then log amplitudes, [..., steps, 2 * BODIES].
    """
    level = (2 * power).sqrt()
    loudest = level.amax(-1, keepdim=True)
    level = level * (level > torch.clamp(QUIETEST_SHARE * loudest, min=QUIETEST))
    around = F.max_pool1d(level, 2 * MATCH_REACH + 1, 1, MATCH_REACH)
    return torch.cat([(around > 0).float(), torch.log(around + 1e-4)], -1)


def losses_of(made: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Compute the parts of the loss.

    Args:
        made: Controls from the decoder, [batch, steps, 2 * BODIES].
        target: Targets from ``decoder_targets``, the same shape.
    """
    (presence, level), (is_there, target_level) = made.chunk(2, -1), target.chunk(2, -1)
    loud = is_there * torch.exp(target_level)
    weight = 1 + 8 * loud
    audible = is_there * (0.1 + 5 * loud)
    on = torch.sigmoid(presence)
    steady = (is_there[:, 1:] == is_there[:, :-1]).float()
    return {
        "presence": 12 * F.binary_cross_entropy_with_logits(presence, is_there, weight=weight),
        "level": 0.8 * ((level - target_level).abs() * audible).sum() / audible.sum().clamp(min=1),
        "flicker": 2 * ((on[:, 1:] - on[:, :-1]).abs() * steady).mean(),
    }


def recall_and_precision(made: Tensor, target: Tensor) -> dict[str, float]:
    """Compute recall and precision of bodies, weighted by amplitude, within MATCH_REACH."""
    (is_there, target_level), rings = target.chunk(2, -1), decode_controls(made)
    loud = is_there * torch.exp(target_level)
    found = F.max_pool1d((rings > 0).float(), 2 * MATCH_REACH + 1, 1, MATCH_REACH)
    return {
        "recall": float((loud * found).sum() / loud.sum().clamp(min=1e-6)),
        "precision": float((rings * is_there).sum() / rings.sum().clamp(min=1e-6)),
    }


class Bank:
    """Loops, held as the mean and log variance of their latents and the powers of their bodies."""

    def __init__(self, codec: DrumCodec, first: int, count: int) -> None:
        rows = [
            self._row(codec, play(draw_drums(first + number)), first + number)
            for number in progress(count)
        ]
        self.mean, self.log_variance, self.power = (
            torch.stack(column) for column in zip(*rows, strict=True)
        )

    @torch.inference_mode()
    def _row(self, codec: DrumCodec, take: Take, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        rng = np.random.default_rng([10, seed])
        start, gain = int(rng.integers(take.audio.shape[1] // FINE_HOP)), rng.uniform(0.6, 1.1)
        if rng.random() < SILENT_SHARE:
            gain = 0.0
        power = drum_tones(take, start + FRAMES * FINE_PER_LATENT)[start:] * gain**2
        samples = np.arange(FRAMES * HOP) + start * FINE_HOP
        audio = torch.from_numpy(take.audio.take(samples, axis=1, mode="wrap") * np.float32(gain))
        mean, log_variance = codec.encode(audio[None])
        return mean[0].half(), log_variance[0].half(), torch.from_numpy(power).float().sqrt().half()

    def batch(
        self, rng: np.random.Generator, rows: int = BATCH_SIZE, crop: int = CROP
    ) -> tuple[Tensor, Tensor]:
        """Draw latents, [rows, crop, DRUM_CHANNELS], and targets, [rows, steps, 2 * BODIES]."""
        loops = rng.integers(len(self.mean), size=rows)
        starts = rng.integers(FRAMES - crop + 1, size=rows)
        cuts = [
            (int(loop), slice(start, start + crop))
            for loop, start in zip(loops, starts, strict=True)
        ]
        mean, log_variance = (
            torch.stack([of[loop, cut] for loop, cut in cuts]).float()
            for of in (self.mean, self.log_variance)
        )
        fine = [
            (loop, slice(cut.start * FINE_PER_LATENT, cut.stop * FINE_PER_LATENT))
            for loop, cut in cuts
        ]
        power = torch.stack([self.power[loop, cut] for loop, cut in fine]).float().square()
        return mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean), decoder_targets(power)


def main() -> None:
    """Train the body decoder."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--steps", type=int, default=STEPS)
    options.add_argument("--loops", type=int, default=LOOPS)
    chosen = options.parse_args()
    use_one_thread(0)
    codec = DrumCodec()
    codec.load_state_dict(load_weights("drum_codec"))
    bank, bodies = Bank(codec, FIRST_SEED, chosen.loops), Bodies()
    stage = Stage("drum_bodies", bodies, chosen.steps, RATE, weight_decay=0.02, average=0.995)

    def loss_of(step: int) -> tuple[Tensor, Mapping[str, float]]:
        latents, target = bank.batch(np.random.default_rng([11, step]))
        made = bodies.controls(latents)
        losses = losses_of(made, target)
        metrics = {name: float(loss.detach()) for name, loss in losses.items()}
        total = torch.stack(list(losses.values())).sum()
        return total, metrics | recall_and_precision(made.detach(), target)

    stage.run(loss_of)


if __name__ == "__main__":
    main()
