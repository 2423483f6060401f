"""Ogg pages, which an Ogg file consists of (RFC 3533). Does not know codecs."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

CAPTURE = b"OggS"
HEADER_BYTES = 27
FIRST_PAGE, LAST_PAGE = 0x02, 0x04
"""Flags of the first and the last page of a logical stream."""
MAX_SEGMENTS = 255
"""The most segments of a page; a segment has at most 255 bytes."""
CRC_POLYNOMIAL = 0x04C11DB7


@dataclass(frozen=True)
class Page:
    """A page of an Ogg file.

    Args:
        header: Its header, with the table of segment lengths at the end.
        content: All of its segments.
        at: Where it begins in the file.
    """

    header: bytes
    content: bytes
    at: int

    @property
    def flags(self) -> int:
        """FIRST_PAGE and LAST_PAGE, where they are set."""
        return self.header[5]

    @property
    def segments(self) -> bytes:
        """The lengths of its segments, a byte each."""
        return self.header[HEADER_BYTES:]


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
        The links, and whether the last one ends with a page that is marked as the last.
    """
    starts, is_in_headers, last_flags = [0], True, 0
    for page in pages(data):
        is_first = bool(page.flags & FIRST_PAGE)
        if is_first and not is_in_headers:
            starts.append(page.at)
        # the streams of a link all begin before the first of them goes on
        is_in_headers, last_flags = is_first, page.flags
    ends = [*starts[1:], len(data)]
    parts = [data[start:end] for start, end in zip(starts, ends, strict=True)]
    return parts, bool(last_flags & LAST_PAGE)


def segments_of(packet: bytes) -> bytes:
    """Return the segment lengths of a page with one whole packet.

    Raises:
        ValueError: The packet does not fit a page.
    """
    # a packet ends with a segment of less than 255 bytes, be it empty
    segments = b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255])
    if len(segments) > MAX_SEGMENTS:
        raise ValueError(f"a packet must fit an Ogg page (65,025 bytes), got {len(packet):,}")
    return segments


def page_bytes(page: Page, serial: int, number: int, segments: bytes, content: bytes) -> bytes:
    """Return a page like another one (its flags and its position in time), with a checksum.

    Args:
        page: The other one.
        serial: The serial number of the stream.
        number: The number of the page in the stream.
        segments: The lengths of its segments, a byte each.
        content: The segments.
    """
    head = page.header[:14] + struct.pack("<II", serial, number)
    tail = bytes([len(segments)]) + segments
    # a cyclic redundancy check of 32 bits (RFC 3533, section 6), with zeros in its own place
    checksum = 0
    for byte in head + bytes(4) + tail + content:
        added = _CHECKSUM_TABLE[(checksum >> 24) ^ byte]
        checksum = ((checksum << 8) & 0xFFFFFFFF) ^ added
    return head + struct.pack("<I", checksum) + tail + content


def _checksum_table() -> tuple[int, ...]:
    """Return what each byte adds to a checksum."""
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (CRC_POLYNOMIAL if value & 0x80000000 else 0)
        table.append(value & 0xFFFFFFFF)
    return tuple(table)


_CHECKSUM_TABLE = _checksum_table()
