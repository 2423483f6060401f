"""Make what the README shows and plays: ``python -m tools.readme_media`` writes it to ``docs/``."""

from __future__ import annotations

from pathlib import Path

import librosa
import matplotlib as mpl
import numpy as np

import loopwright

mpl.use("Agg")  # needs no display
from matplotlib import pyplot as plt

DOCS = Path(__file__).parent.parent / "docs"

LOOPS_TO_HEAR = {
    "techno-drums.mp3": ("aggressive techno drums 132bpm", 5),
    "piano-chords.mp3": ("house piano chords in f# minor 120bpm", 7),
}
"""Prompts and seeds of loops of 4 bars."""

PROMPTS_TO_SEE = (
    "aggressive techno drums 140bpm",
    "house drum loop 124bpm",
    "hip-hop beat 90bpm",
    "dnb drums 174bpm",
)
"""Prompts of loops of 2 bars, with seed 7."""


def main() -> None:
    """Generate all loops with pocket and write the files."""
    with loopwright.Loopwright(model="pocket") as loops:
        for name, (prompt, seed) in LOOPS_TO_HEAR.items():
            loops.generate(prompt, bars=4, seed=seed).save(DOCS / name)
        drums = [loops.generate(prompt, bars=2, seed=7) for prompt in PROMPTS_TO_SEE]
    draw(drums, DOCS / "drums.png")


def draw(loops: list[loopwright.GeneratedAudio], path: Path) -> None:
    """Draw a mel spectrogram of each of four loops, with its beats as lines."""
    figure, axes = plt.subplots(2, 2, figsize=(14, 6), constrained_layout=True)
    for axis, loop in zip(axes.flat, loops, strict=True):
        mel = librosa.feature.melspectrogram(
            y=loop.audio.mean(0), sr=loop.sample_rate, n_fft=1024, hop_length=128, n_mels=96
        )
        axis.imshow(
            librosa.power_to_db(mel, ref=np.max, top_db=70),
            origin="lower",
            aspect="auto",
            extent=(0, loop.duration, 0, 96),
        )
        beats = 4 * loop.metadata["bars"]
        for beat in range(beats):
            width = 1.2 if beat % 4 == 0 else 0.4
            axis.axvline(beat * loop.duration / beats, color="white", linewidth=width, alpha=0.6)
        axis.set(title=loop.metadata["original_prompt"], xlabel="seconds", yticks=[])
    figure.savefig(path, dpi=72)


if __name__ == "__main__":
    main()
