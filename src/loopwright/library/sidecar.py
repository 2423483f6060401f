"""The small file beside a riff: the key and tempo it was added with, and what was estimated.

A name has no room for a tempo to the last digit, and an estimate takes seconds.
Knows: the content of the file. Does not know: when it is written, how anything is estimated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from loopwright.library.names import KeyAndTempo
from loopwright.music.key import KEYS, parse_key
from loopwright.music.tempo import in_range
from loopwright.system.storage import write_whole

SIDECAR_SUFFIX = ".loopwright.json"
MAX_SIDECAR_BYTES = 10_000
ESTIMATED = ("bpm", "bpm_confidence", "key", "key_confidence")
NOTHING_GIVEN = KeyAndTempo(None, None)


@dataclass(frozen=True)
class Sidecar:
    """What is known of a riff besides its name.

    Args:
        given: The key and tempo that the riff was added with.
        estimate: The names in ESTIMATED with their values; None where nothing was estimated.
    """

    given: KeyAndTempo = NOTHING_GIVEN
    estimate: Mapping[str, float] | None = None


def sidecar_path(riff: Path) -> Path:
    """Return where the file beside a riff is."""
    return riff.with_name(riff.name + SIDECAR_SUFFIX)


def read_sidecar(riff: Path) -> Sidecar:
    """Read the file beside a riff.

    It counts as empty if it is missing or damaged, or belongs to another riff that had this name.
    """
    try:
        with sidecar_path(riff).open("rb") as file:
            content = json.loads(file.read(MAX_SIDECAR_BYTES))
        stat = riff.stat()
        if (content["size"], content["mtime_ns"]) != (stat.st_size, stat.st_mtime_ns):
            return Sidecar()
        given = content.get("given", {})
        bpm = Fraction(given["bpm"]) if "bpm" in given else None
        if bpm is not None and not in_range(bpm):
            bpm = None
        key = parse_key(given.get("key", ""))
        return Sidecar(KeyAndTempo(key, bpm), _estimate(content))
    # what a damaged file may lead to: no such key, a list for an object, a tempo of 1/0 …
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError):
        return Sidecar()


def write_sidecar(riff: Path, sidecar: Sidecar) -> None:
    """Write the file beside a riff, unless there is nothing to write.

    Raises:
        StorageFailed: The disk or folder refuses.
    """
    key, bpm = sidecar.given.key, sidecar.given.bpm
    given: dict[str, str] = {}
    if key is not None:
        given["key"] = key.written
    if bpm is not None:
        given["bpm"] = str(bpm)
    known: dict[str, Any] = {"given": given} if given else {}
    if sidecar.estimate is not None:
        known |= {"estimated": True, **sidecar.estimate}
    if known:
        stat = riff.stat()
        content = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, **known}
        data = json.dumps(content, indent=1).encode()
        write_whole(sidecar_path(riff), data, "what is known of the riff")


def _estimate(content: Mapping[str, Any]) -> Mapping[str, float] | None:
    if any(name not in content for name in ESTIMATED):
        return None
    estimate = {name: float(content[name]) for name in ESTIMATED}
    is_key = int(estimate["key"]) in range(len(KEYS))
    return estimate if is_key and in_range(Fraction(str(estimate["bpm"]))) else None
