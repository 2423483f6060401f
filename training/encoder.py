"""Stage `encoder`: trains the encoder that ships, on mixes, to predict both teachers' latents.

The drum teacher gets the drums alone, the tone teacher the controls. So only separation is hard.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from loopwright.model.pocket.encoder import PocketEncoder
from loopwright.model.pocket.layers import FINE_HOP, FINE_PER_LATENT, HOP, SAMPLE_RATE
from loopwright.model.pocket.tones import CONTROLS, NOTES, ROLL_CHANNELS
from training.drum_codec import DRUM_CHANNELS
from training.latents import Teachers, statistics
from training.loops import draw_loop, ducking, loop_controls, silence, tonal_audio
from training.stage import STATE, Stage, progress, scaled, start_from, use_one_thread
from training.synth.drums import draw_drums, render_drums
from training.tone_codec import decoder_targets, losses_of, recall_and_precision

DRUM_LOOPS, TONAL_LOOPS = scaled(400), scaled(900)
DRUM_SEED, TONAL_SEED = 4_000_000, 5_000_000
CLIP = 96
"""Latent frames of a clip of tones."""
CROP = 40
MARGIN = 4
"""Latent frames at both ends of a crop that are left out of the loss: the sound is cut there."""
BATCH_SIZE = 8
STEPS = scaled(9000)
RATE = 1e-3
LOG_GAIN_ALONE, LOG_GAIN_IN_MIXES = (-0.4, 0.3), (-1.0, 0.1)
"""Ranges of log gain of tones: in the synthesiser's mixes they are about half as loud."""
DRUM_WEIGHT, TONE_WEIGHT = 6.0, 0.6
CHANGE, CHANGE_WEIGHT = 0.12, 8.0
"""Difference between neighbouring halves of a frame that counts as a change of the roll, and the
additional weight of errors there."""
DUCKED_SHARE = 0.3
"""Share of mixes whose tones are ducked on the beat."""
MISSED = 3.0
"""Weight of a missed note against that of a false one."""

Sound = NDArray[np.int16]


