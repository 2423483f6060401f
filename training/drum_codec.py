"""Stage `drum_codec`: trains an encoder and a decoder of drum loops.

The encoder is only a teacher: it defines the latents of drums, for the denoiser and for the encoder
that ships. The bodies of drums are trained in a stage of their own, ``drum_bodies``, once the
latents are final. Then ``drum_codec --decoder-only`` trains the decoder further, as the stage
`drum_decoder`, so that the spectrum no longer contains what the bodies sound.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from loopwright.model.pocket.drums import DrumDecoder
from loopwright.model.pocket.encoder import Encoder
from training.spectral import SIZES, SpectralDistance
from training.stage import STATE, Stage, load_weights, progress, scaled, use_one_thread
from training.synth.drums import draw_drums, render_drums

DRUM_CHANNELS = 24
LOOPS = scaled(500)
FIRST_SEED = 1_000_000
CROP = 49152
BATCH_SIZE = 3
SILENT_SHARE = 0.05
"""Share of silent crops; loops without drums have the latents of silence."""
KL_WEIGHT = 1e-4
"""Weight of a nat against the spectral distance. At three times this weight, all but twelve
dimensions collapse."""
STEPS = scaled(3000)
RATE = 8e-4
DECODER_STEPS, DECODER_RATE = scaled(1250), 6e-4


class DrumCodec(nn.Module):
    """The drums' encoder and decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder(2 * DRUM_CHANNELS)
        self.decoder = DrumDecoder(DRUM_CHANNELS)

    def encode(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Encode audio [batch, 2, samples] as a distribution.

        Returns:
            Mean and log variance, each [batch, frames, DRUM_CHANNELS].
        """
        mean, log_variance = self.encoder(audio).chunk(2, -1)
        return mean, log_variance.clamp(-8, 2)


class Crops:
    """Random pieces of repeated loops at random gains, half of them with channels exchanged."""

    def __init__(self) -> None:
        self.loops = [
            _as_int16(render_drums(draw_drums(FIRST_SEED + number))) for number in progress(LOOPS)
        ]

    def batch(self, rng: np.random.Generator) -> Tensor:
        """Draw audio, [BATCH_SIZE, 2, CROP]."""
        return torch.from_numpy(np.stack([self._crop(rng) for _ in range(BATCH_SIZE)]))

    def _crop(self, rng: np.random.Generator) -> NDArray[np.float32]:
        if rng.random() < SILENT_SHARE:
            return np.zeros((2, CROP), np.float32)
        loop = self.loops[rng.integers(len(self.loops))]
        start = rng.integers(loop.shape[1])
        piece = (
            loop.take(range(start, start + CROP), axis=1, mode="wrap").astype(np.float32) / 32768
        )
        piece = piece if rng.random() < 0.5 else piece[::-1]
        return (piece * rng.uniform(0.6, 1.1)).astype(np.float32)


def _as_int16(audio: NDArray[np.float32]) -> NDArray[np.int16]:
    return (np.clip(audio, -1, 1) * 32767).astype(np.int16)


def mid_and_side(audio: Tensor) -> Tensor:
    """Convert left and right to mid and side, [batch, 2, samples]."""
    left, right = audio.unbind(1)
    return torch.stack([(left + right) * 0.5, (left - right) * 0.5], 1)


def prepare(codec: DrumCodec, crops: Crops) -> None:
    """Measure the mean and deviation of the encoder's features."""
    rng = np.random.default_rng(0)
    with torch.no_grad():
        features = torch.cat([codec.encoder.features(crops.batch(rng)) for _ in range(16)]).flatten(
            0, 1
        )
        codec.encoder.mean.copy_(features.mean(0))
        codec.encoder.std.copy_(features.std(0) + 0.05)


def start_codec(*, decoder_only: bool, crops: Crops) -> DrumCodec:
    """Return the codec to train: a new one, or one with trained encoder and bodies."""
    codec = DrumCodec()
    if decoder_only:
        codec.load_state_dict(load_weights("drum_codec") | load_weights("drum_bodies"))
    else:
        prepare(codec, crops)
    codec.decoder.bodies.requires_grad_(requires_grad=False)
    codec.encoder.requires_grad_(requires_grad=not decoder_only)
    return codec


def main() -> None:
    """Train the codec, or only its decoder."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--steps", type=int)
    options.add_argument(
        "--decoder-only", action="store_true", help="train the decoder further, after drum_bodies"
    )
    chosen = options.parse_args()
    use_one_thread(0)
    crops, distance = Crops(), SpectralDistance()
    codec = start_codec(decoder_only=chosen.decoder_only, crops=crops)
    name, steps, rate = (
        ("drum_decoder", DECODER_STEPS, DECODER_RATE)
        if chosen.decoder_only
        else ("drum_codec", STEPS, RATE)
    )
    stage = Stage(name, codec, chosen.steps or steps, rate, average=0.995)

    def loss_of(step: int) -> tuple[Tensor, Mapping[str, float]]:
        rng = np.random.default_rng([4, step])
        audio = crops.batch(rng)
        mean, log_variance = codec.encode(audio)
        latents = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        made = codec.decoder(latents, torch.Generator().manual_seed(step))
        sizes = tuple(int(size) for size in rng.choice(SIZES, 2, replace=False))
        apart = distance(made, mid_and_side(audio), sizes)
        nats = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum(-1).mean()
        return apart + KL_WEIGHT * nats, {
            "distance": float(apart.detach()),
            "nats": float(nats.detach()),
        }

    STATE.mkdir(exist_ok=True)
    stage.run(loss_of)


if __name__ == "__main__":
    main()
