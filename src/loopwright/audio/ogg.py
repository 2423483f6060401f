"""Ogg pages (RFC 3533): what a file of them consists of. Does not know codecs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

CAPTURE = b"OggS"
HEADER_BYTES = 27
FIRST_PAGE, LAST_PAGE = 0x02, 0x04
"""Flags of the first and the last page of a logical stream."""


@dataclass(frozen=True)
class Page:
    """A page: its header with the segment table, its content, and where it lies in the file."""

    header: bytes
    content: bytes
    at: int

    @property
    def flags(self) -> int:
        """FIRST_PAGE and LAST_PAGE, where they are set."""
        return self.header[5]


def pages(data: bytes) -> Iterator[Page]:
    """Find the whole pages of a file, one after the other; what lies between them is skipped."""
    position = data.find(CAPTURE)
    while position >= 0 and position + HEADER_BYTES <= len(data):
        head_end = position + HEADER_BYTES + data[position + 26]
        end = head_end + sum(data[position + HEADER_BYTES : head_end])
        if end > len(data):
            return
        yield Page(data[position:head_end], data[head_end:end], position)
        position = data.find(CAPTURE, end)


def links(data: bytes) -> tuple[list[bytes], bool]:
    """Split a chained file (RFC 3533, section 4) into its links, each a file of its own.

    Returns:
        The links, and whether the last one ends with the page that says so.
    """
    starts, is_in_headers, last = [0], True, 0
    for page in pages(data):
        if page.flags & FIRST_PAGE and not is_in_headers:
            starts.append(page.at)
        is_in_headers = bool(page.flags & FIRST_PAGE)
        last = page.flags
    ends = [*starts[1:], len(data)]
    return [data[start:end] for start, end in zip(starts, ends, strict=True)], bool(
        last & LAST_PAGE
    )
