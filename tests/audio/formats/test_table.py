"""What holds for every output format, those of the future too."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from loopwright.audio.decode import decode
from loopwright.audio.formats.table import FORMATS, Format, format_of_extension
from loopwright.audio.formats.tags import Tags
from loopwright.audio.types import BitDepth
from tests.audio.formats.content import AUDIO, SAMPLES, encode, tags_of
from tests.sounds import RATE

CHOICES = [
    (name, bit_depth)
    for name, row in FORMATS.items()
    for bit_depth in (row.bit_depths or get_args(BitDepth))
]


@pytest.mark.parametrize(("name", "bit_depth"), CHOICES)
def test_a_file_is_read_back_and_no_shorter(name: Format, bit_depth: BitDepth) -> None:
    data = encode(name, bit_depth=bit_depth)
    decoded = decode(data, RATE, keep_seconds=60, max_seconds=60)
    assert SAMPLES <= decoded.audio.shape[1] < SAMPLES + 5_000
    assert np.abs(decoded.audio).max() == pytest.approx(np.abs(AUDIO).max(), rel=0.2)
    assert decoded.notes == ()


@pytest.mark.parametrize(("name", "bit_depth"), CHOICES)
def test_the_same_content_gives_the_same_bytes(name: Format, bit_depth: BitDepth) -> None:
    assert encode(name, bit_depth=bit_depth) == encode(name, bit_depth=bit_depth)


@pytest.mark.parametrize("name", FORMATS)
def test_titles_of_any_script_are_kept(name: Format) -> None:
    tags = Tags("日本語 🥁", "ü", "s", bpm=100, beats=4)
    assert tags_of(encode(name, tags=tags), name).title == tags.title


def test_names_extensions_and_media_types_are_all_different() -> None:
    rows = FORMATS.values()
    assert list(FORMATS) == [row.name for row in rows]
    assert len({row.extension for row in rows}) == len(FORMATS)
    assert len({row.media_type for row in rows}) == len(FORMATS)
    assert all(row.extension.startswith(".") for row in rows)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_found_by_its_extension(name: Format) -> None:
    extension = FORMATS[name].extension
    assert format_of_extension(extension) == format_of_extension(extension.upper()) == name


@pytest.mark.parametrize("extension", ["", "wav", ".txt", "."])
def test_other_extensions_are_of_no_format(extension: str) -> None:
    assert format_of_extension(extension) is None
