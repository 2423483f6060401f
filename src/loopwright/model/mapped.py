"""The tensors of a safetensors file, mapped into memory: nothing is read before it is used, nothing is kept after.

Knows: where a file has its tensors, when their pages can go. Does not know: models. The library checks the file; it maps, too,
but as one piece, which stays in memory whole as long as the model uses any of it.
"""

from __future__ import annotations

import json
import mmap
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
LENGTH_BYTES = 8
"""A file begins with the length of its header, which is JSON; the tensors follow."""


@dataclass(frozen=True)
class Entry:
    """Where a tensor lies: bytes of the file, from ``start`` to before ``stop``."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    stop: int


class MappedTensors(Mapping[str, Tensor]):
    """By name. Raises SafetensorError or OSError for a file that is not whole.

    A tensor's pages go with the last tensor that looks at them, such as the original of what has been converted; a tensor
    that becomes a model's parameter keeps them. They are for reading: what is written into them never reaches the file.
    """

    def __init__(self, path: Path) -> None:
        with safe_open(path, "pt"):
            pass  # the header is sound, and the file as long as it says
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(LENGTH_BYTES), "little")))
            self._entries = _entries(header, file.tell())
            self._pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        self._views = weakref.WeakValueDictionary[str, memoryview]()

    def __getitem__(self, name: str) -> Tensor:
        entry = self._entries[name]
        if entry.start == entry.stop:
            return torch.empty(entry.shape, dtype=entry.dtype)
        return torch.frombuffer(self._view(name, entry), dtype=entry.dtype).reshape(entry.shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def _view(self, name: str, entry: Entry) -> memoryview:
        """The bytes of a tensor. All tensors made of it share and keep it; when it goes, so do its pages."""
        view = self._views.get(name)
        if view is None:
            view = self._views[name] = memoryview(self._pages)[entry.start : entry.stop]
            weakref.finalize(
                view, _release_pages, self._pages, entry.start, entry.stop
            ).atexit = False
        return view


def _entries(header: Mapping[str, Any], start: int) -> dict[str, Entry]:
    """start: of the tensors, a byte of the file, which the header's offsets count from."""
    found = {}
    for name, said in header.items():
        if name == "__metadata__":
            continue
        if said["dtype"] not in DTYPES:
            raise SafetensorError(f"{name} is of the type {said['dtype']}, which is not supported")
        first, last = said["data_offsets"]
        found[name] = Entry(
            DTYPES[said["dtype"]], tuple(said["shape"]), start + first, start + last
        )
    return found


def _release_pages(pages: mmap.mmap, start: int, stop: int) -> None:
    """The whole pages of a stretch may leave the memory; were they used again, they would be read again."""
    first, last = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE, stop // mmap.PAGESIZE * mmap.PAGESIZE
    if last > first and hasattr(mmap, "MADV_DONTNEED"):  # Windows has none
        pages.madvise(mmap.MADV_DONTNEED, first, last - first)
