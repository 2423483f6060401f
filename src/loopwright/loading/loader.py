"""From a model's key to an engine that carries out plans.

Knows: the order of the steps. Does not know: families, when models are loaded, for whom.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from loopwright.engine.base import Batching, Engine, ModelInfo, ModelKey, Stopgap
from loopwright.loading.backend import BackendOptions, choose_backend
from loopwright.loading.families import family_of
from loopwright.loading.hub import Hub
from loopwright.loading.torch_import import import_torch
from loopwright.loading.tuning import Tuning, find_max_batch_size
from loopwright.model.family import LoadedModel, LoadRequest, ModelFamily
from loopwright.planning.plan import ModelLimits


@dataclass(frozen=True)
class Loader:
    """Loads models.

    Args:
        hub: The repositories that may be used.
        options: What was set about the backend.
        threads: CPU threads; 0 is one per core.
        base: The model that finetunes change.
        cache: A folder for what can be made again, such as converted models and measurements;
            None: nothing is kept, and nothing can be converted.
    """

    hub: Hub
    options: BackendOptions
    threads: int
    base: ModelKey
    cache: Path | None = None

    def load(self, key: ModelKey) -> Engine:
        """Load a model; takes from under a second to minutes.

        Raises LoopwrightErrors that say what is wrong.
        """
        loaded = self._load(key, wait_for_conversion=True)
        assert not isinstance(loaded, Stopgap)
        return loaded

    def load_or_stopgap(self, key: ModelKey) -> Engine | Stopgap:
        """Load a model as a server does, whose clients give up after half a minute.

        A model that must be converted first is served by torch meanwhile, unless an engine or a
        precision was set. Raises LoopwrightErrors that say what is wrong.
        """
        return self._load(key, wait_for_conversion=not self.options.allows_any)

    def _load(self, key: ModelKey, *, wait_for_conversion: bool) -> Engine | Stopgap:
        import_torch()
        import torch

        if self.threads:
            torch.set_num_threads(self.threads)
        family = family_of(key.source)
        request = LoadRequest(
            source=key.source,
            checkpoint=key.checkpoint,
            base=self.base.source,
            backend=family.allowed_backend(choose_backend(self.options)),
            threads=self.threads,
            cache=self.cache,
            hub=self.hub,
            wait_for_conversion=wait_for_conversion,
        )
        loaded = family.load(request)
        engine = self._engine(key, family, loaded)
        improve = loaded.improve
        if improve is None:
            return engine
        # closes over ``improve``, not ``loaded``: a closed stopgap's weights must be free
        return Stopgap(engine, lambda: self._engine(key, family, improve()))

    def _engine(self, key: ModelKey, family: ModelFamily, loaded: LoadedModel) -> Engine:
        """Measure the batch size if the family has not, and put all into an engine."""
        import torch

        from loopwright.engine.model_engine import ModelEngine
        from loopwright.model.sampling import SAMPLERS

        model, backend = loaded.model, loaded.backend
        max_batch_size = loaded.max_batch_size
        if max_batch_size is None:
            tuning = Tuning.open(self.cache, backend, loaded.architecture)
            max_batch_size = find_max_batch_size(model, backend, tuning)
        spec = model.spec
        defaults = family.defaults[spec.objective]
        limits = ModelLimits(
            spec.sample_rate,
            spec.frames * spec.hop,
            SAMPLERS[spec.objective],
            defaults.steps,
            defaults.max_steps,
            defaults.cfg_scale,
            # latent guidance is defined for rectified flows only
            supports_inpainting=spec.objective != "v",
            default_bpm=None if defaults.bpm is None else Fraction(defaults.bpm),
        )
        is_folder = Path(key.source).is_absolute()
        info = ModelInfo(
            key=key,
            name=Path(key.source).name if is_folder else str(key),
            device=backend.device,
            objective=spec.objective,
            latent_channels=spec.channels,
            limits=limits,
            memory_bytes=loaded.memory_bytes,
            cuda_available=torch.cuda.is_available(),
            limitations=family.limitations,
            engine=backend.engine,
            precision=backend.precision,
        )
        batching = Batching(max_batch_size, overlaps=backend.device == "cuda")
        return ModelEngine(model, info, batching)
