"""Puts the parts together, from the settings: the one place that knows all of them."""

from __future__ import annotations

import structlog

from loopwright.engine.base import ModelKey
from loopwright.engine.registry import Registry
from loopwright.generation.models import Models
from loopwright.generation.service import Service
from loopwright.generation.sources import Sources
from loopwright.library.riffs import RiffLibrary
from loopwright.loading.backend import BackendOptions
from loopwright.loading.families import family_of
from loopwright.loading.hub import Hub
from loopwright.loading.loader import Loader
from loopwright.loading.selection import select_model
from loopwright.serving.scheduler import Scheduler
from loopwright.settings import BASE_REPO, Settings
from loopwright.system.workers import Workers

GIGABYTE = 1e9

log = structlog.get_logger()


def assemble(settings: Settings, *, at_once: bool = True) -> Service:
    """Build the service these settings ask for, with nothing loaded yet.

    Args:
        settings: What was set.
        at_once: Whether torch computes a model while it is being converted, as suits a server; else
            its first use waits for the conversion.

    Raises:
        InvalidInput: there can be no such model.
    """
    options, hub = backend_options(settings), make_hub(settings)
    selection = select_model(settings.model, hub)
    key, family = selection.key, family_of(selection.key.source)
    say = log.warning if family.limitations else log.info
    say("model chosen", model=str(key), because=selection.reason)
    for sentence in family.limitations:
        log.warning("limitation", model=str(key), cannot=sentence)
    base = key if family.takes_finetunes else ModelKey(BASE_REPO)
    loader = Loader(hub, options, settings.threads, base, settings.cache_dir.expanduser())
    registry = Registry(
        loader.load_or_stopgap if at_once else loader.load,
        max_models=settings.max_models,
        memory_budget=round(settings.model_memory_gb * GIGABYTE)
        if settings.model_memory_gb
        else None,
    )
    models = Models(registry, hub, key)
    most = settings.queue_size + 1  # one is being made, the others wait
    return Service(models, Scheduler(), make_sources(settings), most)


def check(settings: Settings) -> None:
    """Raise InvalidInput for settings that are wrong whatever the machine does later."""
    backend_options(settings)
    select_model(settings.model, make_hub(settings))


def backend_options(settings: Settings) -> BackendOptions:
    """Return what was set about the backend.

    Raises InvalidInput for what does not go together, or is not installed.
    """
    return BackendOptions(settings.engine, settings.precision, settings.device)


def make_sources(settings: Settings) -> Sources:
    """Make the worker processes and the riff library, with the limits on uploads."""
    workers = Workers()
    cache = settings.cache_dir.expanduser() / "riffs"
    riffs = RiffLibrary(
        settings.riffs_dir.expanduser(), cache, workers, settings.max_upload_seconds
    )
    return Sources(workers, riffs, settings.max_upload_seconds)


def make_hub(settings: Settings) -> Hub:
    """Make the client of the Hugging Face hub, as far as the settings allow it."""
    allowed = {name.strip() for name in settings.allowed_repos.split(",") if name.strip()} | {
        settings.model
    }
    return Hub(allowed, settings.hf_token)
