"""Models on a backend, ready to work: loaded or converted, made quick, and tried out for how they like their work.

Knows: each backend's way from files to a model. Does not know: keys, plans.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from loopwright.engine.base import Batching
from loopwright.loading.accelerate import Compiled, accelerated, most_rows
from loopwright.loading.backend import Backend
from loopwright.loading.model_source import ModelSource
from loopwright.loading.tuning import Tuning
from loopwright.model.autoencoder import decoder_split
from loopwright.model.base import LatentModel, TextPrompt
from loopwright.model.config import ModelConfig
from loopwright.model.pocket.model import load_pocket
from loopwright.model.stable_audio import StableAudio
from loopwright.model.tile_pool import TilePool
from loopwright.system.workers import run_in_process

if TYPE_CHECKING:
    from loopwright.loading.openvino.model import Graphs, OpenVinoModel

TRIAL_SECONDS = 600.0
TRIALS = ("autoencoder", "rows")
"""What is found out by trying a model in OpenVINO."""

NEAR = 0.01
TILE_FRAMES = (4, 8, 16)
"""Latent frames of a tile that are tried: less is mostly margin, more leaves the cores' caches."""


@dataclass(frozen=True)
class LoadedModel:
    """memory_bytes: of the weights."""

    model: LatentModel
    memory_bytes: int
    batching: Batching


def pocket(backend: Backend, cache: Path | None) -> LoadedModel:
    """The embedded model in torch."""
    model = load_pocket().to(torch.device(backend.device))
    return LoadedModel(
        model, _bytes_of(model), _batching(model, backend, _tuning(cache, backend, "pocket"))
    )


def as_stopgap(source: ModelSource, cache: Path) -> LoadedModel:
    """Load a model of the stable-audio family in torch on the CPU, while its graphs are being made.

    Nothing is tried out: that would take longer than it brings. Raises CheckpointError.
    """
    backend = Backend("torch", "cpu", "f32")
    model = accelerated(source.load(torch.device("cpu")), torch.device("cpu"), backend.precision)
    tuning = _tuning(cache, backend, repr(source.read_config()))
    model.tile_frames = tuning.known("tile_frames", TILE_FRAMES[0])
    return LoadedModel(model, _bytes_of(model), Batching(tuning.known("rows", 1)))


def with_torch(source: ModelSource, backend: Backend, cache: Path | None) -> LoadedModel:
    """Load a model of the stable-audio family in torch, and try it out. Raises CheckpointError."""
    device = torch.device(backend.device)
    model = accelerated(source.load(device), device, backend.precision)
    config = source.read_config()
    tuning = _tuning(cache, backend, repr(config))
    if device.type == "cpu":
        trials = {frames: _tile(model, config, frames) for frames in TILE_FRAMES}
        model.tile_frames = tuning.quickest(
            "tile_frames", trials, {frames: frames for frames in TILE_FRAMES}
        )
    batching = _batching(model, backend, tuning)
    if device.type == "cuda":
        # only now: a CUDA graph belongs to the thread that captures it, and that must be the one that serves
        model.denoise_with = Compiled(model.denoiser)
    return LoadedModel(model, _bytes_of(model), batching)


def is_converted(source: ModelSource, backend: Backend, cache: Path) -> bool:
    """Return whether a model was converted for OpenVINO and tried out on this machine.

    Raises CheckpointError.
    """
    from loopwright.loading.openvino.conversion import graphs_folder, missing

    tuning = _tuning(cache, backend, repr(source.read_config()))
    folder = graphs_folder(source, cache)
    return tuning.knows(*TRIALS) and not missing(folder, backend.precision, _graphs_needed(tuning))


def with_openvino(
    source: ModelSource, backend: Backend, threads: int, cache: Path, *, gives_way: bool = False
) -> LoadedModel:
    """Load a model of the stable-audio family in OpenVINO.

    The first time it is converted and tried out, in processes of their own. The autoencoder is
    computed by OpenVINO or by torch, whichever is quicker here.

    Args:
        source: The model's files.
        backend: OpenVINO, and the precision of the graphs.
        threads: Of the CPU; 0 is one per core.
        cache: The folder for graphs and for what was found out by trying.
        gives_way: Whether other processes go first while it is converted.

    Raises:
        CheckpointError: the files are no model.
        WorkerFailed: a process that converts or tries was ended, or took too long.
    """
    from loopwright.loading.openvino.conversion import converted
    from loopwright.loading.openvino.model import Graphs

    config = source.read_config()
    tuning = _tuning(cache, backend, repr(config))
    if not tuning.knows(*TRIALS):
        needed = _graphs_needed(tuning)
        folder = converted(source, cache, backend.precision, needed, gives_way=gives_way)
        # does not give way: what is tried while it waits for others looks slow
        run_in_process(TRIAL_SECONDS, _try_out, config, folder, backend, threads, cache)
        tuning = _tuning(cache, backend, repr(config))
    needed = _graphs_needed(tuning)
    folder = converted(source, cache, backend.precision, needed, gives_way=gives_way)
    best, rows = tuning.known("autoencoder", f"torch {TILE_FRAMES[0]}"), tuning.known("rows", 1)
    graphs = Graphs(folder, backend.precision, threads)
    model = _in_openvino(config, folder, graphs, by_torch=best.startswith("torch"))
    model.tile_frames = _frames(best)
    memory = graphs.weight_bytes + (
        _bytes_of(model.autoencoder) if isinstance(model.autoencoder, nn.Module) else 0
    )
    return LoadedModel(model, memory, Batching(rows))


