"""The words that errors are made of."""

from __future__ import annotations

import pytest

from loopwright.errors import one_of


@pytest.mark.parametrize(
    ("values", "quote", "text"),
    [
        (["wav"], "", "wav"),
        ([16, 24], "", "16 or 24"),
        (["wav", "flac", "mp3"], "`", "`wav`, `flac` or `mp3`"),
    ],
)
def test_a_choice_reads_as_a_sentence(values: list[object], quote: str, text: str) -> None:
    assert one_of(values, quote) == text
