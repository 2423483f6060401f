"""Chunks, which WAV (RIFF) and AIFF (IFF) files consist of."""

from __future__ import annotations

from typing import Literal

ByteOrder = Literal["little", "big"]
"""The order of bytes in numbers: ``little`` in RIFF files, ``big`` in IFF files."""


def chunk(name: bytes, content: bytes, order: ByteOrder = "little") -> bytes:
    """Return a chunk with its header, padded to an even length."""
    padding = b"\0" * (len(content) % 2)
    return name + len(content).to_bytes(4, order) + content + padding