def _graphs_needed(tuning: Tuning) -> tuple[str, ...]:
    """Return the graphs that a model is computed by, as far as that is known."""
    from loopwright.loading.openvino.conversion import AUTOENCODER, DECODE_FINE, NETWORKS

    best = tuning.known("autoencoder", "")
    if best.startswith("torch"):
        return NETWORKS
    return (*NETWORKS, *AUTOENCODER) if best else (*NETWORKS, DECODE_FINE)  # what is tried first


def _in_openvino(
    config: ModelConfig, folder: Path, graphs: Graphs, *, by_torch: bool
) -> OpenVinoModel:
    """The model, its autoencoder by torch on a core each, or by OpenVINO on all."""
    from loopwright.loading.openvino.model import (
        OpenVinoAutoencoder,
        OpenVinoModel,
        torch_autoencoder,
    )

    if not by_torch:
        return OpenVinoModel(config, folder, graphs, OpenVinoAutoencoder(graphs))
    model = OpenVinoModel(config, folder, graphs, torch_autoencoder(config.autoencoder, folder))
    model.tile_pool = TilePool(torch.get_num_threads())
    return model


def _try_out(
    config: ModelConfig, folder: Path, backend: Backend, threads: int, cache: Path
) -> None:
    """Find out what is quickest, and leave it in the cache."""
    from loopwright.loading.openvino.model import Graphs

    if threads:
        torch.set_num_threads(threads)
    tuning, graphs = (
        _tuning(cache, backend, repr(config)),
        Graphs(folder, backend.precision, threads),
    )
    trials, work = dict[str, Callable[[], object]](), dict[str, float]()
    for name in ("torch", "openvino"):
        model = _in_openvino(config, folder, graphs, by_torch=name == "torch")
        trials |= {f"{name} {frames}": _tile(model, config, frames) for frames in TILE_FRAMES}
        work |= {f"{name} {frames}": frames * model.tile_pool.size for frames in TILE_FRAMES}
    tuning.quickest("autoencoder", trials, work)
    _batching(model, backend, tuning)


def _tuning(cache: Path | None, backend: Backend, model: str) -> Tuning:
    """What was found on this machine for models of this shape on this backend."""
    if cache is None:
        return Tuning(None)
    about = f"{platform.node()} {os.cpu_count()} {torch.get_num_threads()} {torch.__version__} {backend} {model}"
    return Tuning(cache / "tuning" / f"{hashlib.sha256(about.encode()).hexdigest()[:16]}.json")


def _batching(model: LatentModel, backend: Backend, tuning: Tuning) -> Batching:
    """On a CPU a row must come out to the bit as it does alone; on a GPU, whose kernels differ by batch, to rounding."""
    evaluate, device = _rows(model, torch.device(backend.device)), torch.device(backend.device)
    same: Callable[[Tensor, Tensor], bool] = torch.equal if device.type == "cpu" else _nearly_equal
    rows = tuning.batch("rows", evaluate, most_rows(device, evaluate), same)
    return Batching(rows, overlaps=device.type == "cuda")


def _nearly_equal(one: Tensor, other: Tensor) -> bool:
    """As near as half precision comes."""
    return float((one - other).abs().max()) <= NEAR * float(other.abs().max())


def _rows(model: LatentModel, device: torch.device) -> Callable[[int], Tensor]:
    """One forward of so many rows, the first always the same."""
    spec = model.spec
    with torch.inference_mode():
        conditioning, _ = model.condition(TextPrompt("drums 120bpm", None, 1))
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(spec.channels, spec.frames, generator=generator).to(device)

    @torch.inference_mode()
    def evaluate(rows: int) -> Tensor:
        scales = torch.linspace(1, 0.5, rows, device=device)
        out = model.denoise(
            x * scales[:, None, None], torch.full_like(scales, 0.5), [conditioning] * rows
        )
        return out.cpu()

    return evaluate


def _tile(model: StableAudio, config: ModelConfig, frames: int) -> Callable[[], object]:
    """A tile of so many frames for each of the crew."""
    coarse = _coarse(config, frames)
    return lambda: list(
        model.tile_pool.each(model.autoencoder.decode_fine, [coarse] * model.tile_pool.size)
    )


def _coarse(config: ModelConfig, frames: int) -> Tensor:
    """What the fine part of the decoder takes for so many frames."""
    half, cut = config.autoencoder.decoder, decoder_split(config.autoencoder.decoder)
    width = half.channels * (1, *half.multiples)[cut.levels]
    return torch.randn(1, width, frames * cut.positions + 2 * cut.fine_reach)


def _frames(name: str) -> int:
    return int(name.rpartition(" ")[2])


def _bytes_of(module: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in module.state_dict().values())
