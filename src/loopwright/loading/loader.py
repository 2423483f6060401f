"""From a model's key to an engine ready to work.

Knows: where each kind of model lives, and what to say of it. Does not know: when models are loaded, or for whom.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from loopwright.engine.base import Engine, ModelInfo, ModelKey, Stopgap
from loopwright.errors import ModelUnavailable, NotFound
from loopwright.loading.backend import Backend, BackendOptions, choose_backend
from loopwright.loading.finetunes import BASE_CONFIG_FILE, checkpoints_among, config_for
from loopwright.loading.hub import Hub
from loopwright.loading.model_source import ModelSource
from loopwright.loading.selection import POCKET
from loopwright.loading.torch_import import import_torch
from loopwright.model.files import ModelFiles, files_in
from loopwright.planning.plan import ModelLimits

if TYPE_CHECKING:
    from loopwright.loading.ready import LoadedModel
    from loopwright.model.base import LatentSpec

POCKET_LIMITATIONS = (
    "pocket is a small model, made to work anywhere: drums, basses, chords and melodies of plain synthesiser sounds; "
    "no voices, no recorded instruments",
    "pocket knows some 200 words (genres, instruments, drums, moods, keys); warnings name the words that it leaves out",
)

POCKET_STEPS = 12
POCKET_CFG_SCALE = 2.0
"""Low guidance is best: measured, see docs/pocket.md."""

DEFAULT_STEPS = {"rf_denoiser": 8, "rectified_flow": 50, "v": 100}
MAX_STEPS = {"rf_denoiser": 100, "rectified_flow": 250, "v": 250}
DEFAULT_CFG_SCALE = 6.0

TEXT_ENCODER_FOLDER = "text_encoder"

log = structlog.get_logger()


@dataclass(frozen=True)
class Loader:
    """Loads models. wishes: what they are computed by; threads: of the CPU, 0 is one a core.

    base: what finetunes are laid over. cache: a folder for what can be made again, such as converted models and what was
    found out by trying; None: none is kept (and nothing can be converted).
    """

    hub: Hub
    wishes: BackendOptions
    threads: int
    base: ModelKey
    cache: Path | None = None

    def __call__(self, key: ModelKey) -> Engine:
        """Load a model; takes from under a second to minutes. Raises LoopwrightErrors that say what is wrong."""
        loaded = self._load(key, waits=True)
        assert not isinstance(loaded, Stopgap)
        return loaded

    def at_once(self, key: ModelKey) -> Engine | Stopgap:
        """Load a model as a server does, whose clients give up after half a minute.

        One that is yet to be converted is a stopgap in torch, unless an engine or a precision was
        asked for. Raises LoopwrightErrors that say what is wrong.
        """
        return self._load(key, waits=not self.wishes.is_open)

    def _load(self, key: ModelKey, *, waits: bool) -> Engine | Stopgap:
        """waits: whether a model that is yet to be converted is waited for."""
        import_torch()
        import torch

        if self.threads:
            torch.set_num_threads(self.threads)
        backend = choose_backend(self.wishes)
        if key.source == POCKET:
            return self._pocket(key, backend)
        return self._stable_audio(key, backend, waits=waits)

    def _pocket(self, key: ModelKey, backend: Backend) -> Engine:
        from loopwright.loading.ready import pocket
        from loopwright.model.pocket.model import DEFAULT_BPM

        backend = Backend("torch", backend.device, "f32")
        ready = pocket(backend, self.cache)
        limits = replace(
            _limits(ready.model.spec),
            default_steps=POCKET_STEPS,
            default_cfg_scale=POCKET_CFG_SCALE,
            default_bpm=Fraction(DEFAULT_BPM),
        )
        return _engine(ready, key, backend, limits)

    def _stable_audio(self, key: ModelKey, backend: Backend, *, waits: bool) -> Engine | Stopgap:
        from loopwright.loading.ready import as_stopgap, is_converted, with_openvino, with_torch

        source, cache = self._source(key), self.cache
        if backend.engine == "torch" or cache is None:
            return _engine(with_torch(source, backend, cache), key, backend)

        def in_openvino(*, gives_way: bool) -> Engine:
            ready = with_openvino(source, backend, self.threads, cache, gives_way=gives_way)
            return _engine(ready, key, backend)

        if waits or is_converted(source, backend, cache):
            return in_openvino(gives_way=False)
        meanwhile = _engine(as_stopgap(source, cache), key, Backend("torch", "cpu", "f32"))
        return Stopgap(meanwhile, partial(in_openvino, gives_way=True))

    def _source(self, key: ModelKey) -> ModelSource:
        """Where the files of a model are: its own, or a finetune's and those of the base it is laid over."""
        files = self._files(key if key.checkpoint is None else self.base)
        finetune, before_distillation = None, False
        if key.checkpoint is not None:
            own_config, finetune = self._finetune(key.source, key.checkpoint)
            config = own_config or self._undistilled_config()
            files, before_distillation = (
                replace(files, config=config or files.config),
                config is None,
            )
        beside = files.weights.parent / TEXT_ENCODER_FOLDER
        source = ModelSource(files.config, files.weights, beside, finetune, before_distillation)
        if beside.is_dir():
            return source
        name = source.read_config().conditioning.text.model_name
        return replace(source, text_encoder=self.hub.fetch_text_encoder(name))

    def _finetune(self, repo: str, checkpoint: str) -> tuple[Path | None, Path]:
        """The configuration that belongs to a finetune, where it has one of its own, and its checkpoint."""
        self.hub.check_name(repo, "finetune_repo")
        files = self.hub.files(repo)
        if checkpoint not in files:
            raise NotFound(
                f"{repo} has no checkpoint {checkpoint}; it has {', '.join(checkpoints_among(files)) or 'none'}",
                field="finetune_checkpoint",
            )
        own_config = config_for(checkpoint, files)
        return None if own_config is None else self.hub.fetch(repo, own_config), self.hub.fetch(
            repo, checkpoint
        )

    def _undistilled_config(self) -> Path | None:
        """Find what the base was trained with before it was distilled; None where it does not say."""
        folder = Path(self.base.source)
        if folder.is_absolute():
            file = folder / BASE_CONFIG_FILE
            return file if file.is_file() else None
        try:
            return self.hub.fetch(self.base.source, BASE_CONFIG_FILE)
        except (NotFound, ModelUnavailable) as error:  # offline, the cache may lack just this file
            log.info("the base model has no configuration for finetunes", reason=error.message)
            return None

    def _files(self, key: ModelKey) -> ModelFiles:
        folder = Path(key.source)
        return files_in(folder) if folder.is_absolute() else self.hub.fetch_model(key.source)


