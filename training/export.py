"""Stage `export`: writes the model that ships and the teachers, in half precision.

The teachers are the encoders that only training needs; a copy in `start/` lets later training
continue from what ships.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from loopwright.model.pocket.layers import HOP
from loopwright.model.pocket.tones import TONE_CHANNELS
from training.denoiser import SHAPE
from training.drum_codec import DrumCodec
from training.latents import statistics
from training.stage import STATE, load_weights
from training.tone_codec import FRAMES
from training.words import PITCHED, TOKENS, VOCABULARY

SILENT_FRAMES = 64

SHIPPED = {
    ("denoiser", ""): "denoiser.",
    ("encoder", ""): "encoder.",
    ("drum_decoder", "decoder."): "drums.",
    ("tone_codec", "decoder."): "tones.",
}
TEACHERS = {
    ("drum_codec", "encoder."): "drum_codec.encoder.",
    ("tone_codec", "timbre."): "tone_codec.timbre.",
}
"""(stage, prefix of names in its checkpoint): prefix of names in the file."""


def renamed(names: Mapping[tuple[str, str], str]) -> dict[str, Tensor]:
    """Collect the stages' tensors under the names they have in a file."""
    return {
        outside + name.removeprefix(inside): value
        for (stage, inside), outside in names.items()
        for name, value in load_weights(stage).items()
        if name.startswith(inside)
    }


def statistics_of(shipped: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the latents' statistics as they are kept in `state/`."""
    return {"mean": shipped["latent_mean"], "spread": shipped["latent_spread"]}


def silent_latents() -> Tensor:
    """Encode silence, away from its ends, as latents [CHANNELS]."""
    drums = DrumCodec()
    drums.load_state_dict(load_weights("drum_codec"))
    with torch.inference_mode():
        of_drums = drums.encode(torch.zeros(1, 2, SILENT_FRAMES * HOP))[0][0, SILENT_FRAMES // 2]
    return torch.cat([of_drums, torch.zeros(TONE_CHANNELS)])


def main() -> None:
    """Write the model and the teachers."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--to", type=Path, default=STATE / "new")
    chosen = options.parse_args()
    chosen.to.mkdir(parents=True, exist_ok=True)
    config = {
        "window_samples": FRAMES * HOP,
        "denoiser": SHAPE,
        "vocabulary": VOCABULARY,
        "pitched": [TOKENS[meaning] for meaning in PITCHED],
    }
    (chosen.to / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    mean, spread = statistics()
    silence = (silent_latents() - mean) / spread
    shipped = {"latent_mean": mean, "latent_spread": spread, "latent_silence": silence} | renamed(
        SHIPPED
    )
    for name, tensors in (("model", shipped), ("teachers", renamed(TEACHERS))):
        path = chosen.to / f"{name}.safetensors"
        save_file({key: value.half().contiguous() for key, value in tensors.items()}, path)
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    main()
