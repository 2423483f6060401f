"""What is quickest on this machine, found by measuring it once.

Knows: how to time candidates, where results are kept, how to measure batch sizes of any model.
Does not know: what else is measured.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from loopwright.model.base import LatentModel
    from loopwright.model.family import Backend

REPEATS = 2
WORTH_IT = 0.95
"""A larger batch must bring a row's time down to this share, or it only makes rows wait."""

MAX_BATCH_CPU, MAX_BATCH_GPU = 8, 64
MEMORY_SHARE = 0.5
"""The share of the GPU's free memory that a batch may take; the rest is for decoding."""

ROUNDING = 0.01
"""How far half precision may be off, as a share of the largest output."""

Evaluate = Callable[[int], Any]
"""Evaluates a batch of this many rows, the first always the same; returns an output per row."""

Same = Callable[[Any, Any], bool]
"""Whether a row's output in a batch is the same as when it was evaluated alone."""

log = structlog.get_logger()


class Tuning:
    """Results by name, in a file that is written anew where it is missing or damaged.

    Args:
        file: Where results are kept; None keeps them in memory only.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._found: dict[str, Any] = _read(file)

    @classmethod
    def open(cls, cache: Path | None, backend: Backend, architecture: str) -> Tuning:
        """Open the results of this machine for an architecture on a backend."""
        import torch

        if cache is None:
            return cls(None)
        threads = torch.get_num_threads()
        machine = f"{platform.node()} {os.cpu_count()} {threads} {torch.__version__}"
        about = f"{machine} {backend} {architecture}"
        name = hashlib.sha256(about.encode()).hexdigest()[:16]
        return cls(cache / "tuning" / f"{name}.json")

    def has(self, *names: str) -> bool:
        """Return whether all of these were measured."""
        return all(name in self._found for name in names)

    def get(self, name: str, default: Any) -> Any:
        """Return a result of the default's type; the default where there is none."""
        found = self._found.get(name)
        return found if isinstance(found, type(default)) else default

    def quickest(
        self, name: str, candidates: Mapping[Any, Callable[[], object]], work: Mapping[Any, float]
    ) -> Any:
        """Return the candidate that takes the least time for its work.

        Args:
            name: The name of the result.
            candidates: What to time, by a number or a string.
            work: How much each candidate gets done, in any unit.
        """
        if self._found.get(name) not in candidates:
            for run in candidates.values():
                run()  # not timed: caches and allocations of a first run would count
            seconds = {key: least_seconds(run) / work[key] for key, run in candidates.items()}
            best = min(seconds, key=lambda key: seconds[key])
            self._set(name, best)
            rounded = {str(key): round(value, 5) for key, value in seconds.items()}
            log.info("measured what is quickest", what=name, best=best, seconds=rounded)
        return self._found[name]

    def batch_size(self, name: str, evaluate: Evaluate, most: int, same: Same) -> int:
        """Return how many rows are best evaluated at once.

        The batch is doubled as long as that makes a row cheaper and leaves its output the same.

        Args:
            name: The name of the result.
            evaluate: Evaluates a batch.
            most: What memory allows.
            same: Compares a row's outputs.
        """
        known = self._found.get(name)
        if isinstance(known, int) and 1 <= known <= most:
            return known
        size = 1
        alone = evaluate(1)[0]
        per_row = least_seconds(lambda: evaluate(1))
        while size * 2 <= most and same(evaluate(size * 2)[0], alone):
            doubled = size * 2
            seconds = least_seconds(lambda: evaluate(doubled))  # noqa: B023 - called at once
            if seconds / doubled > per_row * WORTH_IT:
                break
            size, per_row = doubled, seconds / doubled
        self._set(name, size)
        log.info("measured how many rows to evaluate at once", what=name, best=size)
        return size

    def _set(self, name: str, value: object) -> None:
        self._found[name] = value
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            # moved into place, so that no other process reads half a file
            temporary = self._file.with_suffix(f".{os.getpid()}")
            temporary.write_text(json.dumps(self._found), encoding="utf-8")
            temporary.replace(self._file)


def _read(file: Path | None) -> dict[str, Any]:
    try:
        found = {} if file is None else json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def least_seconds(run: Callable[[], object]) -> float:
    """Time a function a few times and return the least: disturbances only ever add."""
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def find_max_batch_size(model: LatentModel, backend: Backend, tuning: Tuning) -> int:
    """Return the most rows of a forward that still make each row cheaper.

    On a CPU a row must come out to the bit as it does alone; on a GPU, whose kernels differ by
    batch size, to rounding.
    """
    import torch

    device = torch.device(backend.device)
    evaluate = batch_evaluator(model, device)
    same = torch.equal if device.type == "cpu" else _equal_to_rounding
    most = memory_limit(device, evaluate)
    return tuning.batch_size("rows", evaluate, most, same)


def batch_evaluator(model: LatentModel, device: torch.device) -> Callable[[int], Tensor]:
    """Return a function that evaluates a batch of this many rows, the first always the same."""
    import torch

    from loopwright.model.base import TextPrompt

    spec = model.spec
    with torch.inference_mode():
        conditioning, _ = model.condition(TextPrompt("drums 120bpm", None, 1))
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(spec.channels, spec.frames, generator=generator).to(device)

    @torch.inference_mode()
    def evaluate(rows: int) -> Tensor:
        scales = torch.linspace(1, 0.5, rows, device=device)
        batch = x * scales[:, None, None]
        times = torch.full_like(scales, 0.5)
        # to the CPU, which waits until a GPU has computed it
        return model.denoise(batch, times, [conditioning] * rows).cpu()

    return evaluate


def memory_limit(device: torch.device, evaluate: Evaluate) -> int:
    """Return how many rows memory allows in one forward, measured on CUDA."""
    import torch

    if device.type != "cuda":
        return MAX_BATCH_CPU if device.type == "cpu" else MAX_BATCH_GPU
    evaluate(1)  # what a first forward allocates for good is none of the row's
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    evaluate(1)
    bytes_per_row = max(torch.cuda.max_memory_allocated(device) - before, 1)
    free, _ = torch.cuda.mem_get_info(device)
    rows = max(free * MEMORY_SHARE // bytes_per_row, 1)
    return int(min(rows, MAX_BATCH_GPU))


def _equal_to_rounding(one: Tensor, other: Tensor) -> bool:
    difference = float((one - other).abs().max())
    return difference <= ROUNDING * float(other.abs().max())
