"""The Stable Audio family: models of stable-audio-tools, in torch or converted for OpenVINO.

Knows: each backend's way from files to a model, and its tile sizes. Does not know: plans, engines.
Torch is imported when a model is loaded, since the table of families is read before.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from loopwright.loading.model_source import ModelSource, find_source
from loopwright.loading.tuning import Tuning, find_max_batch_size
from loopwright.model.family import Backend, Defaults, LoadedModel, LoadRequest, ModelFamily
from loopwright.system.workers import run_in_process

if TYPE_CHECKING:
    from loopwright.loading.openvino.model import Graphs, OpenVinoModel
    from loopwright.model.config import ModelConfig
    from loopwright.model.stable_audio import StableAudio

TRIAL_SECONDS = 600.0
TRIALS = ("autoencoder", "rows")
"""What is measured for a model in OpenVINO."""

TILE_FRAMES = (4, 8, 16)
"""Tile sizes that are tried, in latent frames: less is mostly margin, more leaves the caches."""

STOPGAP_BACKEND = Backend("torch", "cpu", "f32")


def load(request: LoadRequest) -> LoadedModel:
    """Load a model; see ``ModelFamily``."""
    source = find_source(request)
    backend, cache = request.backend, request.cache
    if backend.engine == "torch" or cache is None:  # there is no place for graphs without a cache
        return load_torch(source, backend, cache)
    convert = partial(load_openvino, source, backend, request.threads, cache)
    if request.wait_for_conversion or is_converted(source, backend, cache):
        return convert()
    return load_stopgap(source, cache, improve=partial(convert, low_priority=True))


STABLE_AUDIO = ModelFamily(
    name="stable-audio",
    matches=lambda _: True,
    load=load,
    defaults={
        "rf_denoiser": Defaults(steps=8, max_steps=100, cfg_scale=6.0),
        "rectified_flow": Defaults(steps=50, max_steps=250, cfg_scale=6.0),
        "v": Defaults(steps=100, max_steps=250, cfg_scale=6.0),
    },
    engines=("openvino", "torch"),
    precisions=("int8", "f16", "f32"),
    takes_finetunes=True,
)


def load_torch(source: ModelSource, backend: Backend, cache: Path | None) -> LoadedModel:
    """Load a model in torch, and measure tile and batch sizes. Raises CheckpointError."""
    import torch

    from loopwright.loading.accelerate import Compiled, accelerate
    from loopwright.model.checkpoint import weight_bytes

    device = torch.device(backend.device)
    model, config = source.load(device), source.read_config()
    accelerate(model, device, backend.precision)
    architecture = repr(config)
    tuning = Tuning.open(cache, backend, architecture)
    if device.type == "cpu":
        trials = {frames: tile_trial(model, config, frames) for frames in TILE_FRAMES}
        work = {frames: float(frames) for frames in TILE_FRAMES}
        model.tile_frames = tuning.quickest("tile_frames", trials, work)
    max_batch_size = find_max_batch_size(model, backend, tuning)
    if device.type == "cuda":
        # only now: a CUDA graph belongs to the thread that captures it, and that must be the one
        # that serves
        model.denoise_with = Compiled(model.denoiser)
    return LoadedModel(model, backend, weight_bytes(model), architecture, max_batch_size)


def load_stopgap(
    source: ModelSource, cache: Path, improve: Callable[[], LoadedModel]
) -> LoadedModel:
    """Load a model in torch on the CPU, to serve while its graphs are made. Raises CheckpointError.

    Nothing is measured: that would take longer than it saves.
    """
    import torch

    from loopwright.loading.accelerate import accelerate
    from loopwright.model.checkpoint import weight_bytes

    model, architecture = source.load(torch.device("cpu")), repr(source.read_config())
    accelerate(model, torch.device("cpu"), STOPGAP_BACKEND.precision)
    tuning = Tuning.open(cache, STOPGAP_BACKEND, architecture)
    model.tile_frames = tuning.get("tile_frames", TILE_FRAMES[0])
    return LoadedModel(
        model,
        STOPGAP_BACKEND,
        weight_bytes(model),
        architecture,
        max_batch_size=tuning.get("rows", 1),
        improve=improve,
    )


def load_openvino(
    source: ModelSource, backend: Backend, threads: int, cache: Path, *, low_priority: bool = False
) -> LoadedModel:
    """Load a model in OpenVINO.

    The first time it is converted and measured, in processes of their own. The autoencoder is
    computed by OpenVINO or by torch, whichever is quicker here.

    Args:
        source: The model's files.
        backend: OpenVINO, and the precision of the graphs.
        threads: CPU threads; 0 is one per core.
        cache: The folder for graphs and measurements.
        low_priority: Whether other processes go first while it is converted.

    Raises:
        CheckpointError: the files are no model.
        WorkerFailed: a process that converts or measures was ended, or took too long.
    """
    from torch import nn

    from loopwright.loading.openvino.conversion import convert
    from loopwright.loading.openvino.model import Graphs
    from loopwright.model.checkpoint import weight_bytes

    config = source.read_config()
    architecture = repr(config)
    tuning = Tuning.open(cache, backend, architecture)
    if not tuning.has(*TRIALS):
        needed = _graphs_needed(tuning)
        folder = convert(source, cache, backend.precision, needed, low_priority=low_priority)
        # at normal priority: what is timed while it waits for others looks slow
        run_in_process(TRIAL_SECONDS, measure_openvino, config, folder, backend, threads, cache)
        tuning = Tuning.open(cache, backend, architecture)
    # the measurements decide whether the autoencoder's graphs are needed too
    needed = _graphs_needed(tuning)
    folder = convert(source, cache, backend.precision, needed, low_priority=low_priority)
    graphs = Graphs(folder, backend.precision, threads)
    best = tuning.get("autoencoder", f"torch {TILE_FRAMES[0]}")
    engine, _, frames = best.partition(" ")
    model = _openvino_model(config, folder, graphs, autoencoder_in_torch=engine == "torch")
    model.tile_frames = int(frames)
    memory_bytes = graphs.weight_bytes
    if isinstance(model.autoencoder, nn.Module):
        memory_bytes += weight_bytes(model.autoencoder)
    return LoadedModel(model, backend, memory_bytes, architecture, tuning.get("rows", 1))


def is_converted(source: ModelSource, backend: Backend, cache: Path) -> bool:
    """Return whether a model was converted for OpenVINO and measured on this machine.

    Raises CheckpointError.
    """
    from loopwright.loading.openvino.conversion import graphs_folder, missing_graphs

    tuning = Tuning.open(cache, backend, repr(source.read_config()))
    if not tuning.has(*TRIALS):
        return False
    folder = graphs_folder(source, cache)
    return not missing_graphs(folder, backend.precision, _graphs_needed(tuning))


def _graphs_needed(tuning: Tuning) -> tuple[str, ...]:
    """Return the graphs that a model is computed by, as far as that was measured."""
    from loopwright.loading.openvino.conversion import AUTOENCODER, DECODE_FINE, NETWORKS

    best = tuning.get("autoencoder", "")
    if not best:
        return (*NETWORKS, DECODE_FINE)  # what the trials time
    return NETWORKS if best.startswith("torch") else (*NETWORKS, *AUTOENCODER)


def _openvino_model(
    config: ModelConfig, folder: Path, graphs: Graphs, *, autoencoder_in_torch: bool
) -> OpenVinoModel:
    """Make a model of graphs, its autoencoder in torch with a core per tile, or as graphs too."""
    import torch

    from loopwright.loading.openvino.model import (
        OpenVinoAutoencoder,
        OpenVinoModel,
        torch_autoencoder,
    )
    from loopwright.model.tile_pool import TilePool

    if not autoencoder_in_torch:
        return OpenVinoModel(config, folder, graphs, OpenVinoAutoencoder(graphs))
    model = OpenVinoModel(config, folder, graphs, torch_autoencoder(config.autoencoder, folder))
    model.tile_pool = TilePool(torch.get_num_threads())
    return model


def measure_openvino(
    config: ModelConfig, folder: Path, backend: Backend, threads: int, cache: Path
) -> None:
    """Measure the quickest autoencoder, tile size and batch size, and keep them in the cache."""
    import torch

    from loopwright.loading.openvino.model import Graphs

    if threads:
        torch.set_num_threads(threads)
    tuning = Tuning.open(cache, backend, repr(config))
    graphs = Graphs(folder, backend.precision, threads)
    trials, work = dict[str, Callable[[], object]](), dict[str, float]()
    for engine in ("torch", "openvino"):
        model = _openvino_model(config, folder, graphs, autoencoder_in_torch=engine == "torch")
        for frames in TILE_FRAMES:
            name = f"{engine} {frames}"
            trials[name] = tile_trial(model, config, frames)
            work[name] = frames * model.tile_pool.size
    tuning.quickest("autoencoder", trials, work)
    find_max_batch_size(model, backend, tuning)


def tile_trial(model: StableAudio, config: ModelConfig, frames: int) -> Callable[[], object]:
    """Return a function that decodes a tile of this many latent frames per thread of the pool."""
    import torch

    from loopwright.model.autoencoder import decoder_split

    decoder = config.autoencoder.decoder
    split = decoder_split(decoder)
    multiples = (1, *decoder.multiples)
    channels = decoder.channels * multiples[split.levels]
    positions = frames * split.positions + 2 * split.fine_reach
    tile = torch.randn(1, channels, positions)
    tiles = [tile] * model.tile_pool.size
    return lambda: list(model.tile_pool.each(model.autoencoder.decode_fine, tiles))
