"""Stage `tone_codec`: trains the decoder of tones, and a teacher that encodes controls.

It uses no sound: its data are the synthesiser's controls, exact and free of flicker. The teacher
does not ship.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loopwright.model.pocket.layers import FINE_PER_LATENT, blocks
from loopwright.model.pocket.tones import (
    CONTROLS,
    NOTES,
    REGISTERS,
    ROLL_CHANNELS,
    ROLLS,
    TIMBRE,
    TIMBRE_CHANNELS,
    ToneDecoder,
    split_controls,
    split_registers,
)
from training.loops import draw_loop, loop_controls, silence
from training.stage import Stage, progress, scaled, start_from, use_one_thread
from training.synth.tones import Controls

LOOPS = scaled(2000)
FIRST_SEED = 2_000_000
FRAMES = 256
"""Latent frames of a whole window."""
CROP = 32
BATCH_SIZE = 24
SILENT_SHARE = 0.06
QUIETEST, QUIETEST_SHARE = 2e-3, 0.03
"""Amplitudes below which a note counts as absent: absolute, and as a share of the loudest."""
STEPS = scaled(2500)
RATE = 1.5e-3
LOG_QUIETEST, FAINTEST = -6.2, 0.25
"""A note's log level at QUIETEST, and its value in the roll, above that of silence."""
STRIKE_RISE, RISING_STEPS, DIP = 0.25, 6, FINE_PER_LATENT // ROLLS
"""A strike is a rise of the log level by STRIKE_RISE within two steps, unless there was one in the
RISING_STEPS before. The roll is silent for DIP steps before a strike."""
TIMBRE_WEIGHT = 1e-3
"""Weight of the timbre latents' squares, which keeps them small against the decoder's noise."""
ROLL_NOISE, TIMBRE_NOISE = 0.08, 0.3
"""Maximum noise on latents in training: the denoiser's latents are never exact."""


def decoder_targets(controls: Controls) -> Tensor:
    """Compute the targets of the tone decoder.

    Returns:
        Presence, 0 or 1, log levels, log shares, widths, 0 to 1: [steps, CONTROLS].
    """
    level = torch.from_numpy(np.sqrt(2 * controls.power)).float()
    loudest = F.max_pool1d(level.amax(-1)[None, None], 3, 1, 1)[0, 0, :, None]
    presence = (level > torch.clamp(QUIETEST_SHARE * loudest, min=QUIETEST)).float()
    register = split_registers(torch.from_numpy(controls.power).float()).sum(-1)
    share = torch.from_numpy(controls.group_power).float() / (register[..., None] + 1e-12)
    width = (torch.from_numpy(controls.side).float() / (register + 1e-12)).clamp(0, 1).sqrt()
    parts = presence, torch.log(level + 1e-4), 0.5 * torch.log(share + 1e-6).flatten(1), width
    return torch.cat(parts, -1)


def as_logits(controls: Tensor) -> Tensor:
    """Convert targets to the controls of a perfect decoder: probabilities become logits."""
    presence, rest, width = torch.split(
        controls, [NOTES, CONTROLS - NOTES - REGISTERS, REGISTERS], -1
    )
    return torch.cat([2 * presence - 1, rest, torch.logit(width, 1e-4)], -1)


