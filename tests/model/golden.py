"""The reference's own numbers, and what our code makes of the same inputs.

``python -m tests.model.golden`` prints the largest relative error of every vector.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from tools.run_model import NoText, run_denoising, run_encoding
from torch import Tensor

from loopwright.model.base import Gaussian, Sampler
from loopwright.model.cfg import apply_cfg
from loopwright.model.checkpoint import read_tensors
from loopwright.model.conditioning import Conditions
from loopwright.model.files import files_in
from loopwright.model.sampling import start_sampler
from loopwright.model.stable_audio import StableAudioModel, load_stable_audio, read_config
from loopwright.model.text import TextEncoder

GOLDEN = Path(__file__).parent.parent / "golden"
MODELS = ("saos-tiny", "sao1-tiny")
INPUTS = re.compile(r"audio\.in|dit\.x|text\d\..*")
STOCHASTIC = re.compile(r"gen\.dpmpp-[23]m-sde\..*")
"""Their noise comes from another source than the reference's.

They are compared as distributions, elsewhere.
"""

SECONDS = 11.0


def load_folder(folder: Path, text_encoder: TextEncoder) -> StableAudioModel:
    """Load a model from a folder of stable-audio-tools."""
    files = files_in(folder)
    return load_stable_audio(read_config(files.config), read_tensors(files.weights), text_encoder)


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    """Return the largest difference, relative to the largest value."""
    assert ours.shape == theirs.shape
    return float((ours.double() - theirs.double()).abs().max() / theirs.double().abs().max())


class Golden:
    """A small checkpoint, its vectors, and how each is made."""

    def __init__(self, name: str) -> None:
        self.vectors = load_file(GOLDEN / name / "vectors.safetensors")
        self.model = load_folder(GOLDEN / name, NoText())

    @property
    def names(self) -> list[str]:
        """The vectors that can be compared number by number."""
        return [
            name
            for name in sorted(self.vectors)
            if not INPUTS.fullmatch(name) and not STOCHASTIC.fullmatch(name)
        ]

    @torch.inference_mode()
    def make(self, name: str) -> Tensor:
        """Compute what corresponds to a vector, with its batch dimension."""
        kind, _, rest = name.partition(".")
        match kind:
            case "number":
                return self._number(rest)
            case "cond":
                return self._cond(rest)
            case "dit":
                return self._one_evaluation(rest)
            case "vae":
                return self._vae(rest)
            case "audio":
                return self.decode(self.run(rest)[0])[None]
            case _:
                return self.run(rest)

    def conditions(self, *, negative: bool) -> Conditions:
        which = ["text0", "text1"] if negative else ["text0"]
        states = torch.cat([self.vectors[f"{text}.last_hidden_state"].float() for text in which])
        mask = torch.cat([self.vectors[f"{text}.attention_mask"].bool() for text in which])
        return self.model.conditions(states, mask, SECONDS)

    def audio(self) -> Tensor:
        padded = torch.zeros(2, self.model.spec.window_samples)
        audio = self.vectors["audio.in"]
        padded[:, : audio.shape[1]] = audio
        return padded

    @torch.inference_mode()
    def run(self, rest: str) -> Tensor:
        """Make the latents of a whole run, [1, channels, frames].

        ``rest`` is ``SAMPLER.[strengthX.]cfgC[neg].stepsN.seedS``.
        """
        found = re.fullmatch(
            r"([\w-]+)\.(?:strength([\d.]+)\.)?cfg(\d+)(neg)?\.steps(\d+)\.seed(\d+)", rest
        )
        assert found, rest
        name, strength, cfg_scale, negative, steps, seed = found.groups()
        generator = torch.Generator().manual_seed(int(seed))
        noise = self._noise(generator)
        # the style vectors were made with the negative prompt left out
        pair = self.model.conditioning_pair(self.conditions(negative=negative is not None))
        init = None if strength is None else self.encode().sample(generator)
        sampler = start_sampler(
            name,
            self.model.spec,
            int(steps),
            noise,
            lambda: self._noise(generator),
            init,
            float(strength or 1),
        )
        return run_denoising(self.model, apply_cfg(sampler, *pair, float(cfg_scale)))[None]

    def encode(self) -> Gaussian:
        return run_encoding(self.model.encode(self.vectors["audio.in"], self.model.spec.frames))

    def decode(self, latents: Tensor) -> Tensor:
        samples = self.model.spec.frames * self.model.spec.hop
        return torch.cat(list(self.model.decode(latents, samples, torch.Generator())), -1)

    def _noise(self, generator: torch.Generator) -> Tensor:
        return torch.randn(self.model.spec.channels, self.model.spec.frames, generator=generator)

    def _number(self, rest: str) -> Tensor:
        name, _, value = rest.partition(".")
        embedded: Tensor = self.model.conditioner.numbers[name](torch.tensor(float(value)))
        return embedded[None, None]

    def _cond(self, rest: str) -> Tensor:
        conditions = self.conditions(negative=True)
        match rest:
            case "cross_attn":
                return conditions.context[:1]
            case "negative_cross_attn":
                return conditions.context[1:]
            case "negative_cross_attn_mask":
                return conditions.mask[1:]
            case _:
                return conditions.global_cond[:1]

    def _one_evaluation(self, rest: str) -> Tensor:
        kind, _, time = rest.partition(".t")
        cfg_scale = {"cond": 1.0, "cfg3": 3.0, "cfg6.negative": 6.0}[kind]
        pair = self.model.conditioning_pair(self.conditions(negative="negative" in kind))
        sampler = evaluated_once(self.vectors["dit.x"][0], float(time))
        return run_denoising(self.model, apply_cfg(sampler, *pair, cfg_scale))[None]

    def _vae(self, rest: str) -> Tensor:
        match rest:
            case "encoder_out":
                out: Tensor = self.model.autoencoder.encoder(self.audio()[None])
                return out
            case "sampled_seed3":
                return self.encode().sample(torch.Generator().manual_seed(3))[None]
            case _:
                return self.decode(self.vectors["dit.x"][0])[None]


def evaluated_once(x: Tensor, t: float) -> Sampler:
    """A sampler that returns the first output it is sent."""
    return (yield x, t)


@cache
def golden(name: str) -> Golden:
    """Load a model once."""
    return Golden(name)


def main() -> None:
    for model in MODELS:
        made = golden(model)
        for name in made.names:
            error = relative_error(made.make(name), made.vectors[name])
            print(f"| {model} | {name} | {error:.1e} |")  # noqa: T201


if __name__ == "__main__":
    main()
