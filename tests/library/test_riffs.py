"""The folder of riffs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from loopwright.errors import InvalidInput, LoopwrightError, NotAudio, NotFound
from loopwright.library.riffs import SIDECAR, RiffLibrary
from loopwright.workers import Workers
from tests.sounds import RATE, drums, encoded, tone


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    workers = Workers(1)
    yield workers
    workers.close()


@pytest.fixture
def library(tmp_path: Path, workers: Workers) -> RiffLibrary:
    return RiffLibrary(tmp_path / "riffs", tmp_path / "cache", workers, 60)


def put(tmp_path: Path, name: str, data: bytes | None = None) -> Path:
    (tmp_path / "riffs").mkdir(exist_ok=True)
    path = tmp_path / "riffs" / name
    path.write_bytes(data or encoded(drums(120, 4)))
    return path


def test_a_folder_that_is_not_there_is_empty(library: RiffLibrary) -> None:
    assert library.catalog().by_key() == {}


def test_new_changed_and_deleted_files_count_at_once(library: RiffLibrary, tmp_path: Path) -> None:
    path = put(tmp_path, "gsharp_128bpm_1.wav")
    put(tmp_path, "Ab_90bpm.flac")
    put(tmp_path, "a_120bpm.wav")
    assert {key: len(riffs) for key, riffs in library.catalog().by_key().items()} == {"a": 1, "gsharp": 2}
    path.unlink()
    assert [riff.filename for riff in library.catalog().by_key()["gsharp"]] == ["Ab_90bpm.flac"]


def test_what_cannot_be_understood_is_skipped_with_the_reason(library: RiffLibrary, tmp_path: Path) -> None:
    put(tmp_path, "h_120bpm.wav")
    put(tmp_path, "notes.txt")
    put(tmp_path, "broken.wav", b"no audio")
    skipped = library.catalog().skipped
    assert set(skipped) == {"h_120bpm.wav", "notes.txt", "broken.wav"}
    assert "no key" in skipped["h_120bpm.wav"]
    assert "cannot be read" in skipped["broken.wav"]


def test_what_the_name_does_not_say_is_estimated_once(library: RiffLibrary, tmp_path: Path, workers: Workers) -> None:
    path = put(tmp_path, "groove.wav", encoded(drums(100, 8)))
    (riff,) = library.catalog().riffs
    assert riff.estimated == ("key", "bpm")
    assert float(riff.bpm) == pytest.approx(100, rel=0.01)
    sidecar = path.with_name(path.name + SIDECAR)
    kept = json.loads(sidecar.read_text())
    assert kept["estimated"] is True
    kept["bpm"] = 77.0
    sidecar.write_text(json.dumps(kept))
    again = RiffLibrary(tmp_path / "riffs", tmp_path / "cache", workers, 60)
    assert again.catalog().riffs[0].bpm == 77  # read, not analysed again
    path.write_bytes(encoded(drums(125, 8)))
    assert float(again.catalog().riffs[0].bpm) == pytest.approx(125, rel=0.01)


def test_the_same_seed_chooses_the_same_riff(library: RiffLibrary, tmp_path: Path) -> None:
    for number in range(3):
        put(tmp_path, f"a_120bpm_{number}.wav")
    chosen = [library.choose("a", seed, transpose=False)[0].filename for seed in (0, 1, 2, 0)]
    assert chosen[0] == chosen[3]
    assert len(set(chosen)) == 3


def test_no_riff_in_the_key(library: RiffLibrary, tmp_path: Path) -> None:
    put(tmp_path, "a_120bpm.wav")
    with pytest.raises(InvalidInput, match=r"\(a\), got 'c'") as caught:
        library.choose("c", 0, transpose=False)
    assert caught.value.details == {"available_keys": ["a"]}
    riff, semitones = library.choose("c", 0, transpose=True)
    assert (riff.key, semitones) == ("a", 3)


@pytest.mark.parametrize("bpm", [90, 128, Fraction("92.5"), 174])
def test_a_riff_at_another_tempo_is_exact(library: RiffLibrary, tmp_path: Path, bpm: Fraction) -> None:
    put(tmp_path, "a_120bpm.wav", encoded(drums(120, 8)))
    (riff,) = library.catalog().riffs
    loop = library.loop(riff, Fraction(bpm), RATE)
    assert loop.shape == (2, round(8 * 60 / Fraction(bpm) * RATE))


def test_a_riff_nearly_whole_beats_long_is_taken_as_that(library: RiffLibrary, tmp_path: Path) -> None:
    put(tmp_path, "a_120bpm.wav", encoded(np.pad(drums(120, 8), ((0, 0), (0, 900)))))
    (riff,) = library.catalog().riffs
    assert library.loop(riff, Fraction(120), RATE).shape == (2, 176400)


def test_stretched_riffs_are_cached(library: RiffLibrary, tmp_path: Path) -> None:
    path = put(tmp_path, "a_120bpm.wav", encoded(drums(120, 8)))
    (riff,) = library.catalog().riffs
    first = library.loop(riff, Fraction(100), RATE)
    kept = list((tmp_path / "cache").iterdir())
    assert len(kept) == 1
    assert np.array_equal(library.loop(riff, Fraction(100), RATE), first)
    kept[0].write_bytes(b"broken")
    assert np.array_equal(library.loop(riff, Fraction(100), RATE), first)
    path.write_bytes(encoded(tone(220, 4)))
    assert not np.array_equal(library.loop(riff, Fraction(100), RATE), first)


def test_transposing_moves_the_pitch(library: RiffLibrary, tmp_path: Path) -> None:
    put(tmp_path, "a_120bpm.wav", encoded(tone(220, 4)))
    (riff,) = library.catalog().riffs
    loop = library.loop(riff, Fraction(120), RATE, semitones=3)
    spectrum = np.abs(np.fft.rfft(loop[0] * np.hanning(loop.shape[1])))
    assert spectrum.argmax() * RATE / loop.shape[1] == pytest.approx(220 * 2 ** (3 / 12), rel=0.005)


def test_adding_and_removing(library: RiffLibrary, tmp_path: Path) -> None:
    data = encoded(drums(120, 4))
    first = library.add(data, "my riff.wav", "gsharp", Fraction(120))
    second = library.add(data, "../../my riff.wav", "gsharp", Fraction(120))
    assert (first.filename, second.filename) == ("gsharp_120bpm.wav", "gsharp_120bpm_1.wav")
    named = library.add(data, "../c_99bpm.wav", None, None)
    assert named.key == "c"
    assert named.bpm == 99
    assert {path.name for path in (tmp_path / "riffs").iterdir()} == {first.filename, second.filename, named.filename}
    library.remove(first.filename)
    assert len(library.catalog().riffs) == 2


@pytest.mark.parametrize("name", ["../secret.wav", "/etc/passwd", "..", "", "a/b.wav", "gone.wav", "x\0.wav"])
def test_only_riffs_of_the_folder_can_be_removed(library: RiffLibrary, tmp_path: Path, name: str) -> None:
    put(tmp_path, "a_120bpm.wav")
    (tmp_path / "secret.wav").write_bytes(b"secret")
    with pytest.raises(NotFound):
        library.remove(name)
    assert (tmp_path / "secret.wav").exists()
    assert len(library.catalog().riffs) == 1


def test_what_is_no_audio_is_not_kept(library: RiffLibrary, tmp_path: Path) -> None:
    with pytest.raises(NotAudio):
        library.add(b"text", "a_120bpm.wav", None, None)
    with pytest.raises(InvalidInput, match="must have a name that ends in"):
        library.add(encoded(drums(120, 4)), "riff.exe", None, None)
    assert not (tmp_path / "riffs").exists() or not list((tmp_path / "riffs").iterdir())


def test_a_riff_that_breaks_later_is_named(library: RiffLibrary, tmp_path: Path) -> None:
    put(tmp_path, "a_120bpm.wav", b"broken")
    (riff,) = library.catalog().riffs
    with pytest.raises(LoopwrightError, match=r"the riff a_120bpm\.wav"):
        library.loop(riff, Fraction(120), RATE)
