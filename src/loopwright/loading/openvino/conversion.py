"""Graphs in a cache folder: each made once per checkpoint, by the process that first needs it.

The folder's name is a hash of the model's files, OpenVINO's version and that of our graphs. A graph
is there when its ``.xml`` is, which is moved into place last. A lock on the folder keeps two
processes from making the same graphs.
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

from loopwright.loading.model_source import ModelSource
from loopwright.model.family import Precision
from loopwright.system.workers import give_way, run_in_process

if TYPE_CHECKING:
    from loopwright.loading.openvino.graphs import Graph

TEXT, KEYS_VALUES, DENOISER, CONDITIONS = "text", "keys_values", "denoiser", "conditions"
DECODE_FINE = "decode_fine"
NETWORKS = (TEXT, CONDITIONS, KEYS_VALUES, DENOISER)
AUTOENCODER = ("encode_fine", "encode_coarse", "decode_coarse", DECODE_FINE)
QUANTISED = frozenset({TEXT, KEYS_VALUES, DENOISER})
"""Graphs of matrix products, whose weights can be int8; the others are always in f32."""

TOKENIZER_FILE, AUTOENCODER_FILE = "tokenizer.json", "autoencoder.safetensors"
CONVERSION_SECONDS = 1800.0
HASH_BYTES = 16

log = structlog.get_logger()


def graph_file(folder: Path, name: str, precision: Precision) -> Path:
    """Return where a graph lies; the name of a quantised graph holds its precision."""
    stem = f"{name}-{precision}" if name in QUANTISED else name
    return folder / f"{stem}.xml"


def graphs_folder(source: ModelSource, cache: Path) -> Path:
    """Return where the graphs of a model lie, or will."""
    import openvino

    from loopwright.loading.openvino.graphs import GRAPHS_VERSION

    digest = hashlib.sha256(f"{openvino.__version__} {GRAPHS_VERSION}".encode())
    hashes = cache / "openvino" / "hashes"
    for file in source.files():
        digest.update(f"{file.name} {_file_hash(file, hashes)}".encode())
    return cache / "openvino" / digest.hexdigest()[: 2 * HASH_BYTES]


def missing_graphs(folder: Path, precision: Precision, names: Collection[str]) -> list[str]:
    """Return those of the graphs that are not there yet."""
    return [name for name in names if not graph_file(folder, name, precision).is_file()]


def convert(
    source: ModelSource,
    cache: Path,
    precision: Precision,
    names: Collection[str] = (*NETWORKS, *AUTOENCODER),
    *,
    low_priority: bool = False,
) -> Path:
    """Return the folder with the graphs of a model, after making those that are missing.

    That takes seconds for a toy and up to two minutes for stable-audio-open-small.

    Args:
        source: The model's files.
        cache: The folder for what can be made again.
        precision: The precision of the quantised graphs.
        names: The graphs that are needed.
        low_priority: Whether other processes go first.

    Raises:
        CheckpointError: the files are no model.
        WorkerFailed: the process that converts was ended, or took too long.
    """
    folder = graphs_folder(source, cache)
    if not missing_graphs(folder, precision, names):
        return folder
    from filelock import FileLock

    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        # again: another process may have made them while this one waited for the lock
        missing = missing_graphs(folder, precision, names)
        if missing:
            log.info("converting the model for OpenVINO, once per checkpoint", graphs=len(missing))
            # in a process, so that the memory it takes does not stay with the server
            run_in_process(
                CONVERSION_SECONDS,
                make_graphs,
                source,
                folder,
                missing,
                precision,
                low_priority=low_priority,
            )
    return folder


def make_graphs(
    source: ModelSource,
    folder: Path,
    names: list[str],
    precision: Precision,
    *,
    low_priority: bool = False,
) -> None:
    """Make graphs in this process. Takes twice the memory of the model in torch."""
    if low_priority:
        give_way()
    import torch
    from safetensors.torch import save_file

    from loopwright.loading.openvino import graphs
    from loopwright.model.text import T5TextEncoder

    model, config = source.load(torch.device("cpu")), source.read_config()
    weights_file = folder / AUTOENCODER_FILE
    if not weights_file.is_file():
        # as torch takes them, weight norm folded, so that they can be mapped
        weights = model.autoencoder.state_dict()
        contiguous = {name: tensor.contiguous() for name, tensor in weights.items()}
        temporary = weights_file.with_suffix(f".{os.getpid()}")
        save_file(contiguous, temporary)
        temporary.replace(weights_file)
    for name in names:
        if name == TEXT:
            encoder = model.text_encoder
            assert isinstance(encoder, T5TextEncoder)
            (folder / TOKENIZER_FILE).write_text(encoder.tokenizer_json(), encoding="utf-8")
            graph = graphs.text(encoder, config.conditioning.text.tokens)
        else:
            graph = graphs.NETWORKS[name](model, config)
        file = graph_file(folder, name, precision)
        _save_graph(graph, file, in_int8=precision == "int8" and name in QUANTISED)


def _save_graph(graph: Graph, file: Path, *, in_int8: bool) -> None:
    """Convert a graph and put it into place, its ``.xml`` last."""
    import openvino
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    # torch would trace each graph twice and compare, which takes seconds; tests compare all outputs
    traced = TorchScriptPythonDecoder(
        graph.function, example_input=graph.examples, trace_kwargs={"check_trace": False}
    )
    converted = openvino.convert_model(
        traced, example_input=graph.examples, input=[list(size) for size in graph.sizes]
    )
    if in_int8:
        import nncf

        # symmetric: whole numbers with one scale per row of a matrix and no zero point
        converted = nncf.compress_weights(converted, mode=nncf.CompressWeightsMode.INT8_SYM)
    temporary = Path(tempfile.mkdtemp(dir=file.parent))
    try:
        openvino.save_model(converted, temporary / file.name, compress_to_fp16=False)
        for suffix in (".bin", ".xml"):
            saved = (temporary / file.name).with_suffix(suffix)
            saved.replace(file.with_suffix(suffix))
    finally:
        shutil.rmtree(temporary)


def _file_hash(file: Path, remembered: Path) -> str:
    """Return the hash of a file's bytes, in hexadecimal.

    It is remembered as long as the file is not touched, since gigabytes take seconds.
    """
    stat = file.stat()
    identity = f"{file.resolve()} {stat.st_size} {stat.st_mtime_ns} {stat.st_ino}"
    name = hashlib.sha256(identity.encode()).hexdigest()[: 2 * HASH_BYTES]
    note = remembered / name
    if note.is_file():
        return note.read_text()
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    remembered.mkdir(parents=True, exist_ok=True)
    # moved into place, so that no other process reads half a hash
    with tempfile.NamedTemporaryFile("w", dir=remembered, delete=False) as new:
        new.write(found)
    os.replace(new.name, note)  # noqa: PTH105 - both are names
    return found
