"""Runs of the full-size model in int8 and in float32, from the same noise: how far apart they end.

Knows: which graphs are in which precision, how to run a model without a server.
Does not know: how results are shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.distance import mel_distance, relative_error, snr
from bench.scenarios import NEGATIVE_PROMPT, SAMPLE_RATE, STEPS
from loopwright.audio.types import Audio
from loopwright.loading.model_source import ModelSource
from loopwright.loading.openvino.conversion import (
    DENOISER,
    KEYS_VALUES,
    QUANTISED,
    TEXT,
    convert,
)
from loopwright.loading.openvino.model import Graphs, Network, OpenVinoModel, torch_autoencoder
from loopwright.model.base import Sampler, TextPrompt
from loopwright.model.cfg import CFG_OFF, apply_cfg
from loopwright.model.sampling import start_sampler
from loopwright.model.stable_audio import StableAudio
from loopwright.model.tile_pool import TilePool

PROMPTS = (
    "aggressive techno drums 140bpm",
    "house drum loop with piano 140bpm",
    "melody, vocals 140bpm",
    "drums and bass loop, fast 140bpm",
)
HEARD_SAMPLES = 2 * SAMPLE_RATE
"""Length of the loop's beginning that is compared: the rest would only take longer."""

SECONDS_TOTAL = 7
"""Length that the model is told: four bars at 140 bpm."""

CFG_SCALE = 6.0

NOTHING: frozenset[str] = frozenset()
READING = frozenset({TEXT, KEYS_VALUES})
VARIANTS: Mapping[str, frozenset[str]] = {
    "all in int8": QUANTISED,
    "denoiser in int8, the rest in f32": frozenset({DENOISER}),
    "text and its keys and values in int8, the rest in f32": READING,
}
"""The graphs that are in int8."""

ALL, GUIDED, OTHER_SEED = (
    "all in int8",
    "all in int8, cfg_scale 6 and a negative prompt",
    "f32, another seed",
)


@dataclass(frozen=True)
class Made:
    """A run. estimates: of the clean latents after each step; audio: [2, samples]."""

    estimates: Sequence[Tensor]
    audio: Audio


@dataclass(frozen=True)
class Difference:
    """The difference of two runs.

    Args:
        name: What differs.
        first: Relative error of the latents after one step.
        last: The same after all steps.
        snr: In dB.
        mel: Mel distance in dB.
    """

    name: str
    first: float
    last: float
    snr: float
    mel: float


class MixedGraphs(Graphs):
    """Some graphs in int8, the others in float32; each is compiled once for all that use it."""

    def __init__(
        self,
        folder: Path,
        threads: int,
        int8: frozenset[str],
        known: dict[tuple[str, bool], Network],
    ) -> None:
        super().__init__(folder, "f32", threads)
        self._other = Graphs(folder, "int8", threads)
        self._int8, self._known = int8, known

    def compile(self, name: str) -> Network:
        """See ``Graphs``."""
        in_int8 = name in self._int8
        if (name, in_int8) not in self._known:
            self._known[name, in_int8] = (
                self._other.compile(name) if in_int8 else super().compile(name)
            )
        return self._known[name, in_int8]


class Models:
    """The model with any graphs in int8; its autoencoder is always the same one, in torch."""

    def __init__(self, source: ModelSource, cache: Path, threads: int) -> None:
        self.folder = convert(source, cache, "f32")
        convert(source, cache, "int8")  # into the same folder
        self.config, self.threads = source.read_config(), threads
        self._autoencoder = torch_autoencoder(self.config.autoencoder, self.folder)
        self._tile_pool, self._known = TilePool(threads), dict[tuple[str, bool], Network]()

    def with_int8(self, names: frozenset[str]) -> OpenVinoModel:
        """Return the model whose graphs of these names are in int8."""
        graphs = MixedGraphs(self.folder, self.threads, names, self._known)
        model = OpenVinoModel(self.config, self.folder, graphs, self._autoencoder)
        model.tile_pool = self._tile_pool
        return model


def watched(sampler: Sampler, estimates: list[Tensor]) -> Sampler:
    """Run a flow's sampler, and append its estimate of the clean latents at each step."""
    x, t = next(sampler)
    while True:
        output = yield x, t
        estimates.append(x - t * output)
        try:
            x, t = sampler.send(output)
        except StopIteration as end:
            latents: Tensor = end.value
            return latents


@torch.inference_mode()
def estimated(
    model: StableAudio, text: TextPrompt, seed: int, cfg_scale: float, steps: int = STEPS
) -> list[Tensor]:
    """Return the estimates of a whole run; the last is its result."""
    generator, shape = torch.Generator().manual_seed(seed), (model.spec.channels, model.spec.frames)

    def noise() -> Tensor:
        return torch.randn(shape, generator=generator)

    estimates = list[Tensor]()
    sampler = watched(start_sampler("pingpong", model.spec, steps, noise(), noise), estimates)
    run = apply_cfg(sampler, *model.condition(text), cfg_scale)
    rows = next(run)
    while True:
        x, t = torch.stack([row.x for row in rows]), torch.tensor([row.t for row in rows])
        try:
            rows = run.send(model.denoise(x, t, [row.conditioning for row in rows]).unbind())
        except StopIteration:
            return estimates


@torch.inference_mode()
def decoded(model: StableAudio, latents: Tensor) -> Audio:
    """Decode the beginning of the audio, [2, samples]."""
    pieces = [piece.numpy() for piece in model.decode(latents, HEARD_SAMPLES, torch.Generator())]
    audio: Audio = np.concatenate(pieces, axis=1)
    return audio


def made(model: StableAudio, prompt: str, seed: int, cfg_scale: float = CFG_OFF) -> Made:
    """Generate audio; with classifier-free guidance there is a negative prompt, too."""
    negative = None if cfg_scale == CFG_OFF else NEGATIVE_PROMPT
    estimates = estimated(model, TextPrompt(prompt, negative, SECONDS_TOTAL), seed, cfg_scale)
    return Made(estimates, decoded(model, estimates[-1]))


def difference(name: str, one: Made, reference: Made) -> Difference:
    """Compare a run with a reference."""
    return Difference(
        name,
        relative_error(one.estimates[0], reference.estimates[0]),
        relative_error(one.estimates[-1], reference.estimates[-1]),
        snr(one.audio, reference.audio),
        mel_distance(one.audio, reference.audio, SAMPLE_RATE),
    )


def differences(models: Models, prompts: int, seeds: int, parts: int) -> Iterator[Difference]:
    """Compare all runs, as they end.

    Args:
        models: The model in every precision.
        prompts: How many prompts to measure.
        seeds: Seeds per prompt.
        parts: Of how many prompts to measure single parts and guidance, with one seed.
    """
    exact, int8 = models.with_int8(NOTHING), models.with_int8(QUANTISED)
    for number, prompt in enumerate(PROMPTS[:prompts]):
        first = made(exact, prompt, 0)
        for name, in_int8 in VARIANTS.items():
            if name == ALL or number < parts:
                yield difference(name, made(models.with_int8(in_int8), prompt, 0), first)
        for seed in range(1, seeds):
            take = made(exact, prompt, seed)
            yield difference(OTHER_SEED, take, first)
            yield difference(ALL, made(int8, prompt, seed), take)
        if number < parts:
            yield difference(
                GUIDED, made(int8, prompt, 0, CFG_SCALE), made(exact, prompt, 0, CFG_SCALE)
            )
