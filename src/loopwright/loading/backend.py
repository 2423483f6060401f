"""What computes a model, where, and in which numbers: from what was set and what this machine has.

Knows: which engines, devices and precisions go together. Does not know: models.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from loopwright.engine.base import EngineName, Precision
from loopwright.errors import InvalidInput, shown

PRECISIONS: dict[str, tuple[Precision, ...]] = {
    "openvino": ("int8", "f32"),
    "torch on cpu": ("f32",),
    "torch on cuda": ("f16", "f32"),
    "torch on mps": ("f16", "f32"),
}
"""Those that each can do, its default first."""


@dataclass(frozen=True)
class BackendOptions:
    """What was set. Raises InvalidInput at once for what can be on no machine, or not with what is installed on this one."""

    engine: Literal["auto", "torch", "openvino"] = "auto"
    precision: Literal["auto", "f32", "f16", "int8"] = "auto"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"

    def __post_init__(self) -> None:
        if self.engine == "openvino" and not has_openvino():
            raise InvalidInput(
                "engine openvino is not installed; install it with pip install 'loopwright[openvino]', or set engine to torch",
                field="engine",
            )
        if self.engine == "openvino" and self.device not in {"auto", "cpu"}:
            raise InvalidInput(
                f"engine openvino computes on the CPU: device must be auto or cpu, got {shown(self.device)}",
                field="device",
            )

    @property
    def is_open(self) -> bool:
        """Whether any engine in any precision will do."""
        return self.engine == "auto" and self.precision == "auto"


@dataclass(frozen=True)
class Backend:
    """What was chosen. device: of torch's tensors."""

    engine: EngineName
    device: Literal["cpu", "cuda", "mps"]
    precision: Precision


def choose_backend(wishes: BackendOptions) -> Backend:
    """What the wishes come to here. Raises InvalidInput for a device that is not there or a precision it cannot do."""
    device = pick_device("cpu" if wishes.engine == "openvino" else wishes.device)
    uses_openvino = wishes.engine == "openvino" or (
        wishes.engine == "auto" and device == "cpu" and has_openvino()
    )
    where = "openvino" if uses_openvino else f"torch on {device}"
    fitting = PRECISIONS[where]
    if wishes.precision != "auto" and wishes.precision not in fitting:
        raise InvalidInput(
            f"precision must be {' or '.join(sorted(fitting))} with {where}, got {shown(wishes.precision)}",
            field="precision",
        )
    precision = fitting[0] if wishes.precision == "auto" else wishes.precision
    return Backend("openvino" if uses_openvino else "torch", device, precision)


def has_openvino() -> bool:
    """Whether the extra is installed."""
    return find_spec("openvino") is not None and find_spec("nncf") is not None


def pick_device(setting: str) -> Literal["cpu", "cuda", "mps"]:
    """The device a setting means here. Raises InvalidInput for one this machine does not have."""
    import torch

    has: dict[Literal["cuda", "mps", "cpu"], bool] = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    there = [name for name, is_there in has.items() if is_there]
    for name in there:
        if setting in {"auto", name}:
            return name
    raise InvalidInput(
        f"device must be one this machine has ({', '.join(there)}), got {shown(setting)}",
        field="device",
    )
