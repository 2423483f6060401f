"""The folder of riffs: which there are, in which key and tempo, and each as a loop at another tempo.

The folder is looked at anew each time, so new, changed and deleted files count at once. What a name does not say is
estimated once and kept in a small file beside the riff. Stretched riffs are kept in a cache on disk.
Knows: files, names. Does not know: requests, models. Decoding, analysis and stretching happen in worker processes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from loopwright.audio.analysis import estimate
from loopwright.audio.decode import Decoded, decode
from loopwright.audio.stretch import stretch_loop
from loopwright.errors import InvalidInput, LoopwrightError, NotFound
from loopwright.library.names import EXTENSIONS, parse_name, safe_name
from loopwright.music.key import KEYS, semitones_between
from loopwright.music.tempo import SECONDS_PER_MINUTE, bpm_number
from loopwright.workers import Workers

SIDECAR = ".loopwright.json"
ANALYSIS_RATE = 22050
ANALYSIS_SECONDS = 120.0
ANALYSIS_TIMEOUT = 120.0
DECODE_TIMEOUT = 60.0
STRETCH_TIMEOUT = 120.0
LONGEST_RIFF_SECONDS = 60.0
WHOLE_BEATS = 0.1
"""A riff this near to a whole number of beats is taken to be meant so."""

Audio = NDArray[np.float32]

log = structlog.get_logger()


@dataclass(frozen=True)
class Riff:
    """A riff. key: its canonical name. estimated: what the name did not say. confidence: of what was estimated, 0 … 1."""

    filename: str
    key: str
    bpm: Fraction
    estimated: tuple[str, ...] = ()
    confidence: Mapping[str, float] | None = None

    def described(self) -> dict[str, object]:
        """What is said of it, by the contract's names."""
        said: dict[str, object] = {
            "filename": self.filename,
            "original_bpm": bpm_number(self.bpm),
            "description": f"{self.key} riff at {bpm_number(self.bpm)} BPM",
        }
        if self.estimated:
            said |= {"estimated": list(self.estimated), "confidence": dict(self.confidence or {})}
        return said


@dataclass(frozen=True)
class Catalog:
    """skipped: the reason by file name."""

    riffs: tuple[Riff, ...]
    skipped: Mapping[str, str]

    def by_key(self) -> dict[str, list[Riff]]:
        """Riffs by key, both in order of their names."""
        return {key: [riff for riff in self.riffs if riff.key == key] for key in sorted({r.key for r in self.riffs})}


