"""Stage `pictures`: draws the spectrograms of docs/pocket-evaluation.md.

`python -m training.pictures v0 new` reads the takes of these names, one column each.
"""

from __future__ import annotations

import sys
from pathlib import Path

import librosa
import matplotlib as mpl
import numpy as np

from loopwright.audio.types import Audio
from training.evaluate import Sounds, read, read_takes
from training.stage import SHARE, STATE
from training.synth.drum_sounds import SAMPLE_RATE

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

SHOWN_IN = Path(__file__).parents[1] / "docs" if SHARE == 1 else STATE
SECONDS = 4.0
SHOWN = (
    "drums techno",
    "drums breakbeat",
    "bass techno",
    "bass dnb",
    "chords ambient",
    "chords house piano",
    "chords techno",
    "mix house",
)


def draw(axis: Axes, audio: Audio, title: str) -> None:
    """Draw a constant-Q spectrogram of mid: 36 bins per octave from C1."""
    mono = audio.mean(0)[: int(SECONDS * SAMPLE_RATE)]
    level = np.abs(
        librosa.cqt(mono, sr=SAMPLE_RATE, hop_length=512, fmin=32.7, n_bins=300, bins_per_octave=36)
    )
    axis.imshow(
        librosa.amplitude_to_db(level + 1e-5),
        origin="lower",
        aspect="auto",
        vmin=-50,
        vmax=10,
        cmap="magma",
    )
    axis.set_title(title, fontsize=9)
    axis.axis("off")


def reproductions(names: list[str]) -> None:
    """Draw held-out loops and each model's reconstruction."""
    references = read("references")
    made = [read_takes(name)[1] for name in names]
    chosen = [
        next(n for n, facts in enumerate(references.facts) if facts["kind"] == kind) + 1
        for kind in ("drums", "bass", "chords", "mix")
    ]
    figure, axes = plt.subplots(
        len(chosen), len(names) + 1, figsize=(5 * (len(names) + 1), 2.6 * len(chosen))
    )
    for row, number in zip(axes, chosen, strict=True):
        facts = references.facts[number]
        draw(row[0], references.audio[number], f"held out: {facts['genre']} {facts['kind']}")
        for axis, name, again in zip(row[1:], names, made, strict=True):
            draw(axis, again[number], name)
    figure.tight_layout()
    figure.savefig(SHOWN_IN / "pocket_reproduced.png", dpi=60)


def generated(names: list[str]) -> None:
    """Draw the loops that each model generates from the same prompts."""
    takes = [read_takes(name)[0] for name in names]
    figure, axes = plt.subplots(
        len(SHOWN), len(names), figsize=(6 * len(names), 2.4 * len(SHOWN)), squeeze=False
    )
    for row, start in zip(axes, SHOWN, strict=True):
        number = _first(takes[0], start)
        for axis, name, own in zip(row, names, takes, strict=True):
            draw(axis, own.audio[number], f"{name}: {own.facts[number]['prompt']}")
    figure.tight_layout()
    figure.savefig(SHOWN_IN / "pocket_generated.png", dpi=60)


def _first(takes: Sounds, start: str) -> int:
    return next(
        number for number, facts in enumerate(takes.facts) if facts["name"].startswith(start)
    )


if __name__ == "__main__":
    reproductions(sys.argv[1:])
    generated(sys.argv[1:])
