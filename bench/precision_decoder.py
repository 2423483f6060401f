"""A trial: the fine part of the decoder in int8, quantised after training by NNCF.

Knows: how it is calibrated, how long a tile takes each way, what it does to the audio.
Does not know: how results are shown.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nncf
import openvino
import torch
from torch import Tensor

from bench.distance import mel_distance, snr
from bench.precision_runs import PROMPTS, SECONDS_TOTAL, Models, decoded, estimated
from bench.scenarios import SAMPLE_RATE
from loopwright.loading.openvino.conversion import QUANTISED, graph_file
from loopwright.loading.openvino.model import Graphs, Network, OpenVinoAutoencoder, OpenVinoModel
from loopwright.model.autoencoder import decoder_split
from loopwright.model.base import TextPrompt
from loopwright.model.cfg import CFG_OFF
from loopwright.model.tile_pool import TilePool

FINE = "decode_fine"
QUANTISED_FILE = "decode_fine-int8.xml"
CALIBRATED_ON, HEARD_ON = 2, 2
"""Latents of one step that scales are taken from, and others whose audio is compared.

Each comes from a prompt of its own.
"""

CALIBRATION_FRAMES, CALIBRATION_TILES = 4, 6
"""Latent frames per tile in calibration, and tiles per latents."""

TILE_FRAMES = (4, 8)
ROUNDS = 3

TORCH, F32, INT8 = "torch f32, one tile per core", "OpenVINO f32", "OpenVINO int8"


@dataclass(frozen=True)
class Heard:
    """Audio decoded in int8 against that in float32: snr, mel: dB."""

    snr: float
    mel: float


@dataclass(frozen=True)
class Tile:
    """Seconds that a tile of this many latent frames takes, by implementation."""

    frames: int
    seconds: dict[str, float]


class Int8Decoder(OpenVinoAutoencoder):
    """The autoencoder with another network for the decoder's fine part."""

    def __init__(self, graphs: Graphs, fine: Network) -> None:
        super().__init__(graphs)
        self._fine = fine

    def decode_fine(self, coarse: Tensor) -> Tensor:
        """See ``AutoencoderNetworks``."""
        return self._fine(coarse)[0]


def quantise(models: Models, file: Path) -> list[Heard]:
    """Make the graph in int8, leave it in a file, and listen to what it makes of other latents."""
    model = models.with_int8(QUANTISED)
    latents = [
        estimated(model, TextPrompt(prompt, None, SECONDS_TOTAL), seed, CFG_OFF, steps=1)[-1]
        for seed, prompt in enumerate(PROMPTS[: CALIBRATED_ON + HEARD_ON])
    ]
    seen = [tile for one in latents[:CALIBRATED_ON] for tile in _tiles(model, models, one)]
    exact = openvino.Core().read_model(graph_file(models.folder, FINE, "f32"))
    quantised = nncf.quantize(
        exact, nncf.Dataset([tile.numpy() for tile in seen]), subset_size=len(seen)
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    openvino.save_model(quantised, file, compress_to_fp16=False)
    graphs = Graphs(models.folder, "f32", models.threads)
    other = OpenVinoModel(
        models.config, models.folder, graphs, Int8Decoder(graphs, _compiled(file, models.threads))
    )
    return [_heard(other, model, one) for one in latents[CALIBRATED_ON:]]


def tile_times(models: Models, file: Path) -> list[Tile]:
    """Time tiles in each implementation in turn; return medians."""
    networks = {F32: graph_file(models.folder, FINE, "f32"), INT8: file}
    compiled = {name: _compiled(one, models.threads) for name, one in networks.items()}
    model, tile_pool = models.with_int8(QUANTISED), TilePool(models.threads)
    latents = torch.randn(models.config.spec.channels, models.config.spec.frames)
    found = []
    for frames in TILE_FRAMES:
        tile = _tile(model, models, latents, 0, frames)
        work: dict[str, Callable[[], object]] = {
            name: _once(one, tile) for name, one in compiled.items()
        }
        work[TORCH] = _by_tile_pool(tile_pool, model, tile)
        seconds = _medians(work)
        seconds[TORCH] /= tile_pool.size
        found.append(Tile(frames, seconds))
    return found


def _tiles(model: OpenVinoModel, models: Models, latents: Tensor) -> list[Tensor]:
    return [
        _tile(model, models, latents, number * CALIBRATION_FRAMES, CALIBRATION_FRAMES)
        for number in range(CALIBRATION_TILES)
    ]


@torch.inference_mode()
def _tile(model: OpenVinoModel, models: Models, latents: Tensor, first: int, frames: int) -> Tensor:
    """Return the fine part's input for some latent frames, with its margins: [1, c, p]."""
    cut = decoder_split(models.config.autoencoder.decoder)
    length = frames * cut.positions + 2 * cut.fine_reach
    reach = -(-length // cut.positions) + 2 * cut.coarse_reach
    coarse = model.autoencoder.decode_coarse(latents[None, :, first : first + reach])
    return coarse[..., :length].clone()


def _compiled(file: Path, threads: int) -> Network:
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
    }
    return Network(openvino.Core().compile_model(file, "CPU", options), file.with_suffix(".bin"))


def _heard(model: OpenVinoModel, exact: OpenVinoModel, latents: Tensor) -> Heard:
    one, reference = decoded(model, latents), decoded(exact, latents)
    return Heard(snr(one, reference), mel_distance(one, reference, SAMPLE_RATE))


def _once(network: Network, tile: Tensor) -> Callable[[], object]:
    return lambda: network(tile)


def _by_tile_pool(pool: TilePool, model: OpenVinoModel, tile: Tensor) -> Callable[[], object]:
    """Return a function that decodes a tile in each thread of the pool, at the same time."""
    return lambda: list(pool.each(model.autoencoder.decode_fine, [tile] * pool.size))


def _medians(work: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median seconds of each function; a first round warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for number in range(ROUNDS + 1):
        for name, do in work.items():
            began = time.perf_counter()
            do()
            if number > 0:
                seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in seconds.items()}
