"""Pages that are written are read back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loopwright.audio.ogg_pages import page_bytes, pages, segments_of
from tests.sounds import encoded, tone


def test_a_page_written_with_its_own_numbers_is_the_same_page() -> None:
    """The checksums are compared with libsndfile's."""
    found = list(pages(encoded(tone(440, 1, 48_000), 48_000, "OGG", "OPUS")))
    assert len(found) > 2
    serial = int.from_bytes(found[0].header[14:18], "little")
    for number, page in enumerate(found):
        again = page_bytes(page, serial, number, page.segments, page.content)
        assert again == page.header + page.content


@pytest.mark.parametrize("size", [0, 1, 254, 255, 256, 65_024])
def test_a_packet_of_any_size_that_fits_is_one_page(size: int) -> None:
    packet = bytes(size)
    (first, *_) = pages(encoded(tone(440, 1, 48_000), 48_000, "OGG", "OPUS"))
    (read,) = pages(page_bytes(first, 1, 0, segments_of(packet), packet))
    assert read == replace(first, header=read.header, content=packet)


def test_a_packet_that_fits_no_page_is_refused() -> None:
    with pytest.raises(ValueError, match="65,025 bytes"):
        segments_of(bytes(65_025))
