"""Draws the picture of the README: `python docs/spectrograms.py` writes docs/drums.png."""

from __future__ import annotations

import asyncio
from pathlib import Path

import librosa
import matplotlib as mpl
import numpy as np

from loopwright.generation.assemble import assemble
from loopwright.generation.result import Generation
from loopwright.kinds.loop import LoopRequest
from loopwright.settings import Settings

mpl.use("Agg")
from matplotlib import pyplot as plt

PROMPTS = (
    "aggressive techno drums 140bpm",
    "house drum loop 124bpm",
    "hip-hop beat 90bpm",
    "dnb drums 174bpm",
)


async def make() -> list[Generation]:
    """Two bars of each prompt."""
    service = assemble(Settings(model="pocket", log_level="error"))
    loops = [
        await service.generate_one(LoopRequest(prompt=prompt, bars=2, seed=7)) for prompt in PROMPTS
    ]
    service.close()
    return loops


def draw(loops: list[Generation], path: Path) -> None:
    """A mel spectrogram each, with beats as lines."""
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
        beat = 60 / float(loop.plan.bpm or 120)
        for number in range(8):
            axis.axvline(
                number * beat, color="white", linewidth=1.2 if number % 4 == 0 else 0.4, alpha=0.6
            )
        axis.set(title=loop.plan.original_prompt, xlabel="seconds", yticks=[])
    figure.savefig(path, dpi=72)


if __name__ == "__main__":
    draw(asyncio.run(make()), Path(__file__).parent / "drums.png")
