"""Tags in FLAC, MP3 and OGG files: tempo, key, title, comment. Takes a file's bytes and gives a file's bytes.

Knows: Vorbis comments (FLAC, Ogg Opus: RFC 9639, RFC 7845), Ogg pages (RFC 3533), ID3v2.4. Does not know: encoding.
The serial number of Ogg streams is fixed, so that the bytes depend on the arguments alone.
"""

from __future__ import annotations

import struct

from loopwright.audio import ogg
from loopwright.audio.wav import Tags

FLAC_PADDING, FLAC_COMMENT = 1, 4
OGG_SERIAL = 1
OGG_POLYNOMIAL = 0x04C11DB7
UTF_8 = b"\x03"


def tag_flac(data: bytes, tags: Tags) -> bytes:
    """A FLAC file with these tags in place of its own."""
    blocks, position, last = [], 4, False
    while not last:
        header = data[position]
        last, kind = bool(header & 0x80), header & 0x7F
        size = int.from_bytes(data[position + 1 : position + 4], "big")
        if kind not in (FLAC_COMMENT, FLAC_PADDING):
            blocks.append((kind, data[position + 4 : position + 4 + size]))
        position += 4 + size
    blocks.append((FLAC_COMMENT, _vorbis_comment(tags)))
    ends = [0] * (len(blocks) - 1) + [0x80]
    head = b"".join(
        bytes([end | kind]) + len(content).to_bytes(3, "big") + content
        for end, (kind, content) in zip(ends, blocks, strict=True)
    )
    return data[:4] + head + data[position:]


def tag_mp3(data: bytes, tags: Tags) -> bytes:
    """An MP3 file with an ID3v2.4 tag before it."""
    texts = [(b"TIT2", tags.title), (b"TSSE", tags.software)]
    texts += [(b"TBPM", f"{tags.bpm:g}")] if tags.bpm is not None else []
    texts += [(b"TKEY", tags.key)] if tags.key is not None else []
    frames = b"".join(_id3_frame(name, UTF_8 + text.encode()) for name, text in texts)
    frames += _id3_frame(b"COMM", UTF_8 + b"eng\0" + tags.comment.encode())
    return b"ID3\x04\0\0" + _synchsafe(len(frames)) + frames + _without_id3(data)


def tag_opus(data: bytes, tags: Tags) -> bytes:
    """An Ogg Opus file with these tags in place of its own."""
    comment = b"OpusTags" + _vorbis_comment(tags)
    pages = []
    for number, page in enumerate(ogg.pages(data)):
        content = comment if number == 1 else page.content
        pages.append(_ogg_page(page.header, content, number, one_packet=number == 1))
    return b"".join(pages)


def _vorbis_comment(tags: Tags) -> bytes:
    fields = [("TITLE", tags.title), ("COMMENT", tags.comment)]
    fields += [("BPM", f"{tags.bpm:g}")] if tags.bpm is not None else []
    fields += [("KEY", tags.key), ("INITIALKEY", tags.key)] if tags.key is not None else []
    texts = [f"{name}={text}".encode() for name, text in fields]
    packed = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    vendor = tags.software.encode()
    return struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(texts)) + packed


def _id3_frame(name: bytes, content: bytes) -> bytes:
    return name + _synchsafe(len(content)) + b"\0\0" + content


def _synchsafe(size: int) -> bytes:
    """Seven bits a byte."""
    return bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))


def _without_id3(data: bytes) -> bytes:
    if data[:3] != b"ID3":
        return data
    size = sum(byte << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
    return data[10 + size :]


def _ogg_page(header: bytes, content: bytes, number: int, *, one_packet: bool) -> bytes:
    """The page with our serial number and, as ``one_packet``, a new segment table; its checksum made anew."""
    table = header[27:]
    if one_packet:
        table = b"\xff" * (len(content) // 255) + bytes([len(content) % 255])
    if len(table) > 255:
        raise ValueError(f"tags must fit an Ogg page (65,025 bytes), got {len(content):,}")
    head = header[:14] + struct.pack("<III", OGG_SERIAL, number, 0) + bytes([len(table)]) + table
    checksum = _ogg_checksum(head + content)
    return head[:22] + struct.pack("<I", checksum) + head[26:] + content


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (OGG_POLYNOMIAL if value & 0x80000000 else 0)
        table.append(value & 0xFFFFFFFF)
    return tuple(table)


_CHECKSUMS = _table()


def _ogg_checksum(page: bytes) -> int:
    value = 0
    for byte in page:
        value = ((value << 8) & 0xFFFFFFFF) ^ _CHECKSUMS[(value >> 24) ^ byte]
    return value
