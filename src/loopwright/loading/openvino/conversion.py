"""Graphs in a cache folder: each made once for a checkpoint, by whoever needs it first, in a process of its own.

The folder's name is a hash of the model's files, the library's version and ours. A graph is there when its ``.xml`` is: that is
moved into place last. A lock on the folder keeps two processes from making the same.
Knows: files, hashes, locks. Does not know: what is done with the graphs.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from loopwright.engine.base import Precision
from loopwright.loading.model_source import ModelSource
from loopwright.system.workers import check_may_start, give_way, run_in_process

if TYPE_CHECKING:
    import openvino

    from loopwright.loading.openvino.graphs import Graph
    from loopwright.model.autoencoder import Autoencoder

TEXT, KEYS_VALUES, DENOISER, CONDITIONS = "text", "keys_values", "denoiser", "conditions"
DECODE_FINE = "decode_fine"
NETWORKS = (TEXT, CONDITIONS, KEYS_VALUES, DENOISER)
AUTOENCODER = ("encode_fine", "encode_coarse", "decode_coarse", DECODE_FINE)
HAS_PRECISIONS = frozenset({TEXT, KEYS_VALUES, DENOISER})
"""Graphs of matrix products, whose weights can be whole numbers."""

TOKENIZER_FILE, AUTOENCODER_FILE = "tokenizer.json", "autoencoder.safetensors"
CONVERSION_SECONDS = 1800.0
HASH_BYTES = 16

log = structlog.get_logger()


def graph_file(folder: Path, name: str, precision: Precision) -> Path:
    """Where a graph lies; those that there are in several precisions say theirs in their name."""
    return folder / (f"{name}-{precision}.xml" if name in HAS_PRECISIONS else f"{name}.xml")


def graphs_folder(source: ModelSource, cache: Path) -> Path:
    """Return where the graphs of a model lie, or will."""
    return cache / "openvino" / _key(source, cache)


def missing(folder: Path, precision: Precision, names: Collection[str]) -> list[str]:
    """Return those of the graphs that are not there yet."""
    return [name for name in names if not graph_file(folder, name, precision).is_file()]


def converted(
    source: ModelSource,
    cache: Path,
    precision: Precision,
    names: Collection[str] = (*NETWORKS, *AUTOENCODER),
    *,
    gives_way: bool = False,
) -> Path:
    """Return the folder with the graphs of a model, after making those that are missing.

    That takes seconds for a toy and up to two minutes for stable-audio-open-small.

    Args:
        source: The model's files.
        cache: The folder for what can be made again.
        precision: Of the graphs that there are in several.
        names: The graphs that are needed.
        gives_way: Whether other processes go first.

    Raises:
        CheckpointError: the files are no model.
        WorkerFailed: the process that converts was ended, or took too long.
    """
    folder = graphs_folder(source, cache)
    if missing(folder, precision, names):
        from filelock import FileLock

        check_may_start()
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock"):
            to_make = missing(folder, precision, names)
            if to_make:
                log.info(
                    "converting the model for OpenVINO; once for each checkpoint",
                    graphs=len(to_make),
                )
                # in a process, so that the memory it takes does not stay with the server
                run_in_process(
                    CONVERSION_SECONDS,
                    make,
                    source,
                    folder,
                    to_make,
                    precision,
                    gives_way=gives_way,
                )
    return folder


def make(
    source: ModelSource,
    folder: Path,
    names: list[str],
    precision: Precision,
    *,
    gives_way: bool = False,
) -> None:
    """Make graphs, here and now. Takes twice the memory of the model in torch."""
    if gives_way:
        give_way()
    import torch

    from loopwright.loading.openvino import graphs
    from loopwright.model.text import T5TextEncoder

    model, config = source.load(torch.device("cpu")), source.read_config()
    _save_autoencoder(model.autoencoder, folder / AUTOENCODER_FILE)
    for name in names:
        if name == TEXT:
            encoder = model.text_encoder
            assert isinstance(encoder, T5TextEncoder)
            (folder / TOKENIZER_FILE).write_text(encoder.tokenizer_json(), encoding="utf-8")
            graph = graphs.text(encoder, config.conditioning.text.tokens)
        else:
            graph = graphs.NETWORKS[name](model, config)
        _save(
            graph,
            graph_file(folder, name, precision),
            precision if name in HAS_PRECISIONS else "f32",
        )


def _save_autoencoder(autoencoder: Autoencoder, file: Path) -> None:
    """Its weights as torch takes them, folded already, so that they can be mapped instead of copied."""
    from safetensors.torch import save_file

    if not file.is_file():
        beside = file.with_suffix(f".{os.getpid()}")
        save_file(
            {name: tensor.contiguous() for name, tensor in autoencoder.state_dict().items()}, beside
        )
        beside.replace(file)


def _save(graph: Graph, file: Path, precision: Precision) -> None:
    """Convert a graph and put it into place, its ``.xml`` last."""
    import openvino
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    # torch would trace each graph twice and compare, which takes seconds; tests compare all outputs
    traced = TorchScriptPythonDecoder(
        graph.function, example_input=graph.examples, trace_kwargs={"check_trace": False}
    )
    made: openvino.Model = openvino.convert_model(
        traced, example_input=graph.examples, input=[list(size) for size in graph.sizes]
    )
    if precision == "int8":
        made = _with_int8_weights(made)
    beside = Path(tempfile.mkdtemp(dir=file.parent))
    try:
        openvino.save_model(made, beside / file.name, compress_to_fp16=False)
        for suffix in (".bin", ".xml"):
            (beside / file.name).with_suffix(suffix).replace(file.with_suffix(suffix))
    finally:
        shutil.rmtree(beside)


def _with_int8_weights(made: openvino.Model) -> openvino.Model:
    """Weights of matrix products as whole numbers, with a scale a row."""
    import nncf

    quantised: openvino.Model = nncf.compress_weights(made, mode=nncf.CompressWeightsMode.INT8_SYM)
    return quantised


def _key(source: ModelSource, cache: Path) -> str:
    import openvino

    from loopwright.loading.openvino.graphs import GRAPHS_VERSION

    digest = hashlib.sha256(f"{openvino.__version__} {GRAPHS_VERSION}".encode())
    for file in source.files():
        digest.update(f"{file.name} {_file_hash(file, cache / 'openvino' / 'hashes')}".encode())
    return digest.hexdigest()[: 2 * HASH_BYTES]


def _file_hash(file: Path, remembered: Path) -> str:
    """The hash of a file's bytes. Remembered as long as the file is not touched: gigabytes take seconds."""
    stat = file.stat()
    identity = f"{file.resolve()} {stat.st_size} {stat.st_mtime_ns} {stat.st_ino}"
    note = remembered / hashlib.sha256(identity.encode()).hexdigest()[: 2 * HASH_BYTES]
    if note.is_file():
        return note.read_text()
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    remembered.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=remembered, delete=False) as new:
        new.write(found)
    os.replace(new.name, note)  # noqa: PTH105 - both are names
    return found
