"""A folder of riffs that were stretched before: stretching one takes seconds."""

from __future__ import annotations

import contextlib
import hashlib
import io
import zipfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import structlog

from loopwright.audio.types import Audio
from loopwright.errors import NotFound, StorageFailed
from loopwright.system.storage import write_whole

log = structlog.get_logger()


@dataclass(frozen=True)
class RiffLoop:
    """A riff as a loop at a tempo.

    Args:
        audio: [2, samples].
        notes: What was repaired in its file.
    """

    audio: Audio
    notes: tuple[str, ...] = ()


def cache_path(
    folder: Path, riff: Path, own_bpm: Fraction, bpm: Fraction, rate: int, semitones: int
) -> Path:
    """Return where in a cache the loop of a riff is, which a change of the riff's file changes.

    Args:
        folder: The cache.
        riff: The file of the riff.
        own_bpm: Its tempo.
        bpm: The tempo of the loop.
        rate: The sample rate of the loop, in Hz.
        semitones: How far the pitch is moved.

    Raises:
        NotFound: The riff was deleted in the meantime.
    """
    try:
        stat = riff.stat()
    except OSError:
        raise NotFound(f"the riff {riff.name} is gone", field="key") from None
    file = (str(riff.resolve()), stat.st_size, stat.st_mtime_ns)
    identity = (*file, str(own_bpm), str(bpm), rate, semitones)
    digest = hashlib.sha256(repr(identity).encode()).hexdigest()[:32]
    return folder / f"{digest}.npz"


def load_loop(path: Path) -> RiffLoop | None:
    """Read a loop from the cache; None where it is missing or damaged."""
    with (
        contextlib.suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile),
        np.load(path, allow_pickle=False) as cached,
    ):
        return RiffLoop(cached["audio"], tuple(str(note) for note in cached["notes"]))
    return None


def save_loop(path: Path, loop: RiffLoop) -> None:
    """Write a loop into the cache; a full disk costs only time, and is logged."""
    content = io.BytesIO()
    np.savez(content, audio=loop.audio, notes=np.array(loop.notes, dtype=str))
    try:
        write_whole(path, content.getvalue(), "the stretched riff")
    except StorageFailed as error:
        log.warning("stretched riff not cached", reason=error.message)
