"""Stage `takes`: generates audio from the evaluation's prompts and sources; measures nothing.

A model is used as a ``LatentModel`` only: `takes new` uses the weights in `state/new`, `takes NAME
--embedded` the package's model. For an older version, put its ``src`` first in PYTHONPATH.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tools.run_model import run_denoising, run_encoding
from torch import Tensor

from loopwright.model.base import LatentModel, TextPrompt
from loopwright.model.cfg import apply_cfg
from loopwright.model.flow_samplers import euler
from loopwright.model.inpainting import guide_latents
from loopwright.model.pocket.layers import HOP, SAMPLE_RATE
from loopwright.model.pocket.model import load_pocket, load_pocket_from
from loopwright.model.schedules import log_snr_times
from loopwright.music.prompt import LoopType, words_for
from training.stage import STATE

FRAMES = 172
"""8 s."""
STEPS, CFG_SCALE = 12, 2.0

DRUM_STYLES = (
    ("aggressive techno drums", (128, 140)),
    ("minimal techno drum loop", (124, 132)),
    ("house drum loop", (118, 126)),
    ("trap drums", (130, 144)),
    ("dnb drums", (170, 176)),
    ("breakbeat drum beat", (110, 132)),
    ("dark house drums", (120, 128)),
    ("energetic dnb drum loop", (168, 174)),
)
"""Styles without swing, whose late onsets would count as errors; each with its tempi."""
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
UNDECIDED = (
    "techno 130bpm",
    "house groove 124bpm",
    "dnb 174bpm",
    "hip-hop 88bpm",
    "dark ambient 80bpm",
)
STYLE_PROMPTS = ("aggressive techno drums {bpm}bpm", "breakbeat drums {bpm}bpm")
STRENGTHS = (0.3, 0.6, 1.0)
WITHOUT = (
    ("house drums with bassline and keys 124bpm", "drums"),
    ("hip-hop beat with pianos 88bpm", "drums"),
    ("dnb beat with reese bass 174bpm", "drums"),
    ("house bassline and piano chords 124bpm", "bass"),
    ("techno acid bass and chord stabs 132bpm", "bass"),
    ("techno drums 132bpm", "kick"),
    ("house drum loop 124bpm", "kick"),
    ("house drum loop 126bpm", "hi-hats"),
    ("techno drums 130bpm", "hi-hats"),
)
"""Prompts, each with a part for the negative prompt."""
GUIDE_STRENGTH = 5.0
"""The service's default."""


@dataclass(frozen=True)
class Take:
    """A piece of audio to generate: its measure, its prompt, and what is expected of it."""

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
    negative: str | None = None
    without: str | None = None
    has_guide: bool = False

    @property
    def bpm(self) -> float:
        """The tempo that the prompt names."""
        return float(self.prompt.rsplit(" ", 1)[-1].removesuffix("bpm"))


def prompted() -> Iterator[Take]:
    """Yield takes of drums, basses, chords and mixes."""
    for style, tempi in DRUM_STYLES:
        for number, bpm in enumerate(tempi):
            for seed in range(2):
                yield Take(
                    "prompted",
                    f"drums {style} {bpm} {seed}",
                    f"{style} {bpm}bpm",
                    10 * seed + number,
                )
    for kind, words, roots in (
        ("bass", BASS_WORDS, KEYS),
        ("chords", CHORD_WORDS, KEYS),
        ("mix", MIX_WORDS, KEYS[:6]),
    ):
        for number, (key, root, minor) in enumerate(roots):
            for one in words[number % 2 :: 2]:
                prompt = (
                    f"{one} in {key} {'minor' if minor else 'major'} {TEMPI[one.split()[0]]}bpm"
                )
                yield Take(
                    "prompted",
                    f"{kind} {prompt}",
                    prompt,
                    100 + number,
                    kind,
                    root=root,
                    minor=minor,
                )


def undecided() -> Iterator[Take]:
    """Yield takes of prompts that name no instruments, for each loop type."""
    types: tuple[LoopType, ...] = ("auto", "drums", "instruments")
    for prompt in UNDECIDED:
        for loop_type in types:
            for seed in range(2):
                yield Take(
                    "types", f"{loop_type} {prompt} {seed}", prompt, 300 + seed, loop_type=loop_type
                )


