"""The files a model of the Stable Audio family is made of: found, and loaded.

Knows: which file is what, in folders and repositories. Does not know: backends, what the model is
used for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from loopwright.errors import CheckpointError, ModelUnavailable, NotFound
from loopwright.loading.finetunes import BASE_CONFIG_FILE, checkpoints_among, config_for
from loopwright.model.files import CONFIG_FILE, WEIGHT_FILES, ModelFiles, files_in

if TYPE_CHECKING:
    import torch

    from loopwright.model.config import ModelConfig, TextConfig
    from loopwright.model.family import LoadRequest, Repositories
    from loopwright.model.stable_audio import StableAudioModel
    from loopwright.model.text import T5TextEncoder

TEXT_ENCODER_FOLDER = "text_encoder"
TEXT_ENCODER_FILES = ("config.json", "model.safetensors")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "spiece.model",
    "special_tokens_map.json",
)

log = structlog.get_logger()


@dataclass(frozen=True)
class ModelSource:
    """Where the parts of a model lie.

    Args:
        config: The model's configuration.
        weights: The model's weights.
        text_encoder: A folder.
        finetune: A checkpoint whose tensors replace those of the weights.
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
        """List all files the model depends on, always in the same order."""
        parts = [self.config, self.weights]
        if self.finetune is not None:
            parts.append(self.finetune)
        of_encoder = [path for path in self.text_encoder.iterdir() if path.is_file()]
        return parts + sorted(of_encoder)

    def read_config(self) -> ModelConfig:
        """Read what the model is made of. Raises CheckpointError."""
        from loopwright.model.stable_audio import read_config

        config = read_config(self.config)
        if self.before_distillation and config.spec.objective == "rf_denoiser":
            spec = replace(config.spec, objective="rectified_flow")
            return replace(config, spec=spec)
        return config

    def load(self, device: torch.device) -> StableAudioModel:
        """Load the model in torch, in float32. Raises CheckpointError where parts do not fit."""
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
        """Load the text encoder. Raises CheckpointError where the model takes another width."""
        from loopwright.model.text import T5TextEncoder

        encoder = T5TextEncoder(self.text_encoder, config.tokens, device)
        if encoder.width != config.hidden_width:
            raise CheckpointError(
                f"the text encoder in {self.text_encoder} must have {config.hidden_width} channels "
                f"(as {config.model_name}), got {encoder.width}"
            )
        return encoder


def find_source(request: LoadRequest) -> ModelSource:
    """Find the files of a model, or of a finetune and its base. Downloads what is not there.

    Raises:
        InvalidInput: the repository is not allowed.
        NotFound: there is no such repository, or no such file in it.
        ModelUnavailable: the hub cannot be reached, or wants a token.
        CheckpointError: the files are no model.
    """
    # a finetune's checkpoint holds no whole model: its weights are put over those of the base
    base = request.source if request.checkpoint is None else request.base
    folder = Path(base)
    files = files_in(folder) if folder.is_absolute() else fetch_model(request.hub, base)
    config, finetune = files.config, None
    before_distillation = False
    if request.checkpoint is not None:
        own_config, finetune = _find_finetune(request.hub, request.source, request.checkpoint)
        trained_with = own_config or _find_undistilled_config(request.hub, base)
        before_distillation = trained_with is None
        config = trained_with or files.config
    text_encoder = files.weights.parent / TEXT_ENCODER_FOLDER
    source = ModelSource(config, files.weights, text_encoder, finetune, before_distillation)
    if text_encoder.is_dir():
        return source
    name = source.read_config().conditioning.text.model_name
    return replace(source, text_encoder=fetch_text_encoder(request.hub, name))


def _find_finetune(hub: Repositories, repo: str, checkpoint: str) -> tuple[Path | None, Path]:
    """Return the configuration of a finetune, if it has its own, and its checkpoint."""
    hub.check_name(repo, "finetune_repo")
    files = hub.files(repo)
    if checkpoint not in files:
        checkpoints = ", ".join(checkpoints_among(files)) or "none"
        raise NotFound(
            f"{repo} has no checkpoint {checkpoint}; it has {checkpoints}",
            field="finetune_checkpoint",
        )
    own_config = config_for(checkpoint, files)
    config = None if own_config is None else hub.fetch(repo, own_config)
    return config, hub.fetch(repo, checkpoint)


def _find_undistilled_config(hub: Repositories, base: str) -> Path | None:
    """Return what the base was trained with before it was distilled; None where it does not say."""
    folder = Path(base)
    if folder.is_absolute():
        file = folder / BASE_CONFIG_FILE
        return file if file.is_file() else None
    try:
        return hub.fetch(base, BASE_CONFIG_FILE)
    except (NotFound, ModelUnavailable) as error:  # offline, the cache may lack just this file
        log.info("the base model has no configuration for finetunes", reason=error.message)
        return None


def is_cached(hub: Repositories, repo: str) -> bool:
    """Return whether a model's configuration and weights are whole in the hub's cache."""
    return hub.is_cached(repo, CONFIG_FILE) and any(
        hub.is_cached(repo, name) for name in WEIGHT_FILES
    )


def fetch_model(hub: Repositories, repo: str) -> ModelFiles:
    """Download a model, or find it in the cache. Raises NotFound, ModelUnavailable."""
    hub.check_name(repo)
    config = hub.fetch(repo, CONFIG_FILE)
    try:
        return ModelFiles(config, hub.fetch(repo, WEIGHT_FILES[0]))
    except NotFound:
        return ModelFiles(config, hub.fetch(repo, WEIGHT_FILES[1]))


def fetch_text_encoder(hub: Repositories, name: str) -> Path:
    """Download a text encoder of the transformers library, with its tokenizer, into a folder.

    Raises NotFound, ModelUnavailable.
    """
    # the name is not checked: text encoders such as t5-base have no owner, which models must have
    folder = hub.fetch_folder(name, (*TEXT_ENCODER_FILES, *TOKENIZER_FILES))
    missing = [file for file in TEXT_ENCODER_FILES if not (folder / file).is_file()]
    if missing:  # offline, a download that was broken off is served as it is
        raise ModelUnavailable(
            f"{name} is not whole in the hub's cache: {', '.join(missing)} is missing"
        )
    return folder
