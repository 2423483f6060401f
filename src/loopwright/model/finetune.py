"""The weights of a finetune in place of those of its base model.

The averaged weights (EMA) are preferred where a checkpoint has them; the autoencoder's stay those
of the base.
Knows: what tensors are called in training checkpoints of stable-audio-tools and in exported ones.
Does not know: files, repositories.
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
    """Return the base's tensors with the finetune's in their place.

    Args:
        base: By name, as in an exported model.
        checkpoint: By name, as in an exported model or in a training checkpoint.

    Raises:
        CheckpointError: The finetune's denoiser is not whole.
    """
    is_training = any(name.startswith(TRAINING) for name in checkpoint)
    current, averaged = {}, {}
    for name, tensor in checkpoint.items():
        # in a training checkpoint the rest is of the training alone: losses, optimisers
        if not is_training or name.startswith(TRAINING):
            current[name.removeprefix(TRAINING)] = tensor
        if name.startswith(AVERAGED):
            averaged[f"model.{name.removeprefix(AVERAGED)}"] = tensor
    exported = current | averaged
    # training stores the frozen autoencoder along: the base has the same
    tuned = {name: tensor for name, tensor in exported.items() if not name.startswith(AUTOENCODER)}
    required = [name for name in base if name.startswith(DENOISER)]
    missing = sorted(name for name in required if name not in tuned)
    if missing:
        examples = ", ".join(missing[:NAMES_SHOWN])
        raise CheckpointError(
            f"the checkpoint lacks {len(missing)} tensors of the denoiser, such as {examples}"
        )
    return {**base, **tuned}
