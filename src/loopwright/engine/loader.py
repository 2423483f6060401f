"""From a model's key to an engine ready to work.

Knows: where each kind of model lives, and what to say of it. Does not know: when models are loaded, or for whom.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from loopwright.engine.base import Engine, ModelInfo, ModelKey
from loopwright.engine.choose import POCKET
from loopwright.engine.finetune import checkpoints_among, config_for
from loopwright.engine.hub import Hub
from loopwright.errors import CheckpointError, InvalidInput, NotFound
from loopwright.model.files import ModelFiles, files_in
from loopwright.plan import ModelLimits

if TYPE_CHECKING:
    import torch

    from loopwright.model.base import LatentSpec
    from loopwright.model.checkpoint import Tensors
    from loopwright.model.config import TextConfig
    from loopwright.model.pocket.model import PocketModel
    from loopwright.model.stable_audio import StableAudioModel
    from loopwright.model.text import T5TextEncoder

POCKET_LIMITATIONS = (
    "pocket is a small model of drum loops and simple mixes, made to work anywhere; "
    "its bass, chords and pads have rhythm but hardly any pitch",
    "pocket knows 83 words (drum and genre names, moods, a few instruments) and ignores the others",
)

POCKET_STEPS = 12
POCKET_CFG_SCALE = 2.0
"""Low guidance is best: the study's measurements."""

DEFAULT_STEPS = {"rf_denoiser": 8, "rectified_flow": 50, "v": 100}
MAX_STEPS = {"rf_denoiser": 100, "rectified_flow": 250, "v": 250}
DEFAULT_CFG_SCALE = 6.0

TEXT_ENCODER_FOLDER = "text_encoder"


@dataclass(frozen=True)
class Loader:
    """Loads models onto a device. threads: of the CPU; 0 is one a core. base: what finetunes are laid over."""

    hub: Hub
    device: str
    threads: int
    base: ModelKey

    def __call__(self, key: ModelKey) -> Engine:
        """Load a model; takes from under a second to minutes. Raises LoopwrightErrors that say what is wrong."""
        import torch

        if self.threads:
            torch.set_num_threads(self.threads)
        device = torch.device(pick_device(self.device))
        return _load_pocket(key, device) if key.source == POCKET else self._stable_audio(key, device)

    def _stable_audio(self, key: ModelKey, device: torch.device) -> Engine:
        from loopwright.model.checkpoint import read_tensors
        from loopwright.model.stable_audio import load_stable_audio, read_config

        files = self._files(key if key.checkpoint is None else self.base)
        tensors, config_path = read_tensors(files.weights), files.config
        if key.checkpoint is not None:
            tensors, config_path = self._finetuned(key.source, key.checkpoint, tensors, config_path)
        config = read_config(config_path)
        text_encoder = self._text_encoder(files, config.conditioning.text, device)
        model = load_stable_audio(config, tensors, text_encoder).to(device)
        return _engine(model, key, device, _limits(model.spec))

    def _finetuned(self, repo: str, checkpoint: str, base: Tensors, config: Path) -> tuple[Tensors, Path]:
        """The base's tensors with the finetune's over them, and the configuration that belongs to it."""
        from loopwright.model.checkpoint import read_tensors
        from loopwright.model.finetune import laid_over

        self.hub.check_name(repo, "finetune_repo")
        files = self.hub.files(repo)
        if checkpoint not in files:
            raise NotFound(
                f"{repo} has no checkpoint {checkpoint}; it has {', '.join(checkpoints_among(files)) or 'none'}",
                field="finetune_checkpoint",
            )
        own_config = config_for(checkpoint, files)
        tensors = laid_over(base, read_tensors(self.hub.fetch(repo, checkpoint)))
        return tensors, config if own_config is None else self.hub.fetch(repo, own_config)

    def _files(self, key: ModelKey) -> ModelFiles:
        folder = Path(key.source)
        return files_in(folder) if folder.is_absolute() else self.hub.fetch_model(key.source)

    def _text_encoder(self, files: ModelFiles, config: TextConfig, device: torch.device) -> T5TextEncoder:
        """The one beside the model where there is one, else the hub's."""
        from loopwright.model.text import T5TextEncoder

        beside = files.config.parent / TEXT_ENCODER_FOLDER
        folder = beside if beside.is_dir() else self.hub.fetch_text_encoder(config.model_name)
        encoder = T5TextEncoder(folder, config.tokens, device)
        if encoder.width != config.hidden_width:
            raise CheckpointError(
                f"the text encoder in {folder} must have {config.hidden_width} channels (as {config.model_name}), "
                f"got {encoder.width}"
            )
        return encoder


def pick_device(setting: str) -> str:
    """The device a setting means here. Raises InvalidInput for one this machine does not have."""
    import torch

    has = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if setting == "auto":
        return "cuda" if has["cuda"] else "mps" if has["mps"] else "cpu"
    if not has[setting]:
        there = ", ".join(name for name, is_there in has.items() if is_there)
        raise InvalidInput(f"device must be one this machine has ({there}), got {setting!r}", field="device")
    return setting


def limitations(key: ModelKey) -> tuple[str, ...]:
    """What a model cannot do, a sentence each."""
    return POCKET_LIMITATIONS if key.source == POCKET else ()


def _load_pocket(key: ModelKey, device: torch.device) -> Engine:
    from loopwright.model.pocket.model import load_pocket

    model = load_pocket().to(device)
    limits = replace(_limits(model.spec), default_steps=POCKET_STEPS, default_cfg_scale=POCKET_CFG_SCALE)
    return _engine(model, key, device, limits)


def _limits(spec: LatentSpec) -> ModelLimits:
    from loopwright.model.sampling import SAMPLERS

    return ModelLimits(
        spec.sample_rate,
        spec.frames * spec.hop,
        SAMPLERS[spec.objective],
        DEFAULT_STEPS[spec.objective],
        MAX_STEPS[spec.objective],
        DEFAULT_CFG_SCALE,
        can_be_guided=spec.objective != "v",
    )


def _engine(model: StableAudioModel | PocketModel, key: ModelKey, device: torch.device, limits: ModelLimits) -> Engine:
    import torch

    from loopwright.engine.model_engine import ModelEngine

    info = ModelInfo(
        key=key,
        name=Path(key.source).name if Path(key.source).is_absolute() else str(key),
        device=device.type,
        objective=model.spec.objective,
        latent_channels=model.spec.channels,
        limits=limits,
        memory_bytes=sum(tensor.nbytes for tensor in model.state_dict().values()),
        cuda_available=torch.cuda.is_available(),
        limitations=limitations(key),
    )
    return ModelEngine(model, info)
