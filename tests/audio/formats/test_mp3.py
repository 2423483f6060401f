"""MP3 files, read by libsndfile and a second reader."""

from __future__ import annotations

from tests.audio.formats.content import SAMPLES, check_tags, encode, read
from tests.sounds import RATE


def test_the_encoder_adds_little() -> None:
    audio, rate = read(encode("mp3"))
    assert rate == RATE
    assert SAMPLES <= audio.shape[1] < SAMPLES + 5_000


def test_tags_are_read() -> None:
    check_tags(encode("mp3"), "mp3")
