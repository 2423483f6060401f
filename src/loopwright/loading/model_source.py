"""The files a model of the stable-audio family is made of, and the model they make.

Knows: which file is what. Does not know: where they came from, what the model is used for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from loopwright.errors import CheckpointError

if TYPE_CHECKING:
    import torch

    from loopwright.model.config import ModelConfig, TextConfig
    from loopwright.model.stable_audio import StableAudioModel
    from loopwright.model.text import T5TextEncoder


@dataclass(frozen=True)
class ModelSource:
    """Where the parts of a model lie.

    Args:
        config: The model's configuration.
        weights: The model's weights.
        text_encoder: A folder.
        finetune: A checkpoint that is laid over the weights.
        before_distillation: The configuration is that of a base which was distilled
            (``rf_denoiser``); the finetune was trained on what the base was before that, a
            rectified flow.
    """

    config: Path
    weights: Path
    text_encoder: Path
    finetune: Path | None = None
    before_distillation: bool = False

    def files(self) -> list[Path]:
        """All files the model depends on, in an order of their own."""
        parts = [self.config, self.weights, *([self.finetune] if self.finetune else [])]
        return parts + sorted(path for path in self.text_encoder.iterdir() if path.is_file())

    def read_config(self) -> ModelConfig:
        """Read what the model is made of. Raises CheckpointError."""
        from loopwright.model.stable_audio import read_config

        config = read_config(self.config)
        if self.before_distillation and config.spec.objective == "rf_denoiser":
            return replace(config, spec=replace(config.spec, objective="rectified_flow"))
        return config

    def load(self, device: torch.device) -> StableAudioModel:
        """The model in torch, in float32. Raises CheckpointError that says what does not fit."""
        from loopwright.model.checkpoint import read_tensors
        from loopwright.model.finetune import apply_finetune
        from loopwright.model.stable_audio import load_stable_audio

        tensors = read_tensors(self.weights)
        if self.finetune is not None:
            tensors = apply_finetune(tensors, read_tensors(self.finetune))
        config = self.read_config()
        text_encoder = self.load_text_encoder(config.conditioning.text, device)
        return load_stable_audio(config, tensors, text_encoder).to(device)

    def load_text_encoder(self, config: TextConfig, device: torch.device) -> T5TextEncoder:
        """The text encoder. Raises CheckpointError for one of another width than the model takes."""
        from loopwright.model.text import T5TextEncoder

        encoder = T5TextEncoder(self.text_encoder, config.tokens, device)
        if encoder.width != config.hidden_width:
            raise CheckpointError(
                f"the text encoder in {self.text_encoder} must have {config.hidden_width} channels "
                f"(as {config.model_name}), got {encoder.width}"
            )
        return encoder
