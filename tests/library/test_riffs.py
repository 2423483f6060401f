"""The library of riffs, on real files and real worker processes."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from loopwright.errors import (
    InvalidInput,
    LoopwrightError,
    NotAudio,
    NotFound,
    StorageFailed,
    WorkerFailed,
)
from loopwright.library.riffs import RiffLibrary
from loopwright.library.sidecar import sidecar_path
from loopwright.music.key import Key
from loopwright.system.measurements import CacheAsked, Measurement, listening
from loopwright.system.workers import Workers
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
    assert {key: len(riffs) for key, riffs in library.catalog().by_key().items()} == {
        "a": 1,
        "gsharp": 2,
    }
    path.unlink()
    assert [riff.filename for riff in library.catalog().by_key()["gsharp"]] == ["Ab_90bpm.flac"]


def test_what_cannot_be_understood_is_skipped_with_the_reason(
    library: RiffLibrary, tmp_path: Path
) -> None:
    put(tmp_path, "h_120bpm.wav")
    put(tmp_path, "notes.txt")
    put(tmp_path, "broken.wav", b"no audio")
    skipped = library.catalog().skipped
    assert set(skipped) == {"h_120bpm.wav", "notes.txt", "broken.wav"}
    assert "no key" in skipped["h_120bpm.wav"]
    assert "is text, not audio" in skipped["broken.wav"]


def test_what_the_name_does_not_say_is_estimated_once(
    library: RiffLibrary, tmp_path: Path, workers: Workers
) -> None:
    path = put(tmp_path, "groove.wav", encoded(drums(100, 8)))
    (riff,) = library.catalog().riffs
    assert riff.estimated == ("key", "bpm")
    assert float(riff.bpm) == pytest.approx(100, rel=0.01)
    sidecar = sidecar_path(path)
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
    chosen = [library.choose(Key(9), seed, transpose=False).riff.filename for seed in (0, 1, 2, 0)]
    assert chosen[0] == chosen[3]
    assert len(set(chosen)) == 3


def test_a_key_without_riffs(library: RiffLibrary, tmp_path: Path) -> None:
    put(tmp_path, "a_120bpm.wav")
    with pytest.raises(InvalidInput, match=r'\(a\), got "c"') as caught:
        library.choose(Key(0), 0, transpose=False)
    assert caught.value.details == {"available_keys": ["a"]}
    chosen = library.choose(Key(0), 0, transpose=True)
    assert (chosen.riff.key, chosen.semitones) == (Key(9), 3)


@pytest.mark.parametrize("bpm", [90, 128, Fraction("92.5"), 174])
def test_a_riff_at_another_tempo_is_exact(
    library: RiffLibrary, tmp_path: Path, bpm: Fraction
) -> None:
    put(tmp_path, "a_120bpm.wav", encoded(drums(120, 8)))
    (riff,) = library.catalog().riffs
    loop = library.loop(riff, Fraction(bpm), RATE).audio
    assert loop.shape == (2, round(8 * 60 / Fraction(bpm) * RATE))


def test_a_riff_nearly_whole_beats_long_is_taken_as_that(
    library: RiffLibrary, tmp_path: Path
) -> None:
    put(tmp_path, "a_120bpm.wav", encoded(np.pad(drums(120, 8), ((0, 0), (0, 900)))))
    (riff,) = library.catalog().riffs
    assert library.loop(riff, Fraction(120), RATE).audio.shape == (2, 176400)


def test_stretched_riffs_are_cached(library: RiffLibrary, tmp_path: Path) -> None:
    path = put(tmp_path, "a_120bpm.wav", encoded(drums(120, 8)))
    (riff,) = library.catalog().riffs
    told: list[Measurement] = []
    with listening(told.append):
        first = library.loop(riff, Fraction(100), RATE).audio
        kept = list((tmp_path / "cache").iterdir())
        assert len(kept) == 1
        assert np.array_equal(library.loop(riff, Fraction(100), RATE).audio, first)
        kept[0].write_bytes(b"broken")
        assert np.array_equal(library.loop(riff, Fraction(100), RATE).audio, first)
    assert told == [CacheAsked("riffs", is_hit) for is_hit in (False, True, False)]
    path.write_bytes(encoded(tone(220, 4)))
    assert not np.array_equal(library.loop(riff, Fraction(100), RATE).audio, first)


def test_transposing_moves_the_pitch(library: RiffLibrary, tmp_path: Path) -> None:
    put(tmp_path, "a_120bpm.wav", encoded(tone(220, 4)))
    (riff,) = library.catalog().riffs
    loop = library.loop(riff, Fraction(120), RATE, semitones=3).audio
    spectrum = np.abs(np.fft.rfft(loop[0] * np.hanning(loop.shape[1])))
    assert spectrum.argmax() * RATE / loop.shape[1] == pytest.approx(220 * 2 ** (3 / 12), rel=0.005)


def test_adding_and_removing(library: RiffLibrary, tmp_path: Path) -> None:
    data = encoded(drums(120, 4))
    first, _ = library.add(data, "my riff.wav", Key(8), Fraction(120))
    second, _ = library.add(data, "../../my riff.wav", Key(8), Fraction(120))
    assert (first.filename, second.filename) == ("gsharp_120bpm.wav", "gsharp_120bpm_1.wav")
    named, _ = library.add(data, "../c_99bpm.wav", None, None)
    assert named.key == Key(0)
    assert named.bpm == 99
    assert {path.name for path in (tmp_path / "riffs").iterdir()} == {
        first.filename,
        second.filename,
        named.filename,
    }
    library.remove(first.filename)
    assert len(library.catalog().riffs) == 2


@pytest.mark.parametrize(
    "name", ["../secret.wav", "/etc/passwd", "..", "", "a/b.wav", "gone.wav", "x\0.wav"]
)
def test_only_riffs_of_the_folder_can_be_removed(
    library: RiffLibrary, tmp_path: Path, name: str
) -> None:
    put(tmp_path, "a_120bpm.wav")
    (tmp_path / "secret.wav").write_bytes(b"secret")
    with pytest.raises(NotFound):
        library.remove(name)
    assert (tmp_path / "secret.wav").exists()
    assert len(library.catalog().riffs) == 1


def test_what_is_no_audio_is_not_kept(library: RiffLibrary, tmp_path: Path) -> None:
    with pytest.raises(NotAudio):
        library.add(b"text", "a_120bpm.wav", None, None)
    with pytest.raises(InvalidInput, match='filename cannot be taken: "h" is no key such as A'):
        library.add(encoded(drums(120, 4)), "h_120bpm.wav", None, None)
    assert not (tmp_path / "riffs").exists() or not list((tmp_path / "riffs").iterdir())


def test_a_riff_that_breaks_later_is_named(library: RiffLibrary, tmp_path: Path) -> None:
    put(tmp_path, "a_120bpm.wav", b"broken")
    (riff,) = library.catalog().riffs
    with pytest.raises(LoopwrightError, match=r"the riff a_120bpm\.wav"):
        library.loop(riff, Fraction(120), RATE)


@pytest.mark.parametrize("bpm", ["93.4567", "127.9999", "30", "299.999999", "100.5"])
def test_a_tempo_that_was_given_is_kept_to_the_last_digit(
    library: RiffLibrary, tmp_path: Path, workers: Workers, bpm: str
) -> None:
    added, _ = library.add(encoded(drums(120, 4)), "x.wav", Key(9, "minor"), Fraction(bpm))
    again = RiffLibrary(tmp_path / "riffs", tmp_path / "cache", workers, 60)
    for riff in (added, *again.catalog().riffs):
        assert (riff.bpm, riff.key, riff.estimated) == (Fraction(bpm), Key(9, "minor"), ())
    assert again.catalog().riffs[0].describe()["original_bpm"] == float(bpm)


def test_what_was_given_counts_before_what_the_name_says(library: RiffLibrary) -> None:
    riff, _ = library.add(encoded(drums(120, 4)), "gsharp loop 90bpm.wav", Key(0), None)
    assert (riff.key, float(riff.bpm), riff.estimated) == (Key(0), 90, ())


def test_the_sidecar_of_another_file_of_the_same_name_does_not_count(
    library: RiffLibrary, tmp_path: Path
) -> None:
    riff, _ = library.add(encoded(drums(120, 4)), "x.wav", Key(9), Fraction("93.4567"))
    put(tmp_path, riff.filename, encoded(drums(100, 4)))
    assert library.catalog().riffs[0].bpm == Fraction("93.457")  # what the name says


@pytest.mark.parametrize(
    "kept",
    [b"", b"[]", b"{}", b'{"size": 1}', b"\xff", b'{"given": {"bpm": "1/0"}}', b"9" * 20_000],
)
def test_a_damaged_sidecar_counts_as_missing(
    library: RiffLibrary, tmp_path: Path, kept: bytes
) -> None:
    path = put(tmp_path, "a_120bpm.wav")
    sidecar_path(path).write_bytes(kept)
    assert library.catalog().riffs[0].bpm == 120


def test_half_a_second_has_a_usual_tempo(library: RiffLibrary) -> None:
    riff, _ = library.add(encoded(drums(120, 4)[:, : RATE // 2]), "hit.wav", None, None)
    assert riff.estimated == ("key", "bpm")
    assert 60 <= riff.bpm < 180


@pytest.mark.parametrize(
    ("kind", "name", "kept"),
    [
        ("OGG", "x.ogg", ".ogg"),
        ("MP3", "x.wav", ".mp3"),
        ("WAV", "", ".wav"),
        ("FLAC", "x", ".flac"),
        ("AIFF", "x.exe", ".aiff"),
    ],
)
def test_a_riff_is_kept_as_what_its_bytes_say(
    library: RiffLibrary, kind: str, name: str, kept: str
) -> None:
    data = encoded(drums(120, 4, 48000), 48000, kind)
    riff, _ = library.add(data, name, Key(2), Fraction(120))
    assert riff.filename == f"d_120bpm{kept}"
    assert library.loop(riff, Fraction(120), RATE).audio.shape[0] == 2


@pytest.mark.parametrize("letter", ["x", "ü", "🥁"])
def test_names_of_any_length_are_kept(library: RiffLibrary, tmp_path: Path, letter: str) -> None:
    for _ in range(2):
        riff, _ = library.add(encoded(drums(120, 4)), f"a 120bpm {letter * 300}.wav", None, None)
        assert (tmp_path / "riffs" / riff.filename).is_file()
    assert len(library.catalog().riffs) == 2


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_full_or_read_only_disk_is_an_error_and_leaves_no_file(
    library: RiffLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def failing(_: int) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr("os.fsync", failing)
    with pytest.raises(
        StorageFailed, match=r"the riff could not be kept: the (disk is full|folder riffs may not)"
    ):
        library.add(encoded(drums(120, 4)), "x.wav", Key(2), Fraction(120))
    assert list((tmp_path / "riffs").iterdir()) == []


def test_a_riff_whose_sidecar_cannot_be_written_is_not_kept(
    library: RiffLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, calls = os.fsync, []

    def second_fails(number: int) -> None:
        calls.append(number)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "no")
        fsync(number)

    monkeypatch.setattr("os.fsync", second_fails)
    with pytest.raises(StorageFailed):
        library.add(encoded(drums(120, 4)), "x.wav", Key(2), Fraction("93.4567"))
    assert list((tmp_path / "riffs").iterdir()) == []


def test_a_folder_that_is_a_file(library: RiffLibrary, tmp_path: Path) -> None:
    (tmp_path / "riffs").write_bytes(b"")
    with pytest.raises(
        StorageFailed, match="the folder of riffs cannot be read: riffs is no folder"
    ):
        library.catalog()


def test_two_that_are_added_at_once_are_both_kept(library: RiffLibrary, tmp_path: Path) -> None:
    data = encoded(drums(120, 4))
    with ThreadPoolExecutor(8) as threads:
        made = list(
            threads.map(lambda _: library.add(data, "x.wav", Key(2), Fraction(120))[0], range(8))
        )
    assert len({riff.filename for riff in made}) == 8
    assert len(library.catalog().riffs) == 8


def test_a_mode_that_is_asked_for_is_chosen_where_there_is_one(
    library: RiffLibrary, tmp_path: Path
) -> None:
    put(tmp_path, "Amaj_120bpm.wav")
    put(tmp_path, "Am_120bpm.wav")
    chosen = {
        library.choose(Key(9, "minor"), seed, transpose=False).riff.filename for seed in range(4)
    }
    assert chosen == {"Am_120bpm.wav"}
    assert {library.choose(Key(9), seed, transpose=False).riff.filename for seed in range(4)} == {
        "Am_120bpm.wav",
        "Amaj_120bpm.wav",
    }
    (tmp_path / "riffs" / "Am_120bpm.wav").unlink()
    instead = library.choose(Key(9, "minor"), 0, transpose=False)
    assert instead.warnings == ("there is no riff in A minor; one in A major was used",)


def test_what_was_repaired_in_a_riff_is_reported_each_time(library: RiffLibrary) -> None:
    data = bytearray(encoded(drums(120, 4)))
    data[40:44] = b"\xff" * 4
    riff, notes = library.add(bytes(data), "x.wav", Key(2), Fraction(120))
    assert notes == ("audio_file does not say how long it is; it was used to its end",)
    for _ in range(2):  # made, then from the cache
        assert library.loop(riff, Fraction(100), RATE).notes == (
            "the riff d_120bpm.wav does not say how long it is; it was used to its end",
        )


def test_a_file_that_cannot_be_analysed_leaves_nothing_behind(
    library: RiffLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(self: RiffLibrary, path: Path, beside: object) -> None:
        raise ZeroDivisionError

    put(tmp_path, "a_120bpm.wav")
    monkeypatch.setattr(RiffLibrary, "_analyse", failing)
    with pytest.raises(ZeroDivisionError):
        library.add(encoded(drums(120, 4)), "x.wav", None, None)
    put(tmp_path, "odd.wav")
    catalog = library.catalog()
    assert [riff.filename for riff in catalog.riffs] == ["a_120bpm.wav"]
    assert catalog.skipped == {"odd.wav": "it could not be analysed"}


def test_a_failing_worker_is_reported_in_a_sentence(
    library: RiffLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise WorkerFailed("it took longer than 60 seconds")

    monkeypatch.setattr(Workers, "call", failing)
    with pytest.raises(
        NotAudio, match="audio_file could not be decoded: it took longer than 60 seconds"
    ):
        library.add(encoded(drums(120, 4)), "x.wav", None, None)


@pytest.mark.parametrize("samples", [1, 2, 30])
def test_a_few_samples_are_refused_or_kept_but_break_nothing(
    library: RiffLibrary, samples: int
) -> None:
    with contextlib.suppress(LoopwrightError):
        library.add(encoded(np.zeros((2, samples), np.float32), 192_000), "x.wav", None, None)
    library.catalog()
