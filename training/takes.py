"""What a model makes of the evaluation's prompts and sounds, written as audio; nothing is measured here.

It knows a model only by ``LatentModel``: `takes v0` is of the package's model, `takes new training/state/new` of new weights.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from loopwright.model.base import LatentModel, TextPrompt
from loopwright.model.flow_samplers import euler
from loopwright.model.guidance import guided
from loopwright.model.pocket.layers import HOP, SAMPLE_RATE
from loopwright.model.pocket.model import load_pocket
from loopwright.model.schedules import linear_times, log_snr_times
from loopwright.music.prompt import LoopType, words_for
from training.model.model import load_pocket_from

STATE = Path(__file__).parent / "state"
FRAMES = 172
"""8 s."""
STEPS, GUIDANCE = 12, 2.0

DRUM_STYLES = (
    ("aggressive techno drums", (128, 140)), ("minimal techno drum loop", (124, 132)), ("house drum loop", (118, 126)),
    ("trap drums", (130, 144)), ("dnb drums", (170, 176)), ("breakbeat drum beat", (110, 132)),
    ("dark house drums", (120, 128)), ("energetic dnb drum loop", (168, 174)),
)  # fmt: skip
"""Straight ones: what swings is late on purpose."""
KEYS = (
    ("c", 0, True),
    ("a", 9, True),
    ("f#", 6, True),
    ("d", 2, False),
    ("g", 7, True),
    ("c", 0, False),
    ("e", 4, True),
    ("a#", 10, False),
)
BASS_WORDS = ("techno acid bass", "house bassline", "dnb reese bass", "trap sub bass")
CHORD_WORDS = (
    "ambient pads",
    "house piano chords",
    "hip-hop rhodes chords",
    "techno arpeggio",
    "house chord stabs",
    "trap bells",
)
MIX_WORDS = (
    "hip-hop beat with pianos",
    "house drums with bassline and keys",
    "dnb beat with reese bass",
    "techno drums with acid bass and chord stabs",
)
TEMPI = {"techno": 132, "house": 124, "dnb": 174, "trap": 140, "ambient": 80, "hip-hop": 88}
UNDECIDED = ("techno 130bpm", "house groove 124bpm", "dnb 174bpm", "hip-hop 88bpm", "dark ambient 80bpm")
STYLE_PROMPTS = ("aggressive techno drums {bpm}bpm", "breakbeat drums {bpm}bpm")
STRENGTHS = (0.3, 0.6, 1.0)


@dataclass(frozen=True)
class Take:
    """One piece of audio: what for, which prompt, and what is true of it if it did as asked."""

    group: str
    name: str
    prompt: str
    seed: int
    kind: str = "drums"
    loop_type: LoopType = "auto"
    root: int | None = None
    minor: bool = True
    source: int | None = None
    strength: float = 1.0

    @property
    def bpm(self) -> float:
        """The tempo the prompt names."""
        return float(self.prompt.rsplit(" ", 1)[-1].removesuffix("bpm"))


def prompted() -> Iterator[Take]:
    """Drums, basses, chords and mixes; then the loop types; then seeds."""
    for style, tempi in DRUM_STYLES:
        for number, bpm in enumerate(tempi):
            for seed in range(2):
                yield Take("prompted", f"drums {style} {bpm} {seed}", f"{style} {bpm}bpm", 10 * seed + number)
    for kind, words, roots in (("bass", BASS_WORDS, KEYS), ("chords", CHORD_WORDS, KEYS), ("mix", MIX_WORDS, KEYS[:6])):
        for number, (key, root, minor) in enumerate(roots):
            for one in words[number % 2 :: 2]:
                prompt = f"{one} in {key} {'minor' if minor else 'major'} {TEMPI[one.split()[0]]}bpm"
                yield Take("prompted", f"{kind} {prompt}", prompt, 100 + number, kind, root=root, minor=minor)


def undecided() -> Iterator[Take]:
    """Prompts that leave open what plays, for each loop type."""
    types: tuple[LoopType, ...] = ("auto", "drums", "instruments")
    for prompt in UNDECIDED:
        for loop_type in types:
            for seed in range(2):
                yield Take("types", f"{loop_type} {prompt} {seed}", prompt, 300 + seed, loop_type=loop_type)


def restyled(sources: list[dict[str, object]]) -> Iterator[Take]:
    """Drum loops under another prompt at three strengths."""
    drums = [number for number, source in enumerate(sources) if source["kind"] == "drums" and source["swing"] == 0]
    for number in drums[:8]:
        for strength in STRENGTHS:
            prompt = STYLE_PROMPTS[number % 2].format(bpm=round(float(str(sources[number]["bpm"]))))
            yield Take("styles", f"{number} at {strength}", prompt, 400, source=number, strength=strength)


@torch.inference_mode()
def made(model: LatentModel, take: Take, sources: NDArray[np.float32]) -> Tensor:
    """The take's latents, [channels, frames]."""
    words = words_for(take.loop_type, take.prompt, None)
    text = TextPrompt(words.prompt, words.negative_prompt, FRAMES * HOP / SAMPLE_RATE, take.bpm)
    x = torch.randn(model.spec.channels, FRAMES, generator=torch.Generator().manual_seed(take.seed))
    if take.source is not None:
        latents = encoded(model, sources[take.source])
        x = latents * (1 - take.strength) + x[:, : latents.shape[1]] * take.strength
    times_of = linear_times if model.spec.schedule == "linear" else log_snr_times
    walk = guided(euler(x, times_of(STEPS, take.strength)), *model.condition(text), GUIDANCE)
    rows = next(walk)
    while True:
        try:
            times, conditioning = torch.tensor([row.t for row in rows]), [row.conditioning for row in rows]
            rows = walk.send(tuple(model.denoise(torch.stack([row.x for row in rows]), times, conditioning)))
        except StopIteration as end:
            made_of_noise: Tensor = end.value
            return made_of_noise