def restyled(sources: list[dict[str, object]]) -> Iterator[Take]:
    """Yield style transfers of drum loops at three strengths."""
    drums = [
        number
        for number, source in enumerate(sources)
        if source["kind"] == "drums" and source["swing"] == 0
    ]
    for number in drums[:8]:
        for strength in STRENGTHS:
            prompt = STYLE_PROMPTS[number % 2].format(bpm=round(float(str(sources[number]["bpm"]))))
            yield Take(
                "styles", f"{number} at {strength}", prompt, 400, source=number, strength=strength
            )


def negated() -> Iterator[Take]:
    """Yield prompts for several parts, with and without one of them in the negative prompt."""
    for prompt, without in WITHOUT:
        for seed in range(2):
            for negative in (None, without):
                name = f"{prompt} without {negative} {seed}"
                yield Take(
                    "negatives", name, prompt, 500 + seed, negative=negative, without=without
                )


def guided_loops(sources: list[dict[str, object]]) -> Iterator[Take]:
    """Yield drum loops whose first bar is guided, and the same prompts without a source."""
    drums = [
        number
        for number, source in enumerate(sources)
        if source["kind"] == "drums" and source["swing"] == 0
    ]
    for number in drums[:8]:
        prompt = STYLE_PROMPTS[number % 2].format(bpm=round(float(str(sources[number]["bpm"]))))
        yield Take("guided", f"{number} guided", prompt, 600, source=number, has_guide=True)
        yield Take("guided", f"{number} free", prompt, 600)


@torch.inference_mode()
def generate(model: LatentModel, take: Take, sources: NDArray[np.float32]) -> Tensor:
    """Generate a take's latents, [channels, frames]."""
    words = words_for(take.loop_type, take.prompt, take.negative)
    text = TextPrompt(words.prompt, words.negative_prompt, FRAMES * HOP / SAMPLE_RATE, take.bpm)
    x = torch.randn(model.spec.channels, FRAMES, generator=torch.Generator().manual_seed(take.seed))
    latents = None if take.source is None else encode(model, sources[take.source])
    if latents is not None:
        x = x[:, : latents.shape[1]]
        x = x if take.has_guide else latents * (1 - take.strength) + x * take.strength
    sampler = euler(x, log_snr_times(STEPS, take.strength))
    if take.has_guide and latents is not None:
        first_bar = (torch.arange(x.shape[1]) < 240 / take.bpm * SAMPLE_RATE / HOP).float()
        sampler = guide_latents(sampler, latents, first_bar, GUIDE_STRENGTH)
    return run_denoising(model, apply_cfg(sampler, *model.condition(text), CFG_SCALE))


def decode(model: LatentModel, latents: Tensor) -> NDArray[np.float32]:
    """Decode latents [channels, frames] to audio [2, samples]."""
    pieces = list(model.decode(latents, latents.shape[1] * HOP, torch.Generator().manual_seed(0)))
    return torch.cat(pieces, -1).numpy()


def encode(model: LatentModel, audio: NDArray[np.float32]) -> Tensor:
    """Encode audio [2, samples], whole frames, as latents [channels, frames]."""
    return run_encoding(model.encode(torch.from_numpy(audio), audio.shape[1] // HOP)).mean


@torch.inference_mode()
def main() -> None:
    """Generate all takes, and reconstruct the references."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("name")
    options.add_argument(
        "--embedded",
        action="store_true",
        help="use the package's model, not the weights in state/NAME",
    )
    chosen = options.parse_args()
    name = chosen.name
    model: LatentModel = load_pocket() if chosen.embedded else load_pocket_from(STATE / name)
    with np.load(STATE / "references.npz") as held:
        sources, facts = held["audio"], json.loads(str(held["facts"]))
    started = time.monotonic()
    again = np.stack([decode(model, encode(model, audio)) for audio in sources])
    print("reconstructed in", round(time.monotonic() - started), "s", flush=True)
    takes = [*prompted(), *undecided(), *negated(), *restyled(facts), *guided_loops(facts)]
    audio = [decode(model, generate(model, take, sources)) for take in takes]
    print(len(takes), "takes after", round(time.monotonic() - started), "s", flush=True)
    held = {f"take{number}": one.astype(np.float16) for number, one in enumerate(audio)}
    held["again"] = again.astype(np.float16)
    (STATE / f"takes_{name}.json").write_text(json.dumps([asdict(take) for take in takes]))
    with (STATE / f"takes_{name}.npz").open("wb") as file:
        np.savez(file, **held)


if __name__ == "__main__":
    main()
