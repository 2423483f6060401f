"""Restore `state/` from the shipped model and the committed teachers, to continue training.

The teachers are the halves of the codecs that do not ship. Files that exist in `state/` stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from training.export import SHIPPED, TEACHERS, statistics_of
from training.stage import STATE

START = Path(__file__).parent / "start" / "teachers.safetensors"


def weights_of(
    stage: str, shipped: Mapping[str, Tensor], teachers: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Collect a stage's weights under the names they have in its checkpoint."""
    own: dict[str, Tensor] = {}
    for held, names in ((shipped, SHIPPED), (teachers, TEACHERS)):
        for (of_stage, inside), outside in names.items():
            if of_stage == stage:
                own |= {
                    inside + name.removeprefix(outside): held[name]
                    for name in held
                    if name.startswith(outside)
                }
    return own


def main() -> None:
    """Restore the checkpoint of every stage."""
    with resources.as_file(
        resources.files("loopwright.weights") / "pocket" / "model.safetensors"
    ) as path:
        shipped = {name: value.float() for name, value in load_file(path).items()}
    teachers = {name: value.float() for name, value in load_file(START).items()}
    STATE.mkdir(exist_ok=True)
    weights = {
        stage: weights_of(stage, shipped, teachers)
        for stage in ("denoiser", "encoder", "tone_codec")
    }
    weights["drum_codec"] = weights_of("drum_codec", shipped, teachers) | weights_of(
        "drum_decoder", shipped, teachers
    )
    weights["drum_decoder"] = weights["drum_codec"]
    held = {stage: {"weights": own} for stage, own in weights.items()}
    for stage, content in (held | {"statistics": statistics_of(shipped)}).items():
        path = STATE / f"{stage}.pt"
        if not path.exists():
            torch.save(content, path)


if __name__ == "__main__":
    main()
