"""Checkpoints: files of a model to tensors, and tensors into a module.

Loading is strict, and never runs what a file says: checkpoints of torch are read with
``weights_only``, so a pickle can hold tensors and plain values and nothing else.
Does not know: which model it is, where files come from.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from loopwright.errors import CheckpointError
from loopwright.model.mapped import MappedTensors

NAMES_SHOWN = 5
"""How many tensors an error names."""

Tensors = Mapping[str, Tensor]


def read_tensors(path: Path) -> Tensors:
    """Return the tensors of a ``.safetensors`` or ``.ckpt`` file by name, on the CPU.

    They are mapped into memory, not read, where the file allows.

    Raises:
        CheckpointError: The file is missing or not whole, or a pickle holds more than tensors;
            none of its code is run.
    """
    if not path.is_file():
        raise CheckpointError(f"the model file {path.name} is missing in {path.parent}")
    if path.suffix != ".safetensors":
        return _read_pickle(path)
    try:
        return MappedTensors(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path.name} is not a whole safetensors file: {error}") from None


def load_strictly(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put tensors into a module as float32; those that are float32 already are not copied.

    Args:
        module: Takes the tensors as its parameters and buffers.
        tensors: By name; left empty.

    Raises:
        CheckpointError: Tensors are missing, unexpected or misshapen; it lists them.
    """
    expected = module.state_dict()
    misshapen = []
    for name in expected.keys() & tensors.keys():
        shape, expected_shape = tensors[name].shape, expected[name].shape
        if shape != expected_shape:
            misshapen.append(f"{name} (is {list(shape)}, must be {list(expected_shape)})")
    problems = [
        *_listed("missing", expected.keys() - tensors.keys()),
        *_listed("unexpected", tensors.keys() - expected.keys()),
        *_listed("misshapen", misshapen),
    ]
    if problems:
        raise CheckpointError(f"the weights do not fit the model: {'; '.join(problems)}")
    # taken out of the dict one by one, so that the original of what was converted can leave the
    # memory before the next is converted
    module.load_state_dict({name: tensors.pop(name).float() for name in expected}, assign=True)


def weight_bytes(module: nn.Module) -> int:
    """Return the bytes that a module's tensors take."""
    return sum(tensor.nbytes for tensor in module.state_dict().values())


def _read_pickle(path: Path) -> Tensors:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        # torch puts advice to load without ``weights_only`` around the reason, which nobody should
        reason = str(error).partition("WeightsUnpickler error: ")[2] or str(error)
        raise CheckpointError(
            f"{path.name} was refused, since it holds more than weights: {reason.splitlines()[0]}"
        ) from None
    except (RuntimeError, OSError, EOFError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path.name} is not a whole checkpoint: {reason}") from None
    tensors = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(tensors, dict) or not all(
        isinstance(value, Tensor) for value in tensors.values()
    ):
        raise CheckpointError(f"{path.name} must hold tensors by name, or a state_dict of them")
    return tensors


def _listed(kind: str, names: Iterable[str]) -> list[str]:
    """Return a problem in words, in a list of one, or none where there are no names."""
    found = sorted(names)
    if not found:
        return []
    more = f" and {len(found) - NAMES_SHOWN} more" if len(found) > NAMES_SHOWN else ""
    examples = ", ".join(found[:NAMES_SHOWN])
    return [f"{kind} {examples}{more}"]