class RiffLibrary:
    """A folder of riffs, and a folder for what is made from them."""

    def __init__(self, folder: Path, cache: Path, workers: Workers, max_seconds: float) -> None:
        self._folder = folder
        self._cache = cache
        self._workers = workers
        self._max_seconds = max_seconds
        self._estimates: dict[tuple[str, int, int], dict[str, float]] = {}

    def catalog(self) -> Catalog:
        """All riffs there are now. Analyses those that are new and whose names do not say it all."""
        riffs, skipped = [], {}
        for path in self._files():
            try:
                riffs.append(self._riff(path))
            except (ValueError, LoopwrightError, OSError) as error:
                skipped[path.name] = error.message if isinstance(error, LoopwrightError) else str(error)
        return Catalog(tuple(riffs), skipped)

    def choose(self, key: str, seed: int, *, transpose: bool) -> tuple[Riff, int]:
        """A riff for a key, the same for the same seed, and by how many semitones it must be moved.

        Raises InvalidInput with ``available_keys`` where there is none (with ``transpose``: where there is none at all).
        """
        by_key = self.catalog().by_key()
        nearest = min(by_key, key=lambda one: (abs(semitones_between(one, key)), one), default=None)
        if key not in by_key and (not transpose or nearest is None):
            raise InvalidInput(
                f"key must be one there is a riff in ({', '.join(by_key) or 'there are none yet'}), got {key!r}",
                field="key",
                code="no_riff_in_key",
                details={"available_keys": list(by_key)},
            )
        found = key if key in by_key else str(nearest)
        return by_key[found][seed % len(by_key[found])], semitones_between(found, key)

    def loop(self, riff: Riff, bpm: Fraction, rate: int, semitones: int = 0) -> Audio:
        """A riff as a loop at a tempo, [2, samples], exact to the sample: stretched, its pitch moved by ``semitones``."""
        path = self._folder / riff.filename
        kept = self._cache / f"{_fingerprint(path, bpm, rate, semitones)}.npy"
        with contextlib.suppress(OSError, ValueError):
            cached: Audio = np.load(kept, allow_pickle=False)
            return cached
        made = self._stretched(path, riff, bpm, rate, semitones)
        _write(kept, made)
        return made

    def add(self, data: bytes, filename: str, key: str | None, bpm: Fraction | None) -> Riff:
        """Keep a new riff. key and bpm, where given, become its name. Raises NotAudio, TooLarge, InvalidInput."""
        suffix = Path(filename).suffix.lower()
        if suffix not in EXTENSIONS:
            raise InvalidInput(
                f"audio_file must have a name that ends in {', '.join(EXTENSIONS)}, got {safe_name(filename)!r}",
                field="audio_file",
            )
        self._decode(data, ANALYSIS_RATE, ANALYSIS_SECONDS)
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._free_name(safe_name(filename), suffix, key, bpm)
        try:
            parse_name(path.name)
        except ValueError as error:
            raise InvalidInput(f"audio_file has a name that cannot be taken: {error}", field="audio_file") from None
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(data)
        part.replace(path)
        return self._riff(path)

    def remove(self, filename: str) -> None:
        """Delete a riff. Raises NotFound for anything that is no riff of this folder."""
        path = next((path for path in self._files() if path.name == filename), None)
        if path is None:
            raise NotFound(f"there is no riff {filename[:100]!r}; GET /riffs/available lists them", field="filename")
        path.unlink(missing_ok=True)
        _sidecar(path).unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return sorted(path for path in self._folder.iterdir() if _may_be_riff(path))

    def _riff(self, path: Path) -> Riff:
        named = parse_name(path.name)
        if named.key is not None and named.bpm is not None:
            return Riff(path.name, named.key.name, named.bpm)
        found = self._estimate(path)
        riff = Riff(
            path.name,
            named.key.name if named.key else KEYS[int(found["key"])],
            named.bpm or Fraction(str(found["bpm"])),
        )
        missing = [name for name, value in (("key", named.key), ("bpm", named.bpm)) if value is None]
        return replace(
            riff, estimated=tuple(missing), confidence={name: found[f"{name}_confidence"] for name in missing}
        )

    def _estimate(self, path: Path) -> dict[str, float]:
        """What was found once, from memory or the file beside the riff; else what is found now."""
        stat = path.stat()
        identity = (path.name, stat.st_size, stat.st_mtime_ns)
        if identity not in self._estimates:
            self._estimates[identity] = _read_sidecar(path, stat) or self._analyse(path, stat)
        return self._estimates[identity]

    def _analyse(self, path: Path, stat: os.stat_result) -> dict[str, float]:
        decoded = self._decode(path.read_bytes(), ANALYSIS_RATE, ANALYSIS_SECONDS)
        found = asdict(self._workers.call(ANALYSIS_TIMEOUT, estimate, decoded.audio, ANALYSIS_RATE))
        log.info("riff analysed", file=path.name, **found)
        content = {"estimated": True, **found, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
        try:
            _sidecar(path).write_text(json.dumps(content, indent=1))
        except OSError as error:
            log.warning("the riff's analysis could not be kept", file=path.name, reason=str(error))
        return found

    def _decode(self, data: bytes, rate: int, keep_seconds: float) -> Decoded:
        return self._workers.call(
            DECODE_TIMEOUT, decode, data, rate, keep_seconds=keep_seconds, max_seconds=self._max_seconds
        )

    def _stretched(self, path: Path, riff: Riff, bpm: Fraction, rate: int, semitones: int) -> Audio:
        try:
            audio = self._decode(path.read_bytes(), rate, LONGEST_RIFF_SECONDS).audio
        except LoopwrightError as error:
            raise type(error)(f"the riff {riff.filename}: {error.message}", field="key") from None
        whole = _whole_beats(audio, riff.bpm, rate)
        samples = round(whole.shape[1] * riff.bpm / bpm)
        return self._workers.call(STRETCH_TIMEOUT, stretch_loop, whole, rate, samples, float(semitones))

    def _free_name(self, name: str, suffix: str, key: str | None, bpm: Fraction | None) -> Path:
        if key is None or bpm is None:
            parts = [part for part in (key, bpm and f"{bpm_number(bpm)}bpm", Path(name).stem) if part]
            stem = "_".join(str(part) for part in parts)
        else:
            stem = f"{key}_{bpm_number(bpm)}bpm"
        candidates = (self._folder / f"{stem}{number}{suffix}" for number in ("", *(f"_{i}" for i in range(1, 10_000))))
        return next(path for path in candidates if not path.exists())


def _may_be_riff(path: Path) -> bool:
    return (
        path.is_file() and not path.is_symlink() and not path.name.startswith(".") and not path.name.endswith(SIDECAR)
    )


def _whole_beats(audio: Audio, bpm: Fraction, rate: int) -> Audio:
    """The audio cut or filled with silence to whole beats, if it is nearly that; else as it is."""
    beat = SECONDS_PER_MINUTE * rate / bpm
    beats = round(audio.shape[1] / beat)
    samples = round(beats * beat)
    if beats == 0 or abs(audio.shape[1] - samples) > WHOLE_BEATS * beat:
        return audio
    return np.pad(audio[:, :samples], ((0, 0), (0, max(0, samples - audio.shape[1]))))


def _fingerprint(path: Path, bpm: Fraction, rate: int, semitones: int) -> str:
    try:
        stat = path.stat()
    except OSError:
        raise NotFound(f"the riff {path.name} is gone", field="key") from None
    what = (str(path.resolve()), stat.st_size, stat.st_mtime_ns, str(bpm), rate, semitones)
    return hashlib.sha256(repr(what).encode()).hexdigest()[:32]


def _write(path: Path, audio: Audio) -> None:
    """Into the cache, whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.save(file, audio, allow_pickle=False)
        part.replace(path)
    except OSError as error:
        log.warning("a stretched riff could not be kept", reason=str(error))


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + SIDECAR)


def _read_sidecar(path: Path, stat: os.stat_result) -> dict[str, float] | None:
    try:
        content = json.loads(_sidecar(path).read_text())
        if (content["size"], content["mtime_ns"]) != (stat.st_size, stat.st_mtime_ns):
            return None
        found = {name: float(content[name]) for name in ("bpm", "bpm_confidence", "key", "key_confidence")}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if int(found["key"]) in range(len(KEYS)) and found["bpm"] > 0 else None
