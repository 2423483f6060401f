"""The folder of riffs: which there are, in which key and tempo, and each as a loop at another tempo.

The folder is looked at anew each time, so new, changed and deleted files count at once. What was given with a riff, and what
neither that nor its name says and was estimated once, is kept in a small file beside it. Stretched riffs are kept in a cache on
disk.
Knows: files, names. Does not know: requests, models. Decoding, analysis and stretching happen in worker processes.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from loopwright.audio.analysis import estimate
from loopwright.audio.decode import Decoded, decode
from loopwright.audio.stretch import stretch_loop
from loopwright.audio.types import Audio
from loopwright.errors import (
    InvalidInput,
    LoopwrightError,
    NotAudio,
    NotFound,
    StorageFailed,
    WorkerFailed,
    shown,
)
from loopwright.library.names import Named, parse_name, safe_name
from loopwright.music.key import KEYS, Key, parse_key, semitones_between
from loopwright.music.tempo import SECONDS_PER_MINUTE, bpm_number, in_range
from loopwright.system.storage import MAX_NAME_BYTES, cut_to_bytes, reason_of, write_whole
from loopwright.system.workers import Workers

SIDECAR = ".loopwright.json"
MAX_SIDECAR_BYTES = 10_000
ANALYSIS_RATE = 22050
ANALYSIS_SECONDS = 120.0
ANALYSIS_TIMEOUT = 120.0
DECODE_TIMEOUT = 60.0
STRETCH_TIMEOUT = 120.0
LONGEST_RIFF_SECONDS = 60.0
WHOLE_BEATS = 0.1
"""A riff this near to a whole number of beats is taken to be meant so."""
NAME_DECIMALS = 3
"""Of a tempo in the name of a file; the exact one is kept beside it."""
STEM_BYTES = MAX_NAME_BYTES - len(SIDECAR) - 16
"""Room for a stem: its ending, a number and the name of the file beside it come after it."""

NOTHING_NAMED = Named(None, None)

log = structlog.get_logger()


@dataclass(frozen=True)
class Riff:
    """A riff of the library.

    Args:
        filename: in the folder.
        key: its root, and its mode where that is known.
        bpm: its tempo.
        estimated: which of `key` and `bpm` nobody has said.
        confidence: of what was estimated, 0 … 1.
    """

    filename: str
    key: Key
    bpm: Fraction
    estimated: tuple[str, ...] = ()
    confidence: Mapping[str, float] | None = None

    def described(self) -> dict[str, object]:
        """Describe it, by the contract's names."""
        said: dict[str, object] = {
            "filename": self.filename,
            "original_bpm": bpm_number(self.bpm),
            "description": f"{self.key.name} riff at {bpm_number(self.bpm)} BPM",
        }
        if self.key.mode is not None:
            said["mode"] = self.key.mode
        if self.estimated:
            said |= {"estimated": list(self.estimated), "confidence": dict(self.confidence or {})}
        return said


@dataclass(frozen=True)
class Catalog:
    """All riffs there are. skipped: the reason by file name."""

    riffs: tuple[Riff, ...]
    skipped: Mapping[str, str]

    def by_key(self) -> dict[str, list[Riff]]:
        """Group riffs by their root's canonical name, both in order of their names."""
        roots = sorted({riff.key.name for riff in self.riffs})
        return {root: [riff for riff in self.riffs if riff.key.name == root] for root in roots}


@dataclass(frozen=True)
class ChosenRiff:
    """A riff for a key. semitones: how far it must be moved to be in it."""

    riff: Riff
    semitones: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class RiffLoop:
    """A riff as a loop at a tempo. audio: [2, samples]; notes: what was repaired in its file."""

    audio: Audio
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Beside:
    """What the file beside a riff says: what was given with it, and what was estimated."""

    given: Named = NOTHING_NAMED
    estimate: Mapping[str, float] | None = None


