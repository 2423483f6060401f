"""The folder of riffs: which there are, in which key and tempo, and each as a loop at any tempo.

The folder is listed each time, so new, changed and deleted files count at once. What a riff was
added with, and what was estimated, is in a file beside it (``sidecar``); stretched riffs are cached
on disk (``loop_cache``). Decoding, analysis and stretching happen in worker processes.
Knows: files, names. Does not know: requests, models.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import structlog

from loopwright.audio.analysis import estimate
from loopwright.audio.decode import Decoded, decode
from loopwright.audio.stretch import stretch_loop
from loopwright.errors import (
    InvalidInput,
    LoopwrightError,
    NotAudio,
    NotFound,
    StorageFailed,
    WorkerFailed,
    shown,
)
from loopwright.library.loop_cache import RiffLoop, cache_path, load_loop, save_loop
from loopwright.library.names import KeyAndTempo, parse_name, safe_name
from loopwright.library.sidecar import (
    SIDECAR_SUFFIX,
    Sidecar,
    read_sidecar,
    sidecar_path,
    write_sidecar,
)
from loopwright.music.key import Key, semitones_between
from loopwright.music.tempo import SECONDS_PER_MINUTE, bpm_number
from loopwright.system.measurements import CacheAsked, report
from loopwright.system.storage import MAX_NAME_BYTES, cut_to_bytes, reason_of, write_whole
from loopwright.system.workers import Workers

ANALYSIS_RATE = 22050
ANALYSIS_SECONDS = 120.0
ANALYSIS_TIMEOUT = 120.0
DECODE_TIMEOUT = 60.0
STRETCH_TIMEOUT = 120.0
MAX_LOOP_SECONDS = 60.0
"""What is used of a riff; the rest is cut off."""
BEAT_TOLERANCE = 0.1
"""A riff this near (in beats) to a whole number of beats is meant to be that long."""
NAME_DECIMALS = 3
"""Digits of a tempo in a file name; the exact tempo is in the sidecar."""
MAX_STEM_BYTES = MAX_NAME_BYTES - len(SIDECAR_SUFFIX) - 16
"""The longest stem of a name: a number, the extension and the sidecar's suffix follow it."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Riff:
    """A riff of the library.

    Args:
        filename: In the library's folder.
        key: Its root, and its mode where that is known.
        bpm: Its tempo in beats per minute.
        estimated: Which of ``key`` and ``bpm`` were estimated, since nobody gave them.
        confidence: Confidence of the estimates, from 0 to 1.
    """

    filename: str
    key: Key
    bpm: Fraction
    estimated: tuple[str, ...] = ()
    confidence: Mapping[str, float] | None = None

    def describe(self) -> dict[str, object]:
        """Return what clients see of it, under the names of the HTTP contract."""
        fields: dict[str, object] = {
            "filename": self.filename,
            "original_bpm": bpm_number(self.bpm),
            "description": f"{self.key.name} riff at {bpm_number(self.bpm)} BPM",
        }
        if self.key.mode is not None:
            fields["mode"] = self.key.mode
        if self.estimated:
            fields["estimated"] = list(self.estimated)
            fields["confidence"] = dict(self.confidence or {})
        return fields


@dataclass(frozen=True)
class Catalog:
    """The riffs of the library at one moment.

    Args:
        riffs: All riffs.
        skipped: The files that are no riffs, by name, each with the reason.
    """

    riffs: tuple[Riff, ...]
    skipped: Mapping[str, str]

    def by_key(self) -> dict[str, list[Riff]]:
        """Group the riffs by the name of their root; groups and riffs are in order of names."""
        roots = sorted({riff.key.name for riff in self.riffs})
        return {root: [riff for riff in self.riffs if riff.key.name == root] for root in roots}


@dataclass(frozen=True)
class ChosenRiff:
    """A riff that was chosen for a key.

    Args:
        riff: The riff.
        semitones: How far its pitch must be moved to be in the key.
        warnings: What the client should know of the choice.
    """

    riff: Riff
    semitones: int
    warnings: tuple[str, ...] = ()


