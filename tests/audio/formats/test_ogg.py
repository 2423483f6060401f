"""Ogg Opus files, read by libsndfile and a second reader."""

from __future__ import annotations

import pytest

from loopwright.audio.formats.tags import Tags
from tests.audio.formats.content import SAMPLES, check_tags, encode, read


def test_the_length_is_exact_at_48_khz() -> None:
    audio, rate = read(encode("ogg"))
    assert (audio.shape[1], rate) == (-(-SAMPLES * 48000 // 44100), 48000)
    # what a browser that rounds down makes of it
    assert audio.shape[1] * 44100 // 48000 == SAMPLES


def test_tags_are_read() -> None:
    check_tags(encode("ogg"), "ogg")


def test_tags_that_do_not_fit_a_page_are_refused() -> None:
    with pytest.raises(ValueError, match="must fit an Ogg page"):
        encode("ogg", tags=Tags("x" * 70_000, "c", "s"))
