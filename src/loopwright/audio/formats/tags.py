"""What a file says of its audio, and Vorbis comments, which FLAC and Ogg files say it in."""

from __future__ import annotations

import struct
from dataclasses import dataclass

MIDDLE_C = 60
"""The MIDI note of middle C."""


@dataclass(frozen=True)
class Tags:
    """What a file says of its audio.

    Args:
        title: A name.
        comment: Anything else that helps to find or make the audio again.
        software: What made the file.
        bpm: The tempo of a loop, in beats per minute.
        beats: The length of a loop.
        key: The key, as musicians write it.
        root_note: The MIDI note of the key's root.
    """

    title: str
    comment: str
    software: str
    bpm: float | None = None
    beats: int | None = None
    key: str | None = None
    root_note: int | None = None


def vorbis_comment(tags: Tags) -> bytes:
    """Return tags as a Vorbis comment without its framing bit (RFC 9639, section 8.6)."""
    fields = [("TITLE", tags.title), ("COMMENT", tags.comment)]
    if tags.bpm is not None:
        fields.append(("BPM", f"{tags.bpm:g}"))
    if tags.key is not None:
        # neither name is a standard, and programs differ in which one they read
        fields += [("KEY", tags.key), ("INITIALKEY", tags.key)]
    texts = [f"{name}={text}".encode() for name, text in fields]
    packed = [struct.pack("<I", len(text)) + text for text in texts]
    vendor = tags.software.encode()
    head = struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(texts))
    return head + b"".join(packed)
