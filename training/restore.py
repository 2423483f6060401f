"""Puts the committed codecs and statistics into `state/`, so that work may go on with `latents`, `encoder` and `denoiser`."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from training.stage import STATE

START = Path(__file__).parent / "start" / "codecs.safetensors"


def main() -> None:
    """What is in `state/` already stays."""
    tensors = load_file(START)
    STATE.mkdir(exist_ok=True)
    for stage in ("drum_codec", "tone_codec", "statistics"):
        own = {
            name.removeprefix(f"{stage}."): value.float()
            for name, value in tensors.items()
            if name.startswith(f"{stage}.")
        }
        path = STATE / f"{stage}.pt"
        if not path.exists():
            torch.save(own if stage == "statistics" else {"weights": own}, path)


if __name__ == "__main__":
    main()
