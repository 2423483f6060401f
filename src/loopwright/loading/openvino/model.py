"""A model of the stable-audio family whose networks are computed by OpenVINO, on the CPU.

Knows: compiled graphs, and tensors in and out of them. Does not know: how graphs are made, plans.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino
import torch
from tokenizers import Tokenizer
from torch import Tensor

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
from loopwright.model.family import Precision
from loopwright.model.stable_audio import AutoencoderNetworks, StableAudio
from loopwright.model.text import characters_read

CHANNELS_PER_SCALE = 128
"""Channels of an activation that share a scale when it is quantised: the quickest of 32 … 1024."""


class Graphs:
    """The graphs of a folder, compiled when they are asked for. Used by one thread at a time.

    Args:
        folder: Where the graphs lie.
        precision: The precision of the quantised graphs.
        threads: CPU threads; 0 is one per core.
    """

    def __init__(self, folder: Path, precision: Precision, threads: int) -> None:
        self._folder, self._precision, self._threads = folder, precision, threads
        self._compiled: list[Path] = []
        self._core = openvino.Core()

    @property
    def weight_bytes(self) -> int:
        """The bytes of the weights of the graphs that are compiled."""
        return sum(file.with_suffix(".bin").stat().st_size for file in self._compiled)

    def compile(self, name: str) -> Network:
        """Compile a graph."""
        file = graph_file(self._folder, name, self._precision)
        self._compiled.append(file)
        quantises_activations = name == DENOISER and self._precision == "int8"
        options: dict[str, object] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",  # or processors that can would take bfloat16
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": CHANNELS_PER_SCALE if quantises_activations else 0,
        }
        if self._threads:
            options["INFERENCE_NUM_THREADS"] = self._threads
        compiled = self._core.compile_model(file, "CPU", options)
        return Network(compiled, file.with_suffix(".bin"))


class Network:
    """A compiled graph.

    Args:
        compiled: The graph.
        weights: The file it was compiled from, which OpenVINO keeps mapped.
    """

    def __init__(self, compiled: openvino.CompiledModel, weights: Path) -> None:
        self._request = compiled.create_infer_request()
        self._weights: Path | None = weights

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        """Return the outputs for these inputs, in the graph's order."""
        arrays = [tensor.contiguous().numpy() for tensor in inputs]
        outputs = self._request.infer(arrays, share_inputs=True)
        copied = [torch.from_numpy(np.array(output)) for output in outputs.values()]
        if self._weights is not None:
            # after the first call, since only then all weights are packed for the processor
            release_pages(self._weights)
            self._weights = None
        return copied


class OpenVinoModel(StableAudio):
    """A model whose text encoder, conditioner and denoiser are graphs.

    Args:
        config: The model's configuration.
        folder: Where the tokenizer lies, beside the graphs.
        graphs: The graphs.
        autoencoder: Its networks, as graphs or in torch.
    """

    def __init__(
        self, config: ModelConfig, folder: Path, graphs: Graphs, autoencoder: AutoencoderNetworks
    ) -> None:
        super().__init__(config)
        self.autoencoder = autoencoder
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
        self._denoiser = graphs.compile(DENOISER)
        self._text = graphs.compile(TEXT)
        self._conditions = graphs.compile(CONDITIONS)
        self._keys_values = graphs.compile(KEYS_VALUES)

    def read(self, text: str) -> tuple[Tensor, Tensor]:
        """Return a text's hidden states and which tokens are words; see ``StableAudio.read``."""
        tokens = self._tokenizer.encode(text)
        ids, mask = torch.tensor([tokens.ids]), torch.tensor([tokens.attention_mask])
        (states,) = self._text(ids, mask)
        return states, mask.bool()

    def characters_read(self, text: str) -> int:
        """Return how many characters of a text are read before it is cut off."""
        return characters_read(self._tokenizer.encode(text), text)

    def conditions(self, states: Tensor, mask: Tensor, seconds_total: float) -> Conditions:
        """Condition on texts and a length; see ``StableAudio.conditions``."""
        seconds = torch.tensor(seconds_total)
        context, mask, global_cond = self._conditions(states, mask.float(), seconds)
        return Conditions(context, mask.bool(), global_cond)

    def keys_values(self, context: Tensor) -> Tensor:
        """Compute cross-attention's keys and values; see ``StableAudio.keys_values``."""
        return self._keys_values(context)[0]

    def predict(self, x: Tensor, t: Tensor, keys_values: Tensor, global_cond: Tensor) -> Tensor:
        """Evaluate the denoiser once; see ``StableAudio.predict``."""
        return self._denoiser(x, t, keys_values, global_cond)[0]


class OpenVinoAutoencoder:
    """An autoencoder of graphs, each compiled when it is first called.

    So a server without requests that bring source audio never compiles the encoder's.
    """

    def __init__(self, graphs: Graphs) -> None:
        self._graphs = graphs
        self._compiled: dict[str, Network] = {}

    def encode_fine(self, audio: Tensor) -> Tensor:
        """Compute the encoder's fine part; see ``AutoencoderNetworks``."""
        return self._network("encode_fine")(audio)[0]

    def encode_coarse(self, fine: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the encoder's coarse part; see ``AutoencoderNetworks``."""
        mean, std = self._network("encode_coarse")(fine)
        return mean, std

    def decode_coarse(self, latents: Tensor) -> Tensor:
        """Compute the decoder's coarse part; see ``AutoencoderNetworks``."""
        return self._network("decode_coarse")(latents)[0]

    def decode_fine(self, coarse: Tensor) -> Tensor:
        """Compute the decoder's fine part; see ``AutoencoderNetworks``."""
        return self._network("decode_fine")(coarse)[0]

    def _network(self, name: str) -> Network:
        if name not in self._compiled:
            self._compiled[name] = self._graphs.compile(name)
        return self._compiled[name]


def torch_autoencoder(config: AutoencoderConfig, folder: Path) -> Autoencoder:
    """Load the autoencoder in torch, its weights mapped from the folder.

    So the encoder's weights are not read before they are needed.
    """
    with torch.device("meta"):
        autoencoder = Autoencoder(config)
    load_strictly(autoencoder, dict(read_tensors(folder / AUTOENCODER_FILE)))
    return autoencoder.eval().requires_grad_(requires_grad=False)
