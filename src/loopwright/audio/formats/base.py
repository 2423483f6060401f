"""What an output format declares, so that one row of ``formats/table`` adds it.

Knows: the words between a format and those who offer it. Does not know: any format. Imports no
numpy, nor do the formats before they encode: ``loopwright --help`` lists them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # numpy takes longer to import than --help may take
    from loopwright.audio.formats.tags import Tags
    from loopwright.audio.types import Audio, BitDepth


@dataclass(frozen=True)
class FileContent:
    """What a file is made of.

    Args:
        audio: [2, samples], within ±1.
        sample_rate: Hz.
        tags: What the file says of its audio.
        bit_depth: Bits per sample, in formats that have a choice of them.
        dither_seed: Seed of the noise that 16 bits are dithered with.
    """

    audio: Audio
    sample_rate: int
    tags: Tags
    bit_depth: BitDepth = 16
    dither_seed: int = 0


@dataclass(frozen=True)
class OutputFormat:
    """A format that audio can be written in: a row of the table of formats.

    Args:
        name: As requests write it.
        extension: Extension of its files, with the dot.
        media_type: Media type of its files, as HTTP names them.
        description: What it is, for people who choose a format.
        encode: Returns a file; its bytes depend on the content alone.
        bit_depths: The bits per sample a request may choose from; empty where the codec has no
            such choice, and a request's is ignored.
        limitations: What its files cannot do, a sentence each; sent as warnings.
    """

    name: str
    extension: str
    media_type: str
    description: str
    encode: Callable[[FileContent], bytes]
    bit_depths: tuple[BitDepth, ...] = ()
    limitations: tuple[str, ...] = ()
