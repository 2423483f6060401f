"""A finished take as it leaves Loopwright: a file, and what is said of it.

Unlike a ``Generation`` it holds no samples, and can be sent to another process and kept.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from loopwright.generation.metadata import Metadata, log_fields_of, metadata_of
from loopwright.generation.result import Generation
from loopwright.music.tempo import bpm_number
from loopwright.system.measurements import report, stage_ended


@dataclass(frozen=True)
class Take:
    """A finished take.

    Attributes:
        file: The encoded audio.
        file_name: A name that says what the file is.
        media_type: The media type of the file.
        metadata: What is said of it, by the names of the contract.
        log_fields: The plan in short and seconds by stage, for the log.
        seed: The seed that it was made with.
        duration: Its length in seconds.
        generation_time: Seconds from request to result, waiting included.
        bpm: The tempo of a loop; None: it is no loop.
        bars: The bars of a loop; None: it is no loop.
        warnings: What the client should know.
    """

    file: bytes
    file_name: str
    media_type: str
    metadata: Metadata
    log_fields: Metadata
    seed: int
    duration: float
    generation_time: float
    bpm: float | None
    bars: int | None
    warnings: tuple[str, ...]


def take_of(generation: Generation) -> Take:
    """Encode a generation, and say what is to be said of it."""
    began = time.perf_counter()
    file = generation.encoded()
    seconds = time.perf_counter() - began
    report(stage_ended("encoding", seconds))
    loop = generation.plan.loop
    return Take(
        file=file,
        file_name=generation.file_name(),
        media_type=generation.media_type,
        metadata=metadata_of(generation),
        log_fields={**log_fields_of(generation), "seconds_encoding": round(seconds, 4)},
        seed=generation.plan.seed,
        duration=generation.duration,
        generation_time=generation.generation_time,
        bpm=None if loop is None else bpm_number(loop.bpm),
        bars=None if loop is None else loop.bars,
        warnings=generation.warnings,
    )