def limitations(key: ModelKey) -> tuple[str, ...]:
    """What a model cannot do, a sentence each."""
    return POCKET_LIMITATIONS if key.source == POCKET else ()


def _limits(spec: LatentSpec) -> ModelLimits:
    from loopwright.model.sampling import SAMPLERS

    return ModelLimits(
        spec.sample_rate,
        spec.frames * spec.hop,
        SAMPLERS[spec.objective],
        DEFAULT_STEPS[spec.objective],
        MAX_STEPS[spec.objective],
        DEFAULT_CFG_SCALE,
        supports_inpainting=spec.objective != "v",
    )


def _engine(
    ready: LoadedModel, key: ModelKey, backend: Backend, limits: ModelLimits | None = None
) -> Engine:
    import torch

    from loopwright.engine.model_engine import ModelEngine

    info = ModelInfo(
        key=key,
        name=Path(key.source).name if Path(key.source).is_absolute() else str(key),
        device=backend.device,
        objective=ready.model.spec.objective,
        latent_channels=ready.model.spec.channels,
        limits=limits or _limits(ready.model.spec),
        memory_bytes=ready.memory_bytes,
        cuda_available=torch.cuda.is_available(),
        limitations=limitations(key),
        engine=backend.engine,
        precision=backend.precision,
    )
    return ModelEngine(ready.model, info, ready.batching)
