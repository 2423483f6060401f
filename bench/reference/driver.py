"""The reference as its users run it, behind a pipe, in an environment of its own.

Reads one request per line from standard input (JSON, see ``make``) and answers each with a line on
standard output: ``{"ready": true}`` once the model is loaded, then
``{"seconds": …, "stages": {…}}`` per request. What the package itself prints goes to stderr.
Loopwright is not imported.
Knows: stable-audio-tools. Does not know: what is measured, or why.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import wave
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

STOOD_IN_FOR = ("torchaudio", "torchaudio.transforms", "k_diffusion")
"""Imported by the package, never called here.

They are for resampling (audio comes at the model's rate) and samplers of other objectives.
flash-attn is optional to it, and for GPUs.
"""

SECONDS_TOTAL = 12
"""Length that the model is told: its window, rounded up, as for all loops."""

stages: dict[str, float] = {}
"""Seconds by stage of the request being made."""


def main() -> None:
    """Load the model, then answer requests until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    given = parser.parse_args()
    answers, sys.stdout = sys.stdout, sys.stderr
    torch.set_num_threads(given.threads)
    model, sample_size = load(given.model)
    print(json.dumps({"ready": True, "torch": torch.__version__}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(make(model, sample_size, json.loads(line))), file=answers, flush=True)


def load(folder: Path) -> tuple[Any, int]:
    """Load the model in a folder, strictly; return it and its window in samples."""
    _stand_in()
    from stable_audio_tools.models.factory import create_model_from_config
    from stable_audio_tools.models.utils import load_ckpt_state_dict

    _text_encoder_from(folder / "text_encoder")
    config = json.loads((folder / "model_config.json").read_text())
    model = create_model_from_config(config)
    model.load_state_dict(load_ckpt_state_dict(str(folder / "model.safetensors")), strict=True)
    model = model.to("cpu")
    model.conditioner.forward = _timed("conditioning", model.conditioner.forward)
    model.model.forward = _timed("denoising", model.model.forward)
    model.pretransform.encode = _timed("encoding", model.pretransform.encode)
    model.pretransform.decode = _timed("decoding", model.pretransform.decode)
    return model, config["sample_size"]


def make(model: Any, sample_size: int, request: Mapping[str, Any]) -> dict[str, Any]:
    """Generate audio as the package's documentation does: a whole window, cut, scaled to 16 bits.

    Args:
        model: The package's model.
        sample_size: Its window in samples.
        request: prompt, negative_prompt, steps, cfg_scale, seed, samples (how many are kept),
            init_audio (a WAV file or null), init_noise_level; save: a file for the audio as
            float32 [2, samples], unscaled and not timed, or null.
    """
    stages.clear()
    began = time.perf_counter()
    audio = _generate(model, sample_size, request)[0, :, : request["samples"]].to(torch.float32)
    audio.div(audio.abs().max()).clamp(-1, 1).mul(32767).to(torch.int16)
    seconds = time.perf_counter() - began
    if request["save"] is not None:
        np.save(request["save"], audio.numpy())
    return {"seconds": seconds, "stages": dict(stages)}


def _generate(model: Any, sample_size: int, request: Mapping[str, Any]) -> Tensor:
    from stable_audio_tools.inference.generation import generate_diffusion_cond

    negative, source = request["negative_prompt"], request["init_audio"]
    of_source = (
        {}
        if source is None
        else {"init_audio": _read(source), "init_noise_level": request["init_noise_level"]}
    )
    audio: Tensor = generate_diffusion_cond(
        model,
        steps=request["steps"],
        cfg_scale=request["cfg_scale"],
        conditioning=_conditioning(request["prompt"]),
        negative_conditioning=None if negative is None else _conditioning(negative),
        sample_size=sample_size,
        sampler_type="pingpong",
        seed=request["seed"],
        device="cpu",
        **of_source,
    )
    return audio


def _conditioning(prompt: str) -> list[dict[str, object]]:
    return [{"prompt": prompt, "seconds_total": SECONDS_TOTAL}]


def _read(path: str) -> tuple[int, Tensor]:
    """Read a 16-bit WAV file: its rate and its audio, [channels, samples]."""
    with wave.open(path) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(
            -1, file.getnchannels()
        )
        return file.getframerate(), torch.from_numpy(samples.T.astype(np.float32) / 32768)


def _timed(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            stages[stage] = stages.get(stage, 0.0) + time.perf_counter() - began

    return timed


def _stand_in() -> None:
    """Import the package with empty modules in place of those that are not used here.

    They are removed again: the transformers library would look at them to see what it can do.
    """
    for name in STOOD_IN_FOR:
        sys.modules[name] = ModuleType(name)
    sys.modules["torchaudio"].transforms = sys.modules["torchaudio.transforms"]  # type: ignore[attr-defined]
    sys.modules["torchaudio.transforms"].Resample = None  # type: ignore[attr-defined]
    from stable_audio_tools.models import autoencoders, diffusion

    assert autoencoders
    assert diffusion
    for name in STOOD_IN_FOR:
        del sys.modules[name]


def _text_encoder_from(folder: Path) -> None:
    """Make the package load its text encoder from a folder instead of the hub."""
    import transformers

    for kind in (transformers.AutoTokenizer, transformers.T5EncoderModel):
        kind.from_pretrained = _from(folder, kind.from_pretrained)  # type: ignore[method-assign]


def _from(folder: Path, load_it: Callable[..., Any]) -> Callable[..., Any]:
    return staticmethod(lambda _name, **options: load_it(folder, local_files_only=True, **options))


if __name__ == "__main__":
    main()
