"""The file beside a riff."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from pathlib import Path

import pytest

from loopwright.library.names import KeyAndTempo
from loopwright.library.sidecar import Sidecar, read_sidecar, sidecar_path, write_sidecar
from loopwright.music.key import Key

ESTIMATE = {"bpm": 120.5, "bpm_confidence": 0.5, "key": 3.0, "key_confidence": 0.25}


@pytest.fixture
def riff(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    path.write_bytes(b"audio")
    return path


@pytest.mark.parametrize("key", [None, Key(8), Key(9, "minor")])
@pytest.mark.parametrize("bpm", [None, Fraction("93.4567"), Fraction(1000, 7)])
@pytest.mark.parametrize("estimate", [None, ESTIMATE])
def test_what_is_written_is_read_back(
    riff: Path, key: Key | None, bpm: Fraction | None, estimate: dict[str, float] | None
) -> None:
    sidecar = Sidecar(KeyAndTempo(key, bpm), estimate)
    write_sidecar(riff, sidecar)
    assert read_sidecar(riff) == sidecar


def test_nothing_is_written_where_nothing_is_known(riff: Path) -> None:
    write_sidecar(riff, Sidecar())
    assert not sidecar_path(riff).exists()
    assert read_sidecar(riff) == Sidecar()


def test_it_does_not_count_for_another_file_of_the_same_name(riff: Path) -> None:
    write_sidecar(riff, Sidecar(KeyAndTempo(Key(8), None)))
    os.utime(riff, ns=(1, 1))
    assert read_sidecar(riff) == Sidecar()


@pytest.mark.parametrize(
    "change",
    [
        {"given": []},
        {"given": {"bpm": "1/0"}},
        {"given": {"key": 3}},
        {"bpm": "fast"},
        {"size": 4},
    ],
)
def test_damage_makes_it_empty(riff: Path, change: dict[str, object]) -> None:
    write_sidecar(riff, Sidecar(estimate=ESTIMATE))
    content = json.loads(sidecar_path(riff).read_text())
    sidecar_path(riff).write_text(json.dumps(content | change))
    assert read_sidecar(riff) == Sidecar()


@pytest.mark.parametrize("change", [{"bpm": 5000}, {"key": 12}, {"key": -1}])
def test_an_estimate_that_no_music_has_does_not_count(riff: Path, change: dict[str, float]) -> None:
    write_sidecar(riff, Sidecar(estimate=ESTIMATE | change))
    assert read_sidecar(riff) == Sidecar()


def test_a_tempo_out_of_range_does_not_count(riff: Path) -> None:
    write_sidecar(riff, Sidecar(KeyAndTempo(Key(1), Fraction(5000))))
    assert read_sidecar(riff) == Sidecar(KeyAndTempo(Key(1), None))
