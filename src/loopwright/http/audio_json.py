"""Audio in JSON, in base64: megabytes of text, made and read without holding up who else is served.

A thread alone does not help: the library's functions keep the interpreter's lock until they are done. So base64 goes piece by
piece, and never through the JSON encoder: it has nothing to escape. Knows: shapes of bytes. Does not know: what they mean.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence

from loopwright.errors import shown

PIECE = 3 * 64 * 1024
"""Bytes encoded at a stretch, well under a millisecond; their text has 4 characters for 3 of them."""

DATA_URL_CHARACTERS = 200
"""How far into the text the end of a data URL's beginning is looked for."""

# Encoders break lines, leave out padding, and write the alphabet of URLs (RFC 4648, section 5).
_CLEANED = str.maketrans("-_", "+/", " \t\r\n")
_NO_BASE64 = re.compile(r"[^A-Za-z0-9+/=_ \t\r\n-]")


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
    """Decode base64 as encoders write it: with or without padding, in lines, as a data URL, URL-safe.

    Raises:
        ValueError: for anything else; the message says where it goes wrong.
    """
    head, comma, _ = text[:DATA_URL_CHARACTERS].partition("base64,")
    start = len(head) + len(comma) if comma else 0
    if start == len(text):
        raise ValueError("there is none")
    decoded, rest = [], ""
    for at in range(start, len(text), PIECE):
        piece = text[at : at + PIECE]
        if wrong := _NO_BASE64.search(piece):
            number = at + wrong.start() + 1
            raise ValueError(f"character {number:,} is {shown(wrong[0])}")
        rest += piece.translate(_CLEANED)
        # four characters are three bytes; the last ones may be padding and wait for the end
        whole = max(0, len(rest) - 4) // 4 * 4
        if "=" in rest[:whole]:
            raise ValueError("it goes on after its end")
        decoded.append(base64.b64decode(rest[:whole]))
        rest = rest[whole:]
    end = rest.rstrip("=")
    if "=" in end:
        raise ValueError("it goes on after its end")
    if len(end) % 4 == 1:
        raise ValueError("it breaks off")
    decoded.append(base64.b64decode(end + "=" * (-len(end) % 4)))
    return b"".join(decoded)


def _fields(file: bytes, metadata: Mapping[str, object]) -> Iterator[bytes]:
    yield b'"audio_base64":"'
    view = memoryview(file)
    for at in range(0, len(file), PIECE):
        yield base64.b64encode(view[at : at + PIECE])
    yield b'","metadata":'
    yield json.dumps(metadata, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