def decoded(model: LatentModel, latents: Tensor) -> NDArray[np.float32]:
    """latents: [channels, frames] -> [2, samples]"""
    pieces = list(model.decode(latents, latents.shape[1] * HOP, torch.Generator().manual_seed(0)))
    return torch.cat(pieces, -1).numpy()


def encoded(model: LatentModel, audio: NDArray[np.float32]) -> Tensor:
    """[2, samples], whole frames -> latents, [channels, frames]"""
    encoding = model.encode(torch.from_numpy(audio), audio.shape[1] // HOP)
    while True:
        try:
            next(encoding)
        except StopIteration as end:
            latents: Tensor = end.value.mean
            return latents


@torch.inference_mode()
def main() -> None:
    """``takes NAME [FOLDER]``: of the embedded model, or of the weights in a folder."""
    name, *folder = sys.argv[1:]
    model: LatentModel = load_pocket_from(Path(folder[0])) if folder else load_pocket()
    with np.load(STATE / "references.npz") as held:
        sources, facts = held["audio"], json.loads(str(held["facts"]))
    started = time.monotonic()
    again = np.stack([decoded(model, encoded(model, audio)) for audio in sources])
    print("reconstructed in", round(time.monotonic() - started), "s", flush=True)
    takes = [*prompted(), *undecided(), *restyled(facts)]
    audio = [decoded(model, made(model, take, sources)) for take in takes]
    print(len(takes), "takes after", round(time.monotonic() - started), "s", flush=True)
    held = {f"take{number}": one.astype(np.float16) for number, one in enumerate(audio)}
    held["again"] = again.astype(np.float16)
    (STATE / f"takes_{name}.json").write_text(json.dumps([asdict(take) for take in takes]))
    with (STATE / f"takes_{name}.npz").open("wb") as file:
        np.savez(file, **held)


if __name__ == "__main__":
    main()
