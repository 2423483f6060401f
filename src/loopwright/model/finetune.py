"""A finetune laid over the weights of its base model.

Knows: what tensors are called in training checkpoints of stable-audio-tools and in exported ones. The averaged weights (EMA)
are preferred where a checkpoint has them; the autoencoder's stay the base's. Does not know: files, repositories.
"""

from __future__ import annotations

from torch import Tensor

from loopwright.errors import CheckpointError
from loopwright.model.checkpoint import NAMES_SHOWN, Tensors

DENOISER = "model.model."
AUTOENCODER = "pretransform."
TRAINING = "diffusion."
AVERAGED = "diffusion_ema.ema_model."


def apply_finetune(base: Tensors, checkpoint: Tensors) -> dict[str, Tensor]:
    """The base's tensors with the finetune's in their place. Raises CheckpointError where the denoiser is not whole."""
    tuned = _exported(checkpoint)
    missing = sorted(name for name in base if name.startswith(DENOISER) and name not in tuned)
    if missing:
        raise CheckpointError(
            f"the checkpoint lacks {len(missing)} tensors of the denoiser, such as {', '.join(missing[:NAMES_SHOWN])}"
        )
    return {**base, **tuned}


def _exported(checkpoint: Tensors) -> dict[str, Tensor]:
    """The checkpoint's tensors by the names an exported model gives them, without the autoencoder's."""
    is_training = any(name.startswith(TRAINING) for name in checkpoint)
    own = {
        name.removeprefix(TRAINING): tensor
        for name, tensor in checkpoint.items()
        if not is_training
        or name.startswith(TRAINING)  # the rest is of the training alone: losses, optimisers
    }
    averaged = {
        f"model.{name.removeprefix(AVERAGED)}": tensor
        for name, tensor in checkpoint.items()
        if name.startswith(AVERAGED)
    }
    return {
        name: tensor
        for name, tensor in {**own, **averaged}.items()
        if not name.startswith(AUTOENCODER)
    }