class RiffLibrary:
    """A folder of riffs, and a folder for what is made from them. max_seconds: of a riff that is added."""

    def __init__(self, folder: Path, cache: Path, workers: Workers, max_seconds: float) -> None:
        self._folder = folder
        self._cache = cache
        self._workers = workers
        self._max_seconds = max_seconds
        self._analysed: dict[tuple[str, int, int], Mapping[str, float]] = {}
        self._naming = threading.Lock()

    def catalog(self) -> Catalog:
        """Find all riffs there are now, and analyse those that are new and do not say it all.

        Raises:
            StorageFailed: where the folder cannot be read.
        """
        riffs, skipped = [], {}
        for path in self._files():
            try:
                riffs.append(self._riff(path))
            except (ValueError, LoopwrightError, OSError) as error:
                skipped[path.name] = (
                    error.message if isinstance(error, LoopwrightError) else str(error)
                )
            except Exception as error:  # one odd file must not take all other riffs away
                log.error("riff could not be read", file=path.name, exc_info=error)
                skipped[path.name] = "it could not be analysed"
        return Catalog(tuple(riffs), skipped)

    def choose(self, key: Key, seed: int, *, transpose: bool) -> ChosenRiff:
        """Choose a riff for a key, the same for the same seed; one of its mode where there are any.

        Raises:
            InvalidInput: with ``available_keys``, where there is none (with ``transpose``: none at all).
        """
        by_key = self.catalog().by_key()
        nearest = min(
            by_key, key=lambda one: (abs(semitones_between(one, key.name)), one), default=None
        )
        if key.name not in by_key and (not transpose or nearest is None):
            raise InvalidInput(
                f"key must be one there is a riff in ({', '.join(by_key) or 'there are none yet'}), got {shown(key.name)}",
                field="key",
                code="no_riff_in_key",
                details={"available_keys": list(by_key)},
            )
        root = key.name if key.name in by_key else str(nearest)
        riffs = by_key[root]
        of_mode = [
            riff for riff in riffs if None in (key.mode, riff.key.mode) or riff.key.mode == key.mode
        ]
        warnings = (
            ()
            if of_mode
            else (f"there is no riff in {key.written}; one in {riffs[0].key.written} was used",)
        )
        chosen = (of_mode or riffs)[seed % len(of_mode or riffs)]
        return ChosenRiff(chosen, semitones_between(root, key.name), warnings)

    def loop(self, riff: Riff, bpm: Fraction, rate: int, semitones: int = 0) -> RiffLoop:
        """Return a riff as a loop at a tempo, exact to the sample: stretched, its pitch moved by ``semitones``."""
        path = self._folder / riff.filename
        kept = self._cache / f"{_fingerprint(path, riff.bpm, bpm, rate, semitones)}.npz"
        with (
            contextlib.suppress(OSError, ValueError, KeyError),
            np.load(kept, allow_pickle=False) as cached,
        ):
            return RiffLoop(cached["audio"], tuple(str(note) for note in cached["notes"]))
        made = self._stretched(path, riff, bpm, rate, semitones)
        _keep(kept, made)
        return made

    def add(
        self,
        data: bytes,
        filename: str,
        key: Key | None,
        bpm: Fraction | None,
        field: str = "audio_file",
    ) -> tuple[Riff, tuple[str, ...]]:
        """Keep a new riff; return it, and what was repaired in its file.

        Args:
            data: the file; its bytes say what it is.
            filename: what it is to be called; its ending is that of what it is.
            key: its key, where it is known; kept as it was given.
            bpm: its tempo, where it is known; kept to the last digit.
            field: what messages call the file.

        Raises:
            NotAudio, TooLarge: for what cannot be a riff.
            InvalidInput: for a name that contradicts itself, where it must be believed.
            StorageFailed: where the disk does not take it; nothing is left behind.
        """
        decoded = self._decode(data, ANALYSIS_RATE, ANALYSIS_SECONDS, field)
        stem, suffix = Path(safe_name(filename)).stem, decoded.extension
        if key is None or bpm is None:
            try:
                parse_name(f"{stem}{suffix}")
            except ValueError as error:
                raise InvalidInput(f"filename cannot be taken: {error}", field="filename") from None
        with self._naming:  # or two that are sent at once may get the same name
            path = self._free_name(stem, suffix, key, bpm)
            write_whole(path, data, "the riff")
            try:
                if not _says(path.name, key, bpm):
                    self._write_beside(path, _Beside(Named(key, bpm)))
                riff = self._riff(path)
            except BaseException:
                path.unlink(missing_ok=True)
                _sidecar(path).unlink(missing_ok=True)
                raise
        return riff, tuple(f"{field} {note}" for note in decoded.notes)

    def remove(self, filename: str) -> None:
        """Delete a riff. Raises NotFound for anything that is no riff of this folder."""
        path = next((path for path in self._files() if path.name == filename), None)
        if path is None:
            raise NotFound(
                f"there is no riff {shown(filename)}; GET /riffs/available lists them",
                field="filename",
            )
        try:
            path.unlink(missing_ok=True)
            _sidecar(path).unlink(missing_ok=True)
        except OSError as error:
            raise StorageFailed(
                f"the riff could not be deleted: {reason_of(error, path)}", field="filename"
            ) from error

    def _files(self) -> list[Path]:
        try:
            return sorted(path for path in self._folder.iterdir() if _may_be_riff(path))
        except FileNotFoundError:
            return []
        except OSError as error:
            reason = reason_of(error, self._folder / "x")
            raise StorageFailed(f"the folder of riffs cannot be read: {reason}") from error

    def _riff(self, path: Path) -> Riff:
        """Return a riff: what was given with it counts before what its name says, and that before an estimate."""
        beside = self._beside(path)
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

    def _estimate(self, path: Path, beside: _Beside) -> Mapping[str, float]:
        """Return what was found once, from memory or the file beside the riff; else what is found now."""
        stat = path.stat()
        identity = (path.name, stat.st_size, stat.st_mtime_ns)
        if identity not in self._analysed:
            self._analysed[identity] = beside.estimate or self._analyse(path, beside)
        return self._analysed[identity]

    def _analyse(self, path: Path, beside: _Beside) -> Mapping[str, float]:
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
        try:
            self._write_beside(path, _Beside(beside.given, found))
        except StorageFailed as error:
            log.warning(
                "the riff's analysis could not be kept", file=path.name, reason=error.message
            )
        return found

    def _beside(self, path: Path) -> _Beside:
        """Read what is kept beside a riff; nothing where that is of another file of this name, or damaged."""
        try:
            with _sidecar(path).open("rb") as file:
                content = json.loads(file.read(MAX_SIDECAR_BYTES))
            stat = path.stat()
            if (content["size"], content["mtime_ns"]) != (stat.st_size, stat.st_mtime_ns):
                return _Beside()
            return _Beside(_given(content.get("given", {})), _estimated(content))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError):
            return _Beside()

    def _write_beside(self, path: Path, beside: _Beside) -> None:
        stat, given = path.stat(), beside.given
        content: dict[str, Any] = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
        key, bpm = given.key and given.key.written, given.bpm and str(given.bpm)
        if key or bpm:
            content["given"] = {
                name: value for name, value in (("key", key), ("bpm", bpm)) if value
            }
        if beside.estimate is not None:
            content |= {"estimated": True, **beside.estimate}
        if len(content) > 2:
            write_whole(
                _sidecar(path), json.dumps(content, indent=1).encode(), "what is known of the riff"
            )

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

    def _stretched(
        self, path: Path, riff: Riff, bpm: Fraction, rate: int, semitones: int
    ) -> RiffLoop:
        name = f"the riff {riff.filename}"
        try:
            decoded = self._decode(path.read_bytes(), rate, LONGEST_RIFF_SECONDS, name)
        except OSError as error:
            raise StorageFailed(
                f"{name} cannot be read: {reason_of(error, path)}", field="key"
            ) from error
        except LoopwrightError as error:
            raise type(error)(error.message, field="key") from None
        whole = _whole_beats(decoded.audio, riff.bpm, rate)
        samples = round(whole.shape[1] * riff.bpm / bpm)
        try:
            audio = self._workers.call(
                STRETCH_TIMEOUT, stretch_loop, whole, rate, samples, float(semitones)
            )
        except WorkerFailed as error:
            raise NotAudio(f"{name} could not be stretched: {error.message}", field="key") from None
        return RiffLoop(audio, tuple(f"{name} {note}" for note in decoded.notes))

    def _free_name(self, stem: str, suffix: str, key: Key | None, bpm: Fraction | None) -> Path:
        """Return a name that no file has, of what was given; of its own stem where something was not."""
        said = f"{bpm_number(Fraction(round(bpm, NAME_DECIMALS)))}bpm" if bpm is not None else None
        own = None if key is not None and bpm is not None else stem
        whole = "_".join(part for part in (key and key.name, said, own) if part)
        whole = cut_to_bytes(whole, STEM_BYTES)
        numbers = ("", *(f"_{number}" for number in range(1, 100_000)))
        return next(
            path for n in numbers if not (path := self._folder / f"{whole}{n}{suffix}").exists()
        )


