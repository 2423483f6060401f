"""FLAC files, read by libsndfile and a second reader."""

from __future__ import annotations

import numpy as np
import pytest

from loopwright.audio.types import BitDepth
from tests.audio.formats.content import AUDIO, check_tags, encode, read, subtype_of
from tests.sounds import RATE


@pytest.mark.parametrize(
    ("bit_depth", "subtype", "error"), [(16, "PCM_16", 2e-4), (24, "PCM_24", 2e-7)]
)
def test_samples_are_exact(bit_depth: BitDepth, subtype: str, error: float) -> None:
    data = encode("flac", bit_depth=bit_depth)
    audio, rate = read(data)
    assert (audio.shape, rate, subtype_of(data)) == (AUDIO.shape, RATE, subtype)
    assert np.abs(audio - AUDIO).max() <= error


def test_tags_are_read() -> None:
    check_tags(encode("flac"), "flac")