class Bank:
    """Drum loops, and clips of tones with the controls that made them."""

    def __init__(self) -> None:
        self.drums = [
            _as_int16(render_drums(draw_drums(DRUM_SEED + one))) for one in progress(DRUM_LOOPS)
        ]
        path = STATE / "tonal_clips.npz"
        if not path.exists():
            _render_tones()
        with np.load(path) as held:
            self.tones, self.controls = held["audio"], held["controls"]
        self.silence = decoder_targets(silence(CROP * FINE_PER_LATENT))

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Draw a batch.

        Returns:
            Drums, then tones, each [BATCH_SIZE, 2, samples]; the tones' controls, [BATCH_SIZE,
            steps, CONTROLS].
        """
        rows = [self._row(rng) for _ in range(BATCH_SIZE)]
        drums, tones, controls = (torch.stack(column) for column in zip(*rows, strict=True))
        return drums, tones, controls

    def _row(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        kind = rng.choice(["mix", "drums", "tones"], p=[0.6, 0.15, 0.25])
        drums, tones, controls = (
            torch.zeros(2, CROP * HOP),
            torch.zeros(2, CROP * HOP),
            self.silence,
        )
        if kind != "tones":
            drums = self._drums(rng)
        if kind != "drums":
            tones, controls = self._tones(
                rng, LOG_GAIN_IN_MIXES if kind == "mix" else LOG_GAIN_ALONE
            )
        if kind == "mix" and rng.random() < DUCKED_SHARE:
            tones, controls = ducked(rng, tones, controls)
        return drums, tones, controls

    def _drums(self, rng: np.random.Generator) -> Tensor:
        loop = self.drums[rng.integers(len(self.drums))]
        start = rng.integers(loop.shape[1])
        piece = (
            loop.take(range(start, start + CROP * HOP), axis=1, mode="wrap").astype(np.float32)
            / 32768
        )
        return torch.from_numpy(piece * np.float32(rng.uniform(0.6, 1.15)))

    def _tones(
        self, rng: np.random.Generator, log_gain: tuple[float, float]
    ) -> tuple[Tensor, Tensor]:
        clip, start = rng.integers(len(self.tones)), rng.integers(CLIP - CROP + 1)
        gain = float(np.exp(rng.uniform(*log_gain)))
        audio = self.tones[clip, :, start * HOP : (start + CROP) * HOP].astype(np.float32) / 32768
        controls = torch.from_numpy(
            self.controls[clip, start * FINE_PER_LATENT : (start + CROP) * FINE_PER_LATENT]
        ).float()
        controls[:, NOTES : 2 * NOTES] += np.log(gain)
        return torch.from_numpy(audio * np.float32(gain)), controls


def ducked(rng: np.random.Generator, tones: Tensor, controls: Tensor) -> tuple[Tensor, Tensor]:
    """Duck tones on every beat of a random tempo.

    Args:
        rng: Draws tempo, offset and depth.
        tones: Audio, [2, samples].
        controls: [steps, CONTROLS].

    Returns:
        Audio and controls, ducked.
    """
    beat, offset, depth = 60 / rng.uniform(80, 150), rng.random(), rng.uniform(0.4, 0.75)
    of_samples, of_steps = (
        torch.from_numpy(ducking(samples / SAMPLE_RATE + offset * beat, beat, depth)).float()
        for samples in (np.arange(tones.shape[1]), (np.arange(len(controls)) + 0.5) * FINE_HOP)
    )
    controls = controls.clone()
    controls[:, NOTES : 2 * NOTES] += torch.log(of_steps)[:, None]
    return tones * of_samples, controls


def _render_tones() -> None:
    kinds = ("bass", "chords", "chords", "tones")
    audio = np.zeros((TONAL_LOOPS, 2, CLIP * HOP), np.int16)
    controls = np.zeros((TONAL_LOOPS, CLIP * FINE_PER_LATENT, CONTROLS), np.float16)
    for number in progress(TONAL_LOOPS):
        loop = draw_loop(TONAL_SEED + number, kinds[number % len(kinds)])
        audio[number] = _as_int16(tonal_audio(loop, CLIP * HOP))
        controls[number] = (
            decoder_targets(loop_controls(loop, CLIP * FINE_PER_LATENT)).half().numpy()
        )
    np.savez(STATE / "tonal_clips.npz", audio=audio, controls=controls)


def _as_int16(audio: NDArray[np.float32]) -> Sound:
    return (np.clip(audio, -1, 1) * 32767).astype(np.int16)


def main() -> None:
    """Train the encoder. ``--only-bank`` only renders its sounds, which needs no teachers."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--steps", type=int, default=STEPS)
    options.add_argument("--only-bank", action="store_true")
    options.add_argument("--rate", type=float, default=RATE, help="the learning rate's peak")
    options.add_argument(
        "--start", type=Path, help="an earlier checkpoint to start from, as far as it fits"
    )
    chosen = options.parse_args()
    use_one_thread(0)
    bank = Bank()
    if chosen.only_bank:
        return
    teachers, encoder = Teachers(), PocketEncoder(DRUM_CHANNELS)
    _copy_teacher(encoder, teachers)
    if chosen.start:
        start_from(encoder, chosen.start)
    _, spread = statistics()
    teachers.tones.decoder.requires_grad_(requires_grad=False)
    stage = Stage("encoder", encoder, chosen.steps, chosen.rate, average=0.995)
    judged = slice(MARGIN, CROP - MARGIN)

    def loss_of(step: int) -> tuple[Tensor, Mapping[str, float]]:
        drums, tones, controls = bank.batch(np.random.default_rng([9, step]))
        with torch.no_grad():
            teacher = torch.cat(
                [teachers.drums.encode(drums)[0], teachers.tones.encode(controls)], -1
            )
        latents = encoder(drums + tones)
        error = (((latents - teacher) / spread).square() * weights(teacher))[:, judged]
        of_drums, of_tones = error[..., :DRUM_CHANNELS].mean(), error[..., DRUM_CHANNELS:].mean()
        made = teachers.tones.decoder.controls(latents[..., DRUM_CHANNELS:])
        fine = slice(MARGIN * FINE_PER_LATENT, (CROP - MARGIN) * FINE_PER_LATENT)
        decoded = torch.stack(
            list(losses_of(made[:, fine], controls[:, fine], MISSED).values())
        ).sum()
        metrics = {
            "drums": float(of_drums.detach()),
            "tones": float(of_tones.detach()),
            "decoded": float(decoded.detach()),
        }
        metrics |= recall_and_precision(made[:, fine].detach(), controls[:, fine])
        return DRUM_WEIGHT * of_drums + of_tones + TONE_WEIGHT * decoded, metrics

    stage.run(loss_of)


def weights(teacher: Tensor) -> Tensor:
    """Weigh errors more where the roll changes: changes are rare, and attacks would be lost.

    Args:
        teacher: The teachers' latents, [batch, frames, channels].

    Returns:
        The shape of ``teacher``.
    """
    rolls = teacher[..., DRUM_CHANNELS : DRUM_CHANNELS + ROLL_CHANNELS].reshape(
        len(teacher), -1, NOTES
    )
    changes = F.pad((rolls[:, 1:] - rolls[:, :-1]).abs() > CHANGE, (0, 0, 1, 1))
    weight = 1 + CHANGE_WEIGHT * (changes[:, 1:] | changes[:, :-1]).float()
    others = teacher.shape[-1] - DRUM_CHANNELS - ROLL_CHANNELS
    return F.pad(
        weight.reshape(*teacher.shape[:2], ROLL_CHANNELS), (DRUM_CHANNELS, others), value=1.0
    )


def _copy_teacher(encoder: PocketEncoder, teachers: Teachers) -> None:
    """Start with the drum teacher's weights, except for the output; notes start quiet."""
    own = teachers.drums.encoder.state_dict()
    encoder.load_state_dict(
        {name: value for name, value in own.items() if not name.startswith("output")}, strict=False
    )
    with torch.no_grad():
        for part in ("weight", "bias"):
            theirs, ours = (
                getattr(teachers.drums.encoder.output, part),
                getattr(encoder.output, part),
            )
            ours[DRUM_CHANNELS:] *= 0.2
            ours[:DRUM_CHANNELS] = theirs[:DRUM_CHANNELS]
        encoder.tell.weight.mul_(0.1)
        encoder.loud.weight.mul_(0.1)


if __name__ == "__main__":
    main()