def _says(filename: str, key: Key | None, bpm: Fraction | None) -> bool:
    """Return whether a file's name alone says all that was given with it, to the last digit."""
    try:
        named = parse_name(filename)
    except ValueError:
        return False
    return key in (None, named.key) and bpm in (None, named.bpm)


def _given(content: Mapping[str, str]) -> Named:
    key, bpm = (
        parse_key(content.get("key", "")),
        Fraction(content["bpm"]) if "bpm" in content else None,
    )
    return Named(key, bpm if bpm is not None and in_range(bpm) else None)


def _estimated(content: Mapping[str, Any]) -> Mapping[str, float] | None:
    names = ("bpm", "bpm_confidence", "key", "key_confidence")
    if any(name not in content for name in names):
        return None
    found = {name: float(content[name]) for name in names}
    is_sane = int(found["key"]) in range(len(KEYS)) and in_range(Fraction(str(found["bpm"])))
    return found if is_sane else None


def _may_be_riff(path: Path) -> bool:
    return (
        path.is_file()
        and not path.is_symlink()
        and not path.name.startswith(".")
        and not path.name.endswith(SIDECAR)
    )


def _whole_beats(audio: Audio, bpm: Fraction, rate: int) -> Audio:
    """Cut the audio or fill it with silence to whole beats, if it is nearly that; else leave it as it is."""
    beat = SECONDS_PER_MINUTE * rate / bpm
    beats = round(audio.shape[1] / beat)
    samples = round(beats * beat)
    if beats == 0 or abs(audio.shape[1] - samples) > WHOLE_BEATS * beat:
        return audio
    return np.pad(audio[:, :samples], ((0, 0), (0, max(0, samples - audio.shape[1]))))


def _fingerprint(path: Path, own_bpm: Fraction, bpm: Fraction, rate: int, semitones: int) -> str:
    try:
        stat = path.stat()
    except OSError:
        raise NotFound(f"the riff {path.name} is gone", field="key") from None
    what = (
        str(path.resolve()),
        stat.st_size,
        stat.st_mtime_ns,
        str(own_bpm),
        str(bpm),
        rate,
        semitones,
    )
    return hashlib.sha256(repr(what).encode()).hexdigest()[:32]


def _keep(path: Path, loop: RiffLoop) -> None:
    """Put a loop into the cache; a full disk costs only time."""
    content = io.BytesIO()
    np.savez(content, audio=loop.audio, notes=np.array(loop.notes, dtype=str))
    try:
        write_whole(path, content.getvalue(), "the stretched riff")
    except StorageFailed as error:
        log.warning("a stretched riff could not be kept", reason=error.message)


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + SIDECAR)
