"""Stage `references`: renders held-out loops to reproduce, and data to compare with."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from loopwright.model.pocket.layers import HOP
from training.loops import Loop, draw_loop, drum_audio, tonal_audio
from training.stage import STATE, progress, scaled

SEED, DATA_SEED = 9_100_000, 9_200_000
COUNTS = {
    kind: max(2, scaled(count))
    for kind, count in (("drums", 20), ("bass", 8), ("chords", 12), ("mix", 20))
}
FRAMES, DATA_FRAMES = 128, 172
DATA = max(4, scaled(24))
"""Loops of each kind in the data."""


def facts_of(loop: Loop) -> dict[str, object]:
    """Return the facts about a loop that measures need."""
    return {
        "number": loop.number, "kind": loop.kind, "bpm": loop.grid.bpm, "swing": loop.grid.swing,
        "root": loop.harmony.root, "minor": loop.harmony.minor, "genre": loop.genre,
    }  # fmt: skip


def whole(loop: Loop, frames: int) -> NDArray[np.float32]:
    """Render all of a loop, [2, samples]."""
    return drum_audio(loop, frames * HOP) + tonal_audio(loop, frames * HOP)


def parts(loop: Loop, frames: int) -> dict[str, NDArray[np.float32]]:
    """Render a loop, its tones alone, and the loop with its tones in other phases.

    Only by luck can a model come nearer to the first than the last does.

    Returns:
        Audio, tones and replayed audio, each [2, samples].
    """
    drums, tones = drum_audio(loop, frames * HOP), tonal_audio(loop, frames * HOP)
    return {
        "audio": drums + tones,
        "tones": tones,
        "replayed": drums + tonal_audio(loop, frames * HOP, phases=1),
    }


def _write(name: str, loops: list[Loop], frames: int) -> None:
    path = STATE / f"{name}.npz"
    if not path.exists():
        made = [parts(loops[number], frames) for number in progress(len(loops))]
        audio, tones, replayed = (
            np.stack([loop[part] for loop in made]) for part in ("audio", "tones", "replayed")
        )
        facts = json.dumps([facts_of(loop) for loop in loops])
        np.savez(path, facts=facts, audio=audio, tones=tones, replayed=replayed)


def main() -> None:
    """Write both files."""
    held_out = [
        draw_loop(SEED + 100 * at + number, kind)
        for at, (kind, count) in enumerate(COUNTS.items())
        for number in range(count)
    ]
    data = [
        draw_loop(DATA_SEED + 100 * at + number, kind)
        for at, kind in enumerate(COUNTS)
        for number in range(DATA)
    ]
    _write("references", held_out, FRAMES)
    _write("data", data, DATA_FRAMES)


if __name__ == "__main__":
    main()
