"""Audio in JSON, in base64: megabytes of text, made and read without holding up who else is served.

A thread alone does not help: the library's functions keep the interpreter's lock until they are done. So base64 goes piece by
piece, and never through the JSON encoder: it has nothing to escape. Knows: shapes of bytes. Does not know: what they mean.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence

PIECE = 3 * 64 * 1024
"""Bytes encoded at a stretch, well under a millisecond; their text has 4 characters for 3 of them."""

DATA_URL_CHARACTERS = 200
"""So far into the text the end of a data URL's beginning is looked for."""


def audio_json(files: Sequence[bytes], metadata: Sequence[Mapping[str, object]]) -> bytes:
    """``audio_base64`` and ``metadata`` of the first file; where there are several, ``results`` with those of each."""
    pieces = [b'{"success":true,', *_fields(files[0], metadata[0])]
    if len(files) > 1:
        pieces.append(b',"results":[')
        for number, (file, said) in enumerate(zip(files, metadata, strict=True)):
            pieces += [b",{" if number else b"{", *_fields(file, said), b"}"]
        pieces.append(b"]")
    return b"".join([*pieces, b"}"])


def from_base64(text: str) -> bytes:
    """The bytes of base64, as it is or as a data URL. Raises ValueError for anything else."""
    head, comma, _ = text[:DATA_URL_CHARACTERS].partition("base64,")
    start = len(head) + len(comma) if comma else 0
    if start == len(text):
        raise ValueError("there is none")
    step = PIECE // 3 * 4
    return b"".join(
        _decoded(text[at : at + step], is_last=at + step >= len(text)) for at in range(start, len(text), step)
    )


def _fields(file: bytes, metadata: Mapping[str, object]) -> Iterator[bytes]:
    yield b'"audio_base64":"'
    view = memoryview(file)
    for at in range(0, len(file), PIECE):
        yield base64.b64encode(view[at : at + PIECE])
    yield b'","metadata":'
    yield json.dumps(metadata, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _decoded(piece: str, *, is_last: bool) -> bytes:
    if not is_last and piece.endswith("="):
        raise ValueError("it goes on after its end")
    return base64.b64decode(piece, validate=True)
