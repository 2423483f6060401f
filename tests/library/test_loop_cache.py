"""Loops that are kept on disk."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from loopwright.errors import NotFound, StorageFailed
from loopwright.library import loop_cache
from loopwright.library.loop_cache import RiffLoop, cache_path, load_loop, save_loop
from tests.sounds import tone

BPM = Fraction(120)


@pytest.fixture
def riff(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    path.write_bytes(b"audio")
    return path


def test_a_saved_loop_is_loaded_as_it_was(tmp_path: Path) -> None:
    loop = RiffLoop(tone(440), ("is long", "is loud"))
    save_loop(tmp_path / "cache" / "x.npz", loop)
    loaded = load_loop(tmp_path / "cache" / "x.npz")
    assert loaded is not None
    assert np.array_equal(loaded.audio, loop.audio)
    assert loaded.notes == loop.notes


@pytest.mark.parametrize("content", [None, b"", b"broken", b"PK\x03\x04"])
def test_what_is_missing_or_damaged_is_not_loaded(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.npz"
    if content is not None:
        path.write_bytes(content)
    assert load_loop(path) is None


def test_all_that_makes_a_loop_another_one_changes_its_path(riff: Path, tmp_path: Path) -> None:
    paths = {
        cache_path(tmp_path, riff, BPM, BPM, 44100, 0),
        cache_path(tmp_path, riff, BPM + 1, BPM, 44100, 0),
        cache_path(tmp_path, riff, BPM, BPM + 1, 44100, 0),
        cache_path(tmp_path, riff, BPM, BPM, 48000, 0),
        cache_path(tmp_path, riff, BPM, BPM, 44100, 1),
    }
    os.utime(riff, ns=(1, 1))
    paths.add(cache_path(tmp_path, riff, BPM, BPM, 44100, 0))
    assert len(paths) == 6
    assert paths >= {cache_path(tmp_path, riff, BPM, BPM, 44100, 0)}


def test_a_riff_that_was_deleted_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"the riff a\.wav is gone"):
        cache_path(tmp_path, tmp_path / "a.wav", BPM, BPM, 44100, 0)


def test_a_full_disk_costs_only_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise StorageFailed("the disk is full")

    monkeypatch.setattr(loop_cache, "write_whole", failing)
    save_loop(tmp_path / "x.npz", RiffLoop(tone(440)))
    assert load_loop(tmp_path / "x.npz") is None
