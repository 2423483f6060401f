"""Files that libsndfile and a second reader take apart again."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
import soundfile
from tinytag import TinyTag

from loopwright.audio.encode import encode
from loopwright.audio.types import BitDepth, Format
from loopwright.audio.wav import Tags
from tests.sounds import RATE, drums

TAGS = Tags(
    "techno drums 92.5bpm",
    "prompt: techno drums; seed: 7; model: pocket",
    "Loopwright 1",
    92.5,
    16,
    "G#",
    68,
)
AUDIO = drums(92.5)[:, :400_001] * np.float32(0.5)


def read(data: bytes) -> tuple[Any, int]:
    audio, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    return audio.T, rate


def tags_of(data: bytes, kind: str) -> TinyTag:
    return TinyTag.get(filename=f"x.{kind}", file_obj=io.BytesIO(data))


def chunks(wav: bytes) -> dict[bytes, bytes]:
    found, position = {}, 12
    while position < len(wav):
        name, size = struct.unpack_from("<4sI", wav, position)
        found[name] = wav[position + 8 : position + 8 + size]
        position += 8 + size + size % 2
    assert position == len(wav) == 8 + struct.unpack_from("<I", wav, 4)[0]
    return found


@pytest.mark.parametrize(
    ("kind", "depth", "error"),
    [("wav", 16, 2e-4), ("wav", 24, 2e-7), ("wav", 32, 0), ("flac", 16, 2e-4), ("flac", 24, 2e-7)],
)
def test_lossless_formats_are_exact(kind: Format, depth: BitDepth, error: float) -> None:
    data = encode(AUDIO, RATE, TAGS, kind=kind, bit_depth=depth, seed=1)
    audio, rate = read(data)
    assert (audio.shape, rate) == (AUDIO.shape, RATE)
    assert np.abs(audio - AUDIO).max() <= error
    subtype = {16: "PCM_16", 24: "PCM_24", 32: "FLOAT"}[depth]
    assert soundfile.info(io.BytesIO(data)).subtype == subtype
    assert data == encode(AUDIO, RATE, TAGS, kind=kind, bit_depth=depth, seed=1)


def test_opus_has_the_exact_length_at_its_rate() -> None:
    data = encode(AUDIO, RATE, TAGS, kind="ogg")
    audio, rate = read(data)
    assert (audio.shape[1], rate) == (-(-400_001 * 48000 // 44100), 48000)
    assert audio.shape[1] * 44100 // 48000 == 400_001  # what a browser that rounds down makes of it
    assert data == encode(AUDIO, RATE, TAGS, kind="ogg")


def test_mp3_is_whole() -> None:
    data = encode(AUDIO, RATE, TAGS, kind="mp3")
    audio, _ = read(data)
    assert abs(audio.shape[1] - 400_001) < 5_000
    assert data == encode(AUDIO, RATE, TAGS, kind="mp3")


def test_dither_is_of_the_seed_and_not_in_silence() -> None:
    assert encode(AUDIO, RATE, TAGS, seed=1) != encode(AUDIO, RATE, TAGS, seed=2)
    silence, _ = read(encode(np.zeros((2, 1000), np.float32), RATE, TAGS, seed=1))
    assert not silence.any()


def test_dither_makes_the_error_noise() -> None:
    """A tone of half a step would be cut to nothing without it."""
    quiet = np.tile(np.sin(np.arange(44_100) * 0.1) * 0.5 / 32767, (2, 1)).astype(np.float32)
    audio, _ = read(encode(quiet, RATE, TAGS, seed=1))
    assert np.corrcoef(audio[0], quiet[0])[0, 1] > 0.3


def test_a_daw_reads_tempo_beats_and_loop_points() -> None:
    found = chunks(encode(AUDIO, RATE, TAGS))
    flags, note, _, _, beats, denominator, numerator, tempo = struct.unpack(
        "<IHHfIHHf", found[b"acid"]
    )
    assert (flags, note, beats, denominator, numerator, tempo) == (6, 68, 16, 4, 4, 92.5)
    sampler = struct.unpack("<15I", found[b"smpl"])
    assert (sampler[3], sampler[7]) == (68, 1)
    assert sampler[9:15] == (0, 0, 0, 400_000, 0, 0)


def test_libsndfile_reads_them_back() -> None:
    with soundfile.SoundFile(io.BytesIO(encode(AUDIO, RATE, TAGS))) as file:
        assert (file.title, file.comment, file.software) == (
            TAGS.title,
            TAGS.comment,
            TAGS.software,
        )
        said = " ".join(file.extra_info.split())
    for part in (
        "Root note : 0x44",
        "Beats : 16",
        "Meter : 4/4",
        "Tempo : 92.500000",
        "Midi Note : 68",
        "Loop Count : 1",
    ):
        assert part in said
    assert "Type : 0 Start : 0 End : 400000" in said


@pytest.mark.parametrize("kind", ["flac", "mp3", "ogg"])
def test_tempo_title_and_comment_are_in_the_tags(kind: Format) -> None:
    data = encode(AUDIO, RATE, TAGS, kind=kind)
    tags = tags_of(data, kind)
    assert tags.title == TAGS.title
    assert tags.comment == TAGS.comment
    others = {name.lower(): values for name, values in tags.other.items()}
    assert "92.5" in others["bpm"]
    assert "G#" in (
        others.get("initial_key") or others.get("key") or others.get("initialkey") or []
    )
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        assert (file.title, file.comment) == (TAGS.title, TAGS.comment)


def test_the_second_reader_reads_wav() -> None:
    tags = tags_of(encode(AUDIO, RATE, TAGS), "wav")
    assert (tags.title, tags.comment) == (TAGS.title, TAGS.comment)
    assert tags.duration == pytest.approx(400_001 / RATE)


def test_audio_that_is_no_loop_has_no_loop_points() -> None:
    found = chunks(encode(AUDIO, RATE, Tags("rain", "c", "s")))
    assert set(found) == {b"fmt ", b"data", b"LIST"}


def test_words_of_any_script() -> None:
    tags = Tags("日本語 🥁", "ü", "s", 100, 4)
    kinds: tuple[Format, ...] = ("wav", "flac", "mp3", "ogg")
    for kind in kinds:
        assert tags_of(encode(AUDIO, RATE, tags, kind=kind), kind).title == tags.title
