"""Graphs in the cache: made once, by one of those who need them, and whole."""

from __future__ import annotations

import mmap
import multiprocessing
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from loopwright.errors import CheckpointError
from loopwright.loading.model_source import ModelSource
from loopwright.loading.openvino.conversion import convert, graph_file, graphs_folder
from loopwright.loading.openvino.pages import release_pages
from tests.tiny import make_model_folder


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    folder = make_model_folder(tmp_path_factory.mktemp("model") / "model")
    return ModelSource(
        folder / "model_config.json", folder / "model.safetensors", folder / "text_encoder"
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def times(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in folder.glob("*.xml")}


def test_two_processes_at_once_make_each_graph_once(source: ModelSource, cache: Path) -> None:
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=convert, args=(source, cache, "f32")) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(200)
    assert [one.exitcode for one in both] == [0, 0]
    (folder,) = [path for path in (cache / "openvino").iterdir() if path.name != "hashes"]
    assert len(times(folder)) == 8
    assert not [path for path in folder.iterdir() if path.is_dir()]


def test_what_is_there_is_not_made_again_and_what_is_missing_is(
    source: ModelSource, cache: Path
) -> None:
    folder = convert(source, cache, "f32")
    first = times(folder)
    graph_file(folder, "decode_fine", "f32").unlink()
    assert convert(source, cache, "f32") == folder
    again = times(folder)
    assert {name for name in first if again[name] != first[name]} == {"decode_fine.xml"}


def test_only_what_is_asked_for_is_made(source: ModelSource, tmp_path: Path) -> None:
    folder = convert(source, tmp_path, "f32", ["conditions"])
    assert set(times(folder)) == {"conditions.xml"}


def test_other_weights_go_into_another_folder(source: ModelSource, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    before = graphs_folder(source, cache)
    assert graphs_folder(source, cache) == before
    moved = tmp_path / "moved"
    shutil.copytree(source.config.parent, moved)
    elsewhere = ModelSource(
        moved / "model_config.json", moved / "model.safetensors", moved / "text_encoder"
    )
    assert graphs_folder(elsewhere, cache) == before  # it is the bytes that count
    content = bytearray((moved / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (moved / "model.safetensors").write_bytes(content)
    os.utime(moved / "model.safetensors", ns=(1, 1))
    assert graphs_folder(elsewhere, cache) != before


def test_a_model_that_does_not_fit_is_refused_by_name(source: ModelSource, tmp_path: Path) -> None:
    (tmp_path / "bad.safetensors").write_bytes(b"nonsense")
    source = replace(source, weights=tmp_path / "bad.safetensors")
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        convert(source, tmp_path / "cache", "f32")


def test_pages_of_a_mapped_file_are_given_back_and_come_again(tmp_path: Path) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(bytes(range(256)) * 40_000)
    with file.open("rb") as opened:
        mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    assert sum(mapped[1::4096]) > 0
    release_pages(file)
    assert mapped[:256] == bytes(range(256))
    release_pages(tmp_path / "not-mapped")


def test_nothing_is_reported_over_the_network() -> None:
    script = (
        "import os, sys\n"
        "os.register_at_fork(before=lambda: print('fork'))\n"
        "import loopwright.loading.openvino.model, nncf\n"
        "print([name for name in sys.modules if name.startswith('openvino_telemetry.')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert "fork" not in done.stdout