class RiffLibrary:
    """A folder of riffs.

    Args:
        folder: Where the riffs are; made when the first one is added.
        cache: The folder for stretched riffs.
        workers: The processes that decode, analyse and stretch.
        max_seconds: The longest riff.
    """

    def __init__(self, folder: Path, cache: Path, workers: Workers, max_seconds: float) -> None:
        self._folder = folder
        self._cache = cache
        self._workers = workers
        self._max_seconds = max_seconds
        self._estimates: dict[tuple[str, int, int], Mapping[str, float]] = {}
        self._naming = threading.Lock()

    def catalog(self) -> Catalog:
        """List the riffs; new ones that do not say their key and tempo are analysed.

        Raises:
            StorageFailed: The folder cannot be read.
        """
        riffs, skipped = [], {}
        for path in self._files():
            try:
                riffs.append(self._riff(path))
            except LoopwrightError as error:
                skipped[path.name] = error.message
            except (ValueError, OSError) as error:
                skipped[path.name] = str(error)
            except Exception as error:  # one odd file must not hide all other riffs
                log.error("riff could not be read", file=path.name, exc_info=error)
                skipped[path.name] = "it could not be analysed"
        return Catalog(tuple(riffs), skipped)

    def choose(self, key: Key, seed: int, *, transpose: bool) -> ChosenRiff:
        """Choose a riff for a key; one of its mode if there is any.

        Args:
            key: The key.
            seed: The same seed chooses the same riff of the same library.
            transpose: Whether a riff in the nearest key is taken if there is none in this one.

        Raises:
            InvalidInput: There is no riff in the key (with ``transpose``: none at all); details
                have ``available_keys``.
        """
        by_key = self.catalog().by_key()
        # the same distance up and down: the first by name, so that the choice is always the same
        by_distance = sorted(
            by_key, key=lambda root: (abs(semitones_between(root, key.name)), root)
        )
        if key.name not in by_key and not (transpose and by_distance):
            available = ", ".join(by_key) or "there are none yet"
            raise InvalidInput(
                f"key must be that of a riff in the library ({available}), got {shown(key.name)}",
                field="key",
                code="no_riff_in_key",
                details={"available_keys": list(by_key)},
            )
        root = by_distance[0]
        riffs = by_key[root]
        warnings: tuple[str, ...] = ()
        in_mode = [riff for riff in riffs if key.mode is None or riff.key.mode in (None, key.mode)]
        if not in_mode:
            found = riffs[0].key.written
            warnings = (f"there is no riff in {key.written}; one in {found} was used",)
        candidates = in_mode or riffs
        chosen = candidates[seed % len(candidates)]
        return ChosenRiff(chosen, semitones_between(root, key.name), warnings)

    def loop(self, riff: Riff, bpm: Fraction, rate: int, semitones: int = 0) -> RiffLoop:
        """Return a riff as a loop, exact to the sample.

        Args:
            riff: The riff.
            bpm: The tempo it is stretched to.
            rate: The sample rate of the loop, in Hz.
            semitones: How far its pitch is moved.

        Raises:
            NotFound: The riff was deleted in the meantime.
            NotAudio: Its file cannot be decoded or stretched.
            StorageFailed: Its file cannot be read.
        """
        path = self._folder / riff.filename
        cached = cache_path(self._cache, path, riff.bpm, bpm, rate, semitones)
        loop = load_loop(cached)
        report(CacheAsked("riffs", is_hit=loop is not None))
        if loop is None:
            loop = self._stretch(path, riff, bpm, rate, semitones)
            save_loop(cached, loop)
        return loop

    def add(
        self,
        data: bytes,
        filename: str,
        key: Key | None,
        bpm: Fraction | None,
        field: str = "audio_file",
    ) -> tuple[Riff, tuple[str, ...]]:
        """Add a riff to the library.

        Args:
            data: Its file; the bytes say what kind of file it is.
            filename: The name it is to have, but for its extension.
            key: Its key, if that is known.
            bpm: Its tempo, if that is known; kept to the last digit.
            field: What messages call the file.

        Returns:
            The riff, and what was repaired in its file.

        Raises:
            NotAudio: The file cannot be decoded.
            TooLarge: The file is too long or has too many channels.
            InvalidInput: A key or tempo is needed from the name, which cannot have it.
            StorageFailed: The disk refuses; nothing is left behind.
        """
        decoded = self._decode(data, ANALYSIS_RATE, ANALYSIS_SECONDS, field)
        stem, extension = Path(safe_name(filename)).stem, decoded.extension
        if key is None or bpm is None:
            try:
                parse_name(f"{stem}{extension}")
            except ValueError as error:
                raise InvalidInput(f"filename cannot be taken: {error}", field="filename") from None
        # two riffs that are added at the same moment must not find the same name free
        with self._naming:
            path = self._free_path(stem, extension, key, bpm)
            write_whole(path, data, "the riff")
            try:
                if not _is_in_name(path.name, key, bpm):
                    write_sidecar(path, Sidecar(KeyAndTempo(key, bpm)))
                riff = self._riff(path)
            except BaseException:  # the server may also be told to stop
                path.unlink(missing_ok=True)
                sidecar_path(path).unlink(missing_ok=True)
                raise
        return riff, tuple(f"{field} {note}" for note in decoded.notes)

    def remove(self, filename: str) -> None:
        """Delete a riff.

        Raises:
            NotFound: No riff of this folder has the name.
            StorageFailed: The disk refuses.
        """
        # looked up in the folder and never joined to it: a name may hold a path
        path = next((path for path in self._files() if path.name == filename), None)
        if path is None:
            raise NotFound(
                f"there is no riff {shown(filename)}; GET /riffs/available lists them",
                field="filename",
            )
        try:
            path.unlink(missing_ok=True)
            sidecar_path(path).unlink(missing_ok=True)
        except OSError as error:
            reason = reason_of(error, path)
            raise StorageFailed(
                f"the riff could not be deleted: {reason}", field="filename"
            ) from error

    def _files(self) -> list[Path]:
        """Return the files that may be riffs, in order of their names."""
        try:
            return sorted(
                path
                for path in self._folder.iterdir()
                if path.is_file()
                and not path.is_symlink()  # it may lead out of the folder
                and not path.name.startswith(".")
                and not path.name.endswith(SIDECAR_SUFFIX)
            )
        except FileNotFoundError:
            return []
        except OSError as error:
            reason = reason_of(error, self._folder / "x")
            raise StorageFailed(f"the folder of riffs cannot be read: {reason}") from error

    def _riff(self, path: Path) -> Riff:
        """Return a riff; what it was added with comes first, then its name, then an estimate."""
        beside = read_sidecar(path)
        key, bpm = beside.given.key, beside.given.bpm
        if key is None or bpm is None:
            named = parse_name(path.name)
            key, bpm = key or named.key, bpm or named.bpm
        missing = tuple(name for name, value in (("key", key), ("bpm", bpm)) if value is None)
        if not missing:
            assert key is not None
            assert bpm is not None
            return Riff(path.name, key, bpm)
        found = self._estimate(path, beside)
        return Riff(
            path.name,
            key or Key(int(found["key"])),
            bpm or Fraction(str(found["bpm"])),
            estimated=missing,
            confidence={name: found[f"{name}_confidence"] for name in missing},
        )

    def _estimate(self, path: Path, beside: Sidecar) -> Mapping[str, float]:
        """Return a riff's estimate: from memory, the sidecar, or an analysis, which is kept."""
        stat = path.stat()
        # size and time of change, since another file may have taken the name
        identity = (path.name, stat.st_size, stat.st_mtime_ns)
        if identity not in self._estimates:
            self._estimates[identity] = beside.estimate or self._analyse(path, beside)
        return self._estimates[identity]

    def _analyse(self, path: Path, beside: Sidecar) -> Mapping[str, float]:
        decoded = self._decode(path.read_bytes(), ANALYSIS_RATE, ANALYSIS_SECONDS, "it")
        try:
            found = asdict(
                self._workers.call(ANALYSIS_TIMEOUT, estimate, decoded.audio, ANALYSIS_RATE)
            )
        except WorkerFailed as error:
            raise NotAudio(
                f"tempo and key could not be estimated: {error.message}; send key and bpm"
            ) from None
        log.info("riff analysed", file=path.name, **found)
        # an analysis takes seconds: without a sidecar every start of the server would repeat it
        try:
            write_sidecar(path, Sidecar(beside.given, found))
        except StorageFailed as error:
            log.warning("riff analysis not saved", file=path.name, reason=error.message)
        return found

    def _decode(self, data: bytes, rate: int, keep_seconds: float, field: str) -> Decoded:
        try:
            return self._workers.call(
                DECODE_TIMEOUT,
                decode,
                data,
                rate,
                keep_seconds=keep_seconds,
                max_seconds=self._max_seconds,
                field=field,
            )
        except WorkerFailed as error:
            raise NotAudio(f"{field} could not be decoded: {error.message}", field=field) from None

    def _stretch(
        self, path: Path, riff: Riff, bpm: Fraction, rate: int, semitones: int
    ) -> RiffLoop:
        name = f"the riff {riff.filename}"
        try:
            decoded = self._decode(path.read_bytes(), rate, MAX_LOOP_SECONDS, name)
        except OSError as error:
            reason = reason_of(error, path)
            raise StorageFailed(f"{name} cannot be read: {reason}", field="key") from error
        except LoopwrightError as error:
            # a client named no file, but a key that led to it
            raise type(error)(error.message, field="key") from None
        audio = decoded.audio
        beat = SECONDS_PER_MINUTE * rate / riff.bpm
        beats = round(audio.shape[1] / beat)
        whole = round(beats * beat)
        # one that nearly is a whole number of beats long is meant to be: cut it, or fill it up
        if beats > 0 and abs(audio.shape[1] - whole) <= BEAT_TOLERANCE * beat:
            missing = max(0, whole - audio.shape[1])
            audio = np.pad(audio[:, :whole], ((0, 0), (0, missing)))
        samples = round(audio.shape[1] * riff.bpm / bpm)
        try:
            stretched = self._workers.call(
                STRETCH_TIMEOUT, stretch_loop, audio, rate, samples, float(semitones)
            )
        except WorkerFailed as error:
            raise NotAudio(f"{name} could not be stretched: {error.message}", field="key") from None
        return RiffLoop(stretched, tuple(f"{name} {note}" for note in decoded.notes))

    def _free_path(self, stem: str, extension: str, key: Key | None, bpm: Fraction | None) -> Path:
        """Return a free path, named by key and tempo, and by the stem if one of them is missing."""
        parts = []
        if key is not None:
            parts.append(key.name)
        if bpm is not None:
            rounded = Fraction(round(bpm, NAME_DECIMALS))
            parts.append(f"{bpm_number(rounded)}bpm")
        if key is None or bpm is None:
            parts.append(stem)
        name = cut_to_bytes("_".join(parts), MAX_STEM_BYTES)
        path = self._folder / f"{name}{extension}"
        numbers = itertools.count(1)
        while path.exists():
            path = self._folder / f"{name}_{next(numbers)}{extension}"
        return path


def _is_in_name(filename: str, key: Key | None, bpm: Fraction | None) -> bool:
    """Return whether a file's name alone says the key and tempo it was given, to the last digit."""
    try:
        named = parse_name(filename)
    except ValueError:
        return False
    return key in (None, named.key) and bpm in (None, named.bpm)
