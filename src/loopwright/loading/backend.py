"""What computes a model, where, and in which numbers: from the settings and this machine.

Knows: which engines, devices and precisions go together. Does not know: models.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from loopwright.errors import InvalidInput, shown
from loopwright.model.family import Backend, Device, Precision

PRECISIONS: dict[str, tuple[Precision, ...]] = {
    "openvino": ("int8", "f32"),
    "torch on cpu": ("f32",),
    "torch on cuda": ("f16", "f32"),
    "torch on mps": ("f16", "f32"),
}
"""The precisions of each engine on each device, the default first."""


@dataclass(frozen=True)
class BackendOptions:
    """What was set about the backend.

    Args:
        engine: The library that computes; auto: OpenVINO on a CPU if installed, else torch.
        precision: Number format of the networks; auto: the quickest that engine and device have.
        device: Where the model runs; auto: a GPU where there is one.

    Raises:
        InvalidInput: no machine can do this, or what is installed on this one cannot.
    """

    engine: Literal["auto", "torch", "openvino"] = "auto"
    precision: Literal["auto", "f32", "f16", "int8"] = "auto"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"

    def __post_init__(self) -> None:
        if self.engine == "openvino" and not has_openvino():
            raise InvalidInput(
                "engine openvino is not installed; install it with "
                "pip install 'loopwright[openvino]', or set engine to torch",
                field="engine",
            )
        if self.engine == "openvino" and self.device not in {"auto", "cpu"}:
            raise InvalidInput(
                "engine openvino computes on the CPU: device must be auto or cpu, "
                f"got {shown(self.device)}",
                field="device",
            )

    @property
    def allows_any(self) -> bool:
        """Whether neither an engine nor a precision was set."""
        return self.engine == "auto" and self.precision == "auto"


def choose_backend(options: BackendOptions) -> Backend:
    """Return the backend that the options mean on this machine.

    Raises:
        InvalidInput: the device is not there, or cannot compute in the precision.
    """
    device = pick_device("cpu" if options.engine == "openvino" else options.device)
    uses_openvino = options.engine == "openvino"
    if options.engine == "auto":
        # the quicker one on a CPU, and of no use for a GPU
        uses_openvino = device == "cpu" and has_openvino()
    where = "openvino" if uses_openvino else f"torch on {device}"
    precisions = PRECISIONS[where]
    if options.precision != "auto" and options.precision not in precisions:
        allowed = " or ".join(sorted(precisions))
        raise InvalidInput(
            f"precision must be {allowed} with {where}, got {shown(options.precision)}",
            field="precision",
        )
    precision = precisions[0] if options.precision == "auto" else options.precision
    return Backend("openvino" if uses_openvino else "torch", device, precision)


def has_openvino() -> bool:
    """Return whether the extra ``openvino`` is installed."""
    return find_spec("openvino") is not None and find_spec("nncf") is not None


def pick_device(setting: str) -> Device:
    """Return the device a setting means. Raises InvalidInput where this machine lacks it."""
    import torch

    devices: list[Device] = ["cpu"]
    if torch.backends.mps.is_available():
        devices.insert(0, "mps")
    if torch.cuda.is_available():
        devices.insert(0, "cuda")
    for device in devices:
        if setting in {"auto", device}:
            return device
    raise InvalidInput(
        f"device must be one this machine has ({', '.join(devices)}), got {shown(setting)}",
        field="device",
    )
