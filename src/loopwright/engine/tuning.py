"""What is best on this machine, found out by trying, once.

Knows: how to time candidates, and where what was found is kept. Does not know: what is tried.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import structlog

T = TypeVar("T")

REPEATS = 3

log = structlog.get_logger()


def quickest(kept: Path | None, candidates: Mapping[str, Callable[[], object]], per: Mapping[str, float]) -> str:
    """The name of the candidate that takes the least time, each divided by how much it does.

    What was found is kept in a file and believed as long as it names a candidate.
    """
    known = _read(kept)
    if known is not None and known in candidates:
        return known
    seconds = {name: _seconds(run) / per[name] for name, run in candidates.items()}
    best = min(seconds, key=lambda name: seconds[name])
    log.info("tried what is quickest", best=best, **{name: round(value, 4) for name, value in seconds.items()})
    if kept is not None:
        _write(kept, best)
    return best


def _seconds(run: Callable[[], object]) -> float:
    """The least of a few, after one that does not count: what disturbs only ever adds."""
    run()
    found = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        run()
        found.append(time.perf_counter() - began)
    return min(found)


def _read(file: Path | None) -> str | None:
    try:
        return None if file is None else str(json.loads(file.read_text(encoding="utf-8"))["best"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(file: Path, best: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(f".{os.getpid()}")
    beside.write_text(json.dumps({"best": best}), encoding="utf-8")
    beside.replace(file)
