"""Stage `export`: the stages' weights, as one file in half precision and its configuration."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from loopwright.model.pocket.layers import HOP
from training.denoiser import SHAPE
from training.drum_codec import DRUM_CHANNELS
from training.latents import statistics
from training.stage import STATE, finished
from training.tone_codec import FRAMES
from training.words import VOCABULARY


def weights() -> dict[str, Tensor]:
    """Every tensor that ships, under its name in the model."""
    mean, spread = statistics()
    tensors = {"latent_mean": mean, "latent_spread": spread}
    tensors |= {f"denoiser.{name}": value for name, value in finished("denoiser").items()}
    tensors |= {f"encoder.{name}": value for name, value in finished("encoder").items()}
    for stage, part in (("drum_codec", "drums"), ("tone_codec", "tones")):
        own = finished(stage).items()
        tensors |= {
            name.replace("decoder.", f"{part}.", 1): value for name, value in own if name.startswith("decoder.")
        }
    return {name: value.half().contiguous() for name, value in tensors.items()}


def main() -> None:
    """Write it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--to", type=Path, default=STATE / "new")
    chosen = options.parse_args()
    chosen.to.mkdir(parents=True, exist_ok=True)
    config = {
        "window_samples": FRAMES * HOP,
        "drum_channels": DRUM_CHANNELS,
        "denoiser": SHAPE,
        "vocabulary": VOCABULARY,
    }
    (chosen.to / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file(weights(), chosen.to / "model.safetensors")
    print(f"{(chosen.to / 'model.safetensors').stat().st_size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    main()
