"""What loading a file of weights does to the memory of a process.

It is a program, so that nothing else of the tests counts: `python -m tests.model.memory FILE` loads
a file of ``weights``, and prints megabytes over what the process had before, as JSON.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from loopwright.model.autoencoder import fold_weight_norm
from loopwright.model.checkpoint import load_strictly, read_tensors

LAYERS, CHANNELS, TAPS = 16, 512, 16
MODEL_MB = LAYERS * CHANNELS * CHANNELS * TAPS * 4 // 2**20
"""256."""


def weights(kind: str) -> dict[str, Tensor]:
    """Make weights for ``model`` in float32, in half precision, or as directions and lengths."""
    weight, length = torch.ones(CHANNELS, CHANNELS, TAPS), torch.ones(CHANNELS, 1, 1)
    if kind == "weight-norm":
        pairs = {"weight_v": weight, "weight_g": length}
        return {
            f"{layer}.{name}": one.clone() for layer in range(LAYERS) for name, one in pairs.items()
        }
    dtype = torch.float16 if kind == "half" else torch.float32
    return {f"{layer}.weight": weight.to(dtype, copy=True) for layer in range(LAYERS)}


def model() -> nn.Module:
    """Make convolutions without weights."""
    with torch.device("meta"):
        return nn.ModuleList(
            [nn.Conv1d(CHANNELS, CHANNELS, TAPS, bias=False) for _ in range(LAYERS)]
        )


def memory(name: str) -> int:
    """Read a line of the process's status, in MB."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) // 1024


def measure(path: Path) -> dict[str, int]:
    """Measure the memory that loading takes, in MB.

    Returns:
        loaded, used: Anonymous memory after loading, and after every weight was used.
        peak: Of all memory, mapped files too.
    """
    module = model()
    anonymous, resident = memory("RssAnon"), memory("VmRSS")
    load_strictly(module, fold_weight_norm(read_tensors(path)))
    loaded, peak = memory("RssAnon") - anonymous, memory("VmHWM") - resident
    for parameter in module.parameters():
        assert float(parameter.detach().sum()) > 0
    return {"loaded": loaded, "used": memory("RssAnon") - anonymous, "peak": peak}


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]))))  # noqa: T201
