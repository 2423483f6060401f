"""A model of the stable-audio family whose networks are computed by OpenVINO, on the CPU.

Knows: compiled graphs, and tensors in and out of them. Does not know: how graphs are made, plans.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import openvino
import torch
from tokenizers import Tokenizer
from torch import Tensor

from loopwright.engine.base import Precision
from loopwright.loading.openvino.conversion import (
    AUTOENCODER_FILE,
    CONDITIONS,
    DENOISER,
    KEYS_VALUES,
    TEXT,
    TOKENIZER_FILE,
    graph_file,
)
from loopwright.loading.openvino.pages import release_pages
from loopwright.model.autoencoder import Autoencoder
from loopwright.model.checkpoint import load_strictly, read_tensors
from loopwright.model.conditioning import Conditions
from loopwright.model.config import AutoencoderConfig, ModelConfig
from loopwright.model.stable_audio import AutoencoderNetworks, StableAudio
from loopwright.model.text import characters_read

CHANNELS_A_SCALE = 128
"""Channels that share a scale when what int8 weights are multiplied with is quantised: the quickest of 32 … 1024."""


class Graphs:
    """The graphs of a folder, compiled when they are asked for. threads: 0 is one a core. Used by one thread at a time."""

    def __init__(self, folder: Path, precision: Precision, threads: int) -> None:
        self._folder, self._precision, self._threads = folder, precision, threads
        self._compiled: list[Path] = []
        self._core = openvino.Core()

    @property
    def weight_bytes(self) -> int:
        """Of the weights of those that are compiled."""
        return sum(file.with_suffix(".bin").stat().st_size for file in self._compiled)

    def compiled(self, name: str) -> Network:
        """A graph, ready to run."""
        file = graph_file(self._folder, name, self._precision)
        self._compiled.append(file)
        options: dict[str, object] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",  # or processors that can would take bfloat16
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": CHANNELS_A_SCALE
            if name == DENOISER and self._precision == "int8"
            else 0,
        }
        if self._threads:
            options["INFERENCE_NUM_THREADS"] = self._threads
        return Network(self._core.compile_model(file, "CPU", options), file.with_suffix(".bin"))


class Network:
    """A compiled graph. weights: the file it was compiled from, which it keeps mapped."""

    def __init__(self, compiled: openvino.CompiledModel, weights: Path) -> None:
        self._request = compiled.create_infer_request()
        self._weights: Path | None = weights

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        """The outputs for these inputs, in the graph's order."""
        outputs = self._request.infer(
            [one.contiguous().numpy() for one in inputs], share_inputs=True
        )
        copied = [torch.from_numpy(np.array(one)) for one in outputs.values()]
        if (
            self._weights is not None
        ):  # the first time: only now all weights are packed for the processor
            release_pages(self._weights)
            self._weights = None
        return copied


class OpenVinoModel(StableAudio):
    """Text encoder, conditioning and denoiser as graphs; the autoencoder as it is given."""

    def __init__(
        self, config: ModelConfig, folder: Path, graphs: Graphs, autoencoder: AutoencoderNetworks
    ) -> None:
        super().__init__(config)
        self.autoencoder = autoencoder
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
        self._denoiser = graphs.compiled(DENOISER)
        self._text, self._conditions, self._keys_values = map(
            graphs.compiled, (TEXT, CONDITIONS, KEYS_VALUES)
        )

    def read(self, text: str) -> tuple[Tensor, Tensor]:
        """See ``StableAudio``, and so for all that follow."""
        said = self._tokenizer.encode(text)
        ids, mask = torch.tensor([said.ids]), torch.tensor([said.attention_mask])
        (states,) = self._text(ids, mask)
        return states, mask.bool()

    def characters_read(self, text: str) -> int:  # noqa: D102
        return characters_read(self._tokenizer.encode(text), text)

    def conditions(self, states: Tensor, mask: Tensor, seconds_total: float) -> Conditions:  # noqa: D102
        context, meant, global_cond = self._conditions(
            states, mask.float(), torch.tensor(seconds_total)
        )
        return Conditions(context, meant.bool(), global_cond)

    def keys_values(self, context: Tensor) -> Tensor:  # noqa: D102
        return self._keys_values(context)[0]

    def predict(self, x: Tensor, t: Tensor, keys_values: Tensor, global_cond: Tensor) -> Tensor:  # noqa: D102
        return self._denoiser(x, t, keys_values, global_cond)[0]


class OpenVinoAutoencoder:
    """The autoencoder as graphs. Those of the encoder are compiled when the first request with a source comes."""

    def __init__(self, graphs: Graphs) -> None:
        self._graphs = graphs

    def encode_fine(self, audio: Tensor) -> Tensor:
        """See ``AutoencoderNetworks``, and so for all that follow."""
        return self._encode_fine(audio)[0]

    def encode_coarse(self, fine: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        mean, std = self._encode_coarse(fine)
        return mean, std

    def decode_coarse(self, latents: Tensor) -> Tensor:  # noqa: D102
        return self._decode_coarse(latents)[0]

    def decode_fine(self, coarse: Tensor) -> Tensor:  # noqa: D102
        return self._decode_fine(coarse)[0]

    @cached_property
    def _encode_fine(self) -> Network:
        return self._graphs.compiled("encode_fine")

    @cached_property
    def _encode_coarse(self) -> Network:
        return self._graphs.compiled("encode_coarse")

    @cached_property
    def _decode_coarse(self) -> Network:
        return self._graphs.compiled("decode_coarse")

    @cached_property
    def _decode_fine(self) -> Network:
        return self._graphs.compiled("decode_fine")


def torch_autoencoder(config: AutoencoderConfig, folder: Path) -> Autoencoder:
    """The autoencoder in torch, its weights mapped from the folder: the encoder's are not read before they are needed."""
    with torch.device("meta"):
        autoencoder = Autoencoder(config)
    load_strictly(autoencoder, dict(read_tensors(folder / AUTOENCODER_FILE)))
    return autoencoder.eval().requires_grad_(requires_grad=False)
