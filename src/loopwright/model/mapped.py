"""The tensors of a safetensors file, mapped into memory.

Nothing is read before it is used, and nothing stays in memory after. The safetensors library maps a
file too, but as one piece, which stays in memory whole as long as a model uses any part of it; here
it only checks the file.
Knows: where a file has its tensors, when their pages can be released. Does not know: models.
"""

from __future__ import annotations

import json
import mmap
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

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
    """A tensor's place in the file.

    Attributes:
        dtype: Type of its values.
        shape: Shape of the tensor.
        start: Its first byte, counted from the beginning of the file.
        stop: The byte after its last.
    """

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    stop: int


class MappedTensors(Mapping[str, Tensor]):
    """The tensors of a file by name, each made when it is asked for.

    A tensor's pages are released when the last tensor made of them is garbage, such as the original
    of a tensor that was converted. A tensor that becomes a model's parameter keeps its pages.
    Values written into a tensor stay in this process and never reach the file.

    Args:
        path: The file.

    Raises:
        SafetensorError: The file is not whole, or a tensor's type is not supported.
        OSError: The file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        with safe_open(path, "pt"):
            pass  # raises unless the header is sound and the file as long as the header says
        with path.open("rb") as file:
            header_length = int.from_bytes(file.read(LENGTH_BYTES), "little")
            header = json.loads(file.read(header_length))
            data_start = file.tell()
            # copies a page that is written to, where a read-only map would end the process
            self._pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        self._views = weakref.WeakValueDictionary[str, memoryview]()
        self._entries: dict[str, Entry] = {}
        for name, fields in header.items():
            if name == "__metadata__":
                continue
            type_name = fields["dtype"]
            if type_name not in DTYPES:
                raise SafetensorError(f"{name} is of the type {type_name}, which is not supported")
            shape = tuple(fields["shape"])
            # offsets count from the end of the header
            start, stop = (data_start + offset for offset in fields["data_offsets"])
            self._entries[name] = Entry(DTYPES[type_name], shape, start, stop)

    def __getitem__(self, name: str) -> Tensor:
        entry = self._entries[name]
        if entry.start == entry.stop:
            return torch.empty(entry.shape, dtype=entry.dtype)  # frombuffer takes no empty buffer
        # all tensors made of an entry share one view: when it is garbage, nothing reads the pages
        view = self._views.get(name)
        if view is None:
            view = self._views[name] = memoryview(self._pages)[entry.start : entry.stop]
            release = weakref.finalize(view, _release_pages, self._pages, entry.start, entry.stop)
            release.atexit = False
        return torch.frombuffer(view, dtype=entry.dtype).reshape(entry.shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def _release_pages(pages: mmap.mmap, start: int, stop: int) -> None:
    """Let the pages that lie wholly between two bytes leave the memory.

    They would be read from the file again if they were used again.
    """
    first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
    last = stop // mmap.PAGESIZE * mmap.PAGESIZE
    if last > first and hasattr(mmap, "MADV_DONTNEED"):  # Windows has none
        pages.madvise(mmap.MADV_DONTNEED, first, last - first)