def roll(controls: Tensor) -> Tensor:
    """Compute the roll: how loud every note is, ROLLS times per frame, 0 to about 1.

    Loudness is a mean over steps, so a note that begins within them is less loud. A note that is
    struck again is silent before. Nothing is learned, and the formula is the same for all notes: a
    melody transposed by a semitone is a roll shifted by one.

    Args:
        controls: Targets, [batch, steps, CONTROLS].

    Returns:
        [batch, frames, ROLL_CHANNELS].
    """
    presence, level, *_ = split_controls(controls)
    loud = presence * (FAINTEST + (1 - FAINTEST) * (level - LOG_QUIETEST) / -LOG_QUIETEST)
    loud = loud * (1 - _just_before(strikes(presence, level)))
    rolls = loud.reshape(loud.shape[0], -1, ROLLS, FINE_PER_LATENT // ROLLS, NOTES).mean(3)
    return rolls.flatten(2)


def strikes(presence: Tensor, level: Tensor) -> Tensor:
    """Mark strikes with 1: steps at which a note rises as no held note does.

    Args:
        presence: 0 or 1, [batch, steps, NOTES].
        level: Log levels, the same shape.
    """
    before, after = F.pad(level, (0, 0, 1, 0))[:, :-1], F.pad(level, (0, 0, 0, 1))[:, 1:]
    before[:, 0], after[:, -1] = level[:, 0], level[:, -1]
    rises = presence * (torch.maximum(level, after) - before > STRIKE_RISE)
    lately = F.max_pool1d(F.pad(rises.transpose(1, 2), (RISING_STEPS, 0)), RISING_STEPS, 1)[
        ..., :-1
    ].transpose(1, 2)
    return rises * (1 - lately)


def _just_before(struck: Tensor) -> Tensor:
    """Mark the DIP steps before each strike with 1, [batch, steps, NOTES]."""
    later = F.pad(struck.transpose(1, 2), (0, DIP))
    return F.max_pool1d(later, DIP, 1)[..., 1:].transpose(1, 2)


class TimbreEncoder(nn.Module):
    """An encoder of timbre: harmonics' shares and widths of the registers that sound."""

    def __init__(self, width: int = 160) -> None:
        super().__init__()
        self.input = nn.Linear(FINE_PER_LATENT * (TIMBRE + REGISTERS), width)
        self.network = blocks(2, width, 2, 5)
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, TIMBRE_CHANNELS)

    def forward(self, controls: Tensor) -> Tensor:
        """Encode targets [batch, steps, CONTROLS] as [batch, frames, TIMBRE_CHANNELS]."""
        presence, _, share, width = split_controls(controls)
        sounds = (split_registers(presence).amax(-1) > 0).float()
        given = torch.cat(
            [((share + 3) / 2 * sounds[..., None]).flatten(-2), width * sounds, sounds], -1
        )
        joined = given.reshape(given.shape[0], -1, FINE_PER_LATENT * given.shape[-1])
        output: Tensor = self.output(self.norm(self.network(self.input(joined))))
        return output


class ToneCodec(nn.Module):
    """The timbre encoder and the decoder of tones."""

    def __init__(self) -> None:
        super().__init__()
        self.timbre = TimbreEncoder()
        self.decoder = ToneDecoder()

    def encode(self, controls: Tensor) -> Tensor:
        """Encode targets [batch, steps, CONTROLS] as [batch, frames, TONE_CHANNELS]."""
        return torch.cat([roll(controls), self.timbre(controls)], -1)


def losses_of(made: Tensor, target: Tensor, missed: float = 1.0) -> dict[str, Tensor]:
    """Compute the parts of the loss.

    Args:
        made: Controls from the decoder, [batch, steps, CONTROLS].
        target: Targets from ``decoder_targets``, the same shape.
        missed: Weight of a missed note against that of a false one.
    """
    presence, level, share, width = split_controls(made)
    is_there, target_level, target_share, target_width = split_controls(target)
    loud = is_there * torch.exp(target_level)
    weight = 1 + is_there * (1 + 30 * loud) * missed
    register = split_registers(loud).sum(-1)
    sounds = (register > 0).float() * (0.2 + 5 * register)
    audible = sounds[..., None] * (0.03 + torch.exp(0.7 * target_share))
    on = torch.sigmoid(presence)
    steady = (is_there[:, 1:] == is_there[:, :-1]).float()
    return {
        "presence": 12 * F.binary_cross_entropy_with_logits(presence, is_there, weight=weight),
        "level": 0.8
        * ((level - target_level).abs() * is_there * (0.2 + 5 * loud)).sum()
        / (is_there * (0.2 + 5 * loud)).sum().clamp(min=1),
        "share": 0.6 * ((share - target_share).abs() * audible).sum() / audible.sum().clamp(min=1),
        "width": 0.2
        * ((torch.sigmoid(width) - target_width).abs() * sounds).sum()
        / sounds.sum().clamp(min=1),
        "flicker": 4 * ((on[:, 1:] - on[:, :-1]).abs() * steady).mean(),
    }


