"""Held-out loops as sound: what the codecs are to reproduce, and what the generated loops are compared with."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from loopwright.model.pocket.layers import HOP
from training.loops import Loop, draw_loop, drum_audio, tonal_audio
from training.stage import STATE, counted

SEED, DATA_SEED = 9_100_000, 9_200_000
COUNTS = {"drums": 20, "bass": 8, "chords": 12, "mix": 20}
FRAMES, DATA_FRAMES = 128, 172
DATA = 24
"""Loops of every kind for the rows of the data, and for the classifier of kinds."""


def facts_of(loop: Loop) -> dict[str, object]:
    """What measures need to know of a loop."""
    return {
        "number": loop.number, "kind": loop.kind, "bpm": loop.grid.bpm, "swing": loop.grid.swing,
        "root": loop.harmony.root, "minor": loop.harmony.minor, "genre": loop.genre,
    }  # fmt: skip


def sound(loop: Loop, frames: int) -> NDArray[np.float32]:
    """All of a loop, [2, samples]."""
    return drum_audio(loop, frames * HOP) + tonal_audio(loop, frames * HOP)


def _write(name: str, loops: list[Loop], frames: int) -> None:
    path = STATE / f"{name}.npz"
    if not path.exists():
        audio = np.stack([sound(loops[number], frames) for number in counted(len(loops))])
        np.savez(path, audio=audio, facts=json.dumps([facts_of(loop) for loop in loops]))


def main() -> None:
    """Write both files."""
    held_out = [
        draw_loop(SEED + 100 * at + one, kind)
        for at, (kind, count) in enumerate(COUNTS.items())
        for one in range(count)
    ]
    data = [draw_loop(DATA_SEED + 100 * at + one, kind) for at, kind in enumerate(COUNTS) for one in range(DATA)]
    _write("references", held_out, FRAMES)
    _write("data", data, DATA_FRAMES)


if __name__ == "__main__":
    main()
