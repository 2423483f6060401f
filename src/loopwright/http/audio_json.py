"""Audio in JSON, in base64: megabytes of text, made and read without holding up other requests.

A thread alone does not help: the library's functions keep the interpreter's lock until they are
done. So base64 is made and read in pieces, and never goes through the JSON encoder, since it has
nothing to escape.
Knows: the shape of the reply, base64. Does not know: what the bytes mean.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence

from loopwright.errors import shown

PIECE = 3 * 64 * 1024
"""Bytes encoded at once, in well under a millisecond; their text has 4 characters per 3 bytes."""

DATA_URL_CHARACTERS = 200
"""How far into the text the head of a data URL (``data:audio/wav;base64,``) is looked for."""

# encoders break lines, leave out padding, and write the alphabet of URLs (RFC 4648, section 5)
_TO_STANDARD = str.maketrans("-_", "+/", " \t\r\n")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/=_ \t\r\n-]")


def audio_json(files: Sequence[bytes], metadata: Sequence[Mapping[str, object]]) -> bytes:
    """Return the JSON of a reply.

    It has ``audio_base64`` and ``metadata`` of the first file, and where there are several,
    ``results``, a list of those two of each.

    Args:
        files: The encoded audio of each file, at least one.
        metadata: The metadata of each file.
    """
    pieces = [b'{"success":true,', *_fields(files[0], metadata[0])]
    if len(files) > 1:
        pieces.append(b',"results":[')
        for number, (file, file_metadata) in enumerate(zip(files, metadata, strict=True)):
            pieces += [b",{" if number else b"{", *_fields(file, file_metadata), b"}"]
        pieces.append(b"]")
    return b"".join([*pieces, b"}"])


def from_base64(text: str) -> bytes:
    """Decode base64 as encoders write it.

    It may be with or without padding, broken into lines, URL-safe, or a data URL.

    Raises:
        ValueError: The text is not base64; the message says where it goes wrong.
    """
    head, comma, _ = text[:DATA_URL_CHARACTERS].partition("base64,")
    start = len(head) + len(comma) if comma else 0
    if start == len(text):
        raise ValueError("there is none")
    decoded, rest = [], ""
    for at in range(start, len(text), PIECE):
        piece = text[at : at + PIECE]
        if wrong := _NOT_BASE64.search(piece):
            number = at + wrong.start() + 1
            raise ValueError(f"character {number:,} is {shown(wrong[0])}")
        rest += piece.translate(_TO_STANDARD)
        # four characters are three bytes; the last four may have padding, and wait for the end
        whole = max(0, len(rest) - 4) // 4 * 4
        if "=" in rest[:whole]:
            raise ValueError("it goes on after its end")
        decoded.append(base64.b64decode(rest[:whole]))
        rest = rest[whole:]
    end = rest.rstrip("=")
    if "=" in end:
        raise ValueError("it goes on after its end")
    if len(end) % 4 == 1:  # a single character is 6 bits, less than a byte
        raise ValueError("it breaks off")
    decoded.append(base64.b64decode(end + "=" * (-len(end) % 4)))
    return b"".join(decoded)


def _fields(file: bytes, metadata: Mapping[str, object]) -> Iterator[bytes]:
    """Yield the members of one file's JSON object, in pieces."""
    yield b'"audio_base64":"'
    view = memoryview(file)
    for at in range(0, len(file), PIECE):
        yield base64.b64encode(view[at : at + PIECE])
    yield b'","metadata":'
    yield json.dumps(metadata, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
