"""What is best on this machine, found out by trying, once.

Knows: how to time candidates, and where what was found is kept. Does not know: what is tried.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

REPEATS = 2
WORTH_IT = 0.95
"""A batch must bring a row's time down to this share, or it only makes those in it wait for each other."""

Evaluate = Callable[[int], Any]
"""So many rows, the first of them always the same; an output a row."""

Same = Callable[[Any, Any], bool]
"""Whether a row's output is the same as when it was evaluated alone."""

log = structlog.get_logger()


class Tuning:
    """What was found, by name, in a file that is made anew where it is missing or damaged. file: None keeps nothing."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._found: dict[str, Any] = _read(file)

    def knows(self, *names: str) -> bool:
        """Whether all of these were tried."""
        return all(name in self._found for name in names)

    def known(self, name: str, default: Any) -> Any:
        """What was found, of the default's type; the default, where nothing like that was."""
        found = self._found.get(name)
        return found if isinstance(found, type(default)) else default

    def quickest(
        self, name: str, candidates: Mapping[Any, Callable[[], object]], work: Mapping[Any, float]
    ) -> Any:
        """The candidate that takes the least time for its work; numbers or strings name them."""
        if self._found.get(name) not in candidates:
            for run in candidates.values():
                run()  # once for nothing: what is done only the first time does not count
            seconds = {key: least_seconds(run) / work[key] for key, run in candidates.items()}
            self._keep(name, min(seconds, key=lambda key: seconds[key]))
            log.info(
                "tried what is quickest",
                what=name,
                best=self._found[name],
                seconds=_rounded(seconds),
            )
        return self._found[name]

    def batch(self, name: str, evaluate: Evaluate, most: int, same: Same) -> int:
        """How many rows are best evaluated at once: doubled as long as that makes a row cheaper and leaves it as it was.

        most: what memory allows.
        """
        rows = self._found.get(name)
        if not isinstance(rows, int) or not 1 <= rows <= most:
            self._keep(name, _best_batch(evaluate, most, same))
            log.info("tried how many rows to evaluate at once", what=name, best=self._found[name])
        found: int = self._found[name]
        return found

    def _keep(self, name: str, value: object) -> None:
        self._found[name] = value
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            beside = self._file.with_suffix(f".{os.getpid()}")
            beside.write_text(json.dumps(self._found), encoding="utf-8")
            beside.replace(self._file)


def least_seconds(run: Callable[[], object]) -> float:
    """The least of a few: what disturbs only ever adds."""
    found = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        run()
        found.append(time.perf_counter() - began)
    return min(found)


def _best_batch(evaluate: Evaluate, most: int, same: Same) -> int:
    rows, alone = 1, evaluate(1)[0]
    per_row = least_seconds(lambda: evaluate(1))
    while rows * 2 <= most and same(evaluate(rows * 2)[0], alone):
        larger = least_seconds(lambda: evaluate(rows * 2)) / (rows * 2)  # noqa: B023 - called before rows changes
        if larger > per_row * WORTH_IT:
            break
        rows, per_row = rows * 2, larger
    return rows


def _rounded(seconds: Mapping[Any, float]) -> dict[str, float]:
    return {str(key): round(value, 5) for key, value in seconds.items()}


def _read(file: Path | None) -> dict[str, Any]:
    try:
        found = {} if file is None else json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
