"""A loop to encode, and readers of what comes out."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import soundfile
from tinytag import TinyTag

from loopwright.audio.formats.base import FileContent
from loopwright.audio.formats.table import FORMATS, Format
from loopwright.audio.formats.tags import Tags
from loopwright.audio.types import Audio
from tests.sounds import RATE, drums

TAGS = Tags(
    title="techno drums 92.5bpm",
    comment="prompt: techno drums; seed: 7; model: pocket",
    software="Loopwright 1",
    bpm=92.5,
    beats=16,
    key="G#",
    root_note=68,
)
SAMPLES = 400_001
AUDIO = drums(92.5)[:, :SAMPLES] * np.float32(0.5)
LOOP = FileContent(AUDIO, RATE, TAGS, dither_seed=1)


def encode(name: Format, content: FileContent = LOOP, **changes: Any) -> bytes:
    """Return a file of the loop, with changes to what it is made of."""
    return FORMATS[name].encode(replace(content, **changes))


def read(data: bytes) -> tuple[Audio, int]:
    """Return what libsndfile decodes, [channels, samples], and its rate."""
    audio, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    return audio.T, rate


def subtype_of(data: bytes) -> str:
    """Return what libsndfile calls the codec of a file."""
    return str(soundfile.info(io.BytesIO(data)).subtype)


def tags_of(data: bytes, name: Format) -> TinyTag:
    """Return the tags that a reader other than libsndfile finds."""
    return TinyTag.get(filename=f"x{FORMATS[name].extension}", file_obj=io.BytesIO(data))


def check_tags(data: bytes, name: Format) -> None:
    """Check that two readers find title, comment, tempo and key of the loop."""
    tags = tags_of(data, name)
    assert (tags.title, tags.comment) == (TAGS.title, TAGS.comment)
    others = {field.lower(): values for field, values in tags.other.items()}
    assert "92.5" in others["bpm"]
    keys = others.get("initial_key") or others.get("key") or others.get("initialkey") or []
    assert "G#" in keys
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        assert (file.title, file.comment) == (TAGS.title, TAGS.comment)