def recall_and_precision(made: Tensor, target: Tensor) -> dict[str, float]:
    """Compute recall and precision of notes, weighted by amplitude."""
    presence, level, *_ = split_controls(made)
    is_there, target_level, *_ = split_controls(target)
    found, loud, made_loud = (
        (presence > 0).float(),
        is_there * torch.exp(target_level),
        torch.exp(level),
    )
    return {
        "recall": float((loud * found).sum() / loud.sum().clamp(min=1e-6)),
        "precision": float(
            (made_loud * found * is_there).sum() / (made_loud * found).sum().clamp(min=1e-6)
        ),
    }


def _latent_noise(latents: Tensor) -> Tensor:
    """Draw noise on latents, of a random strength per row."""
    most = torch.cat(
        [torch.full((ROLL_CHANNELS,), ROLL_NOISE), torch.full((TIMBRE_CHANNELS,), TIMBRE_NOISE)]
    )
    return torch.randn_like(latents) * most * torch.rand(len(latents), 1, 1)


def control_bank(first: int, count: int) -> Tensor:
    """Compute targets of loops with tones, [count, steps, CONTROLS], in half precision."""
    kinds = ("bass", "chords", "chords", "tones", "mix")
    steps = FRAMES * FINE_PER_LATENT
    loops = (draw_loop(first + number, kinds[number % len(kinds)]) for number in progress(count))
    return torch.stack([decoder_targets(loop_controls(loop, steps)).half() for loop in loops])


def crops(bank: Tensor, rng: np.random.Generator) -> Tensor:
    """Draw pieces at random gains, a few of them silent.

    Returns:
        [BATCH_SIZE, CROP * FINE_PER_LATENT, CONTROLS].
    """
    quiet = decoder_targets(silence(CROP * FINE_PER_LATENT))
    rows = []
    for _ in range(BATCH_SIZE):
        start = FINE_PER_LATENT * rng.integers(FRAMES - CROP + 1)
        row = bank[rng.integers(len(bank)), start : start + CROP * FINE_PER_LATENT].float()
        row[:, NOTES : 2 * NOTES] += float(rng.uniform(-0.5, 0.2))
        rows.append(quiet if rng.random() < SILENT_SHARE else row)
    return torch.stack(rows)


def main() -> None:
    """Train the codec of tones."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--steps", type=int, default=STEPS)
    options.add_argument(
        "--start", type=Path, help="an earlier checkpoint to start from, as far as it fits"
    )
    chosen = options.parse_args()
    use_one_thread(0)
    bank = control_bank(FIRST_SEED, LOOPS)
    codec = ToneCodec()
    if chosen.start:
        start_from(codec, chosen.start)
    stage = Stage("tone_codec", codec, chosen.steps, RATE, average=0.995)

    def loss_of(step: int) -> tuple[Tensor, Mapping[str, float]]:
        target = crops(bank, np.random.default_rng([7, step]))
        latents = codec.encode(target)
        made = codec.decoder.controls(latents + _latent_noise(latents))
        losses = losses_of(made, target)
        metrics = {name: float(loss.detach()) for name, loss in losses.items()}
        large = latents[..., ROLL_CHANNELS:].square().mean()
        total = torch.stack(list(losses.values())).sum() + TIMBRE_WEIGHT * large
        return total, {
            **metrics,
            "large": float(large.detach()),
            **recall_and_precision(made.detach(), target),
        }

    stage.run(loss_of)


if __name__ == "__main__":
    main()
