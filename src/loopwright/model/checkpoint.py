"""Files of a model to tensors, and tensors into a module: strictly, and never running what a file says.

Knows: safetensors, checkpoints of torch (read with ``weights_only``, so a pickle can hold tensors and plain values and
nothing else). Does not know: which model it is, where files come from.
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

Tensors = Mapping[str, Tensor]


def read_tensors(path: Path) -> Tensors:
    """The tensors of a ``.safetensors`` or ``.ckpt`` file by name, on the CPU, mapped where the file allows.

    Raises CheckpointError for a file that is not whole, or a pickle that wants more than tensors; nothing of it runs.
    """
    if not path.is_file():
        raise CheckpointError(f"the model file {path.name} is missing in {path.parent}")
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)


def load_strictly(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put tensors into a module as float32, without a second copy of those that are float32 already.

    They are taken out of the dict one by one, so that what has been converted can leave the memory meanwhile.
    Raises CheckpointError that lists what is missing, unexpected or misshapen.
    """
    wanted = module.state_dict()
    problems = [
        *_listed("missing", (name for name in wanted if name not in tensors)),
        *_listed("unexpected", (name for name in tensors if name not in wanted)),
        *_listed("misshapen", _misshapen(wanted, tensors)),
    ]
    if problems:
        raise CheckpointError(f"the weights do not fit the model: {'; '.join(problems)}")
    module.load_state_dict({name: tensors.pop(name).float() for name in wanted}, assign=True)


def weight_bytes(module: nn.Module) -> int:
    """Return the bytes that a module's tensors take."""
    return sum(tensor.nbytes for tensor in module.state_dict().values())


def _read_safetensors(path: Path) -> Tensors:
    try:
        return MappedTensors(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path.name} is not a whole safetensors file: {error}") from None


def _read_pickle(path: Path) -> Tensors:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        reason = str(error).partition("WeightsUnpickler error: ")[2] or str(error)
        raise CheckpointError(
            f"{path.name} was refused, since it holds more than weights: {reason.splitlines()[0]}"
        ) from None
    except (RuntimeError, OSError, EOFError, ValueError) as error:
        raise CheckpointError(
            f"{path.name} is not a whole checkpoint: {str(error).splitlines()[0]}"
        ) from None
    tensors = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(tensors, dict) or not all(
        isinstance(value, Tensor) for value in tensors.values()
    ):
        raise CheckpointError(f"{path.name} must hold tensors by name, or a state_dict of them")
    return tensors


def _misshapen(wanted: Tensors, tensors: Tensors) -> Iterable[str]:
    for name, tensor in wanted.items():
        if name in tensors and tensors[name].shape != tensor.shape:
            yield f"{name} (is {list(tensors[name].shape)}, must be {list(tensor.shape)})"


def _listed(kind: str, names: Iterable[str]) -> list[str]:
    found = sorted(names)
    if not found:
        return []
    more = f" and {len(found) - NAMES_SHOWN} more" if len(found) > NAMES_SHOWN else ""
    return [f"{kind} {', '.join(found[:NAMES_SHOWN])}{more}"]
