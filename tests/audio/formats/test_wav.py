"""WAV files, their chunks taken apart."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile

from loopwright.audio.formats.tags import Tags
from loopwright.audio.types import BitDepth
from tests.audio.formats.content import AUDIO, SAMPLES, TAGS, encode, read, subtype_of, tags_of
from tests.sounds import RATE


def chunks(wav: bytes) -> dict[bytes, bytes]:
    found, position = {}, 12
    while position < len(wav):
        name, size = struct.unpack_from("<4sI", wav, position)
        found[name] = wav[position + 8 : position + 8 + size]
        position += 8 + size + size % 2
    assert position == len(wav) == 8 + struct.unpack_from("<I", wav, 4)[0]
    return found


@pytest.mark.parametrize(
    ("bit_depth", "subtype", "error"),
    [(16, "PCM_16", 2e-4), (24, "PCM_24", 2e-7), (32, "FLOAT", 0)],
)
def test_samples_are_exact(bit_depth: BitDepth, subtype: str, error: float) -> None:
    data = encode("wav", bit_depth=bit_depth)
    audio, rate = read(data)
    assert (audio.shape, rate, subtype_of(data)) == (AUDIO.shape, RATE, subtype)
    assert np.abs(audio - AUDIO).max() <= error


def test_a_daw_reads_tempo_beats_and_loop_points() -> None:
    found = chunks(encode("wav"))
    acid = struct.unpack("<IHHfIHHf", found[b"acid"])
    flags, note, _, _, beats, denominator, numerator, tempo = acid
    assert (flags, note, beats, denominator, numerator, tempo) == (6, 68, 16, 4, 4, 92.5)
    sampler = struct.unpack("<15I", found[b"smpl"])
    assert (sampler[3], sampler[7]) == (68, 1)
    assert sampler[9:15] == (0, 0, 0, SAMPLES - 1, 0, 0)


def test_libsndfile_reads_tags_tempo_and_loop_points() -> None:
    with soundfile.SoundFile(io.BytesIO(encode("wav"))) as file:
        texts = (file.title, file.comment, file.software)
        facts = " ".join(file.extra_info.split())
    assert texts == (TAGS.title, TAGS.comment, TAGS.software)
    for fact in (
        "Root note : 0x44",
        "Beats : 16",
        "Meter : 4/4",
        "Tempo : 92.500000",
        "Midi Note : 68",
        "Loop Count : 1",
        "Type : 0 Start : 0 End : 400000",
    ):
        assert fact in facts


def test_a_second_reader_reads_it() -> None:
    tags = tags_of(encode("wav"), "wav")
    assert (tags.title, tags.comment) == (TAGS.title, TAGS.comment)
    assert tags.duration == pytest.approx(SAMPLES / RATE)


def test_audio_that_is_no_loop_has_no_loop_points() -> None:
    found = chunks(encode("wav", tags=Tags("rain", "c", "s")))
    assert set(found) == {b"fmt ", b"data", b"LIST"}
