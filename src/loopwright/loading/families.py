"""The table of model families. A new one is a package in ``model/`` and a row here."""

from __future__ import annotations

from loopwright.loading.stable_audio import STABLE_AUDIO
from loopwright.model.family import ModelFamily
from loopwright.model.pocket.family import POCKET

FAMILIES = (POCKET, STABLE_AUDIO)
"""The first that matches counts; the last takes every folder and repository."""


def family_of(source: str) -> ModelFamily:
    """Return the family of a model from its source: a name, a repository or an absolute folder."""
    return next(family for family in FAMILIES if family.matches(source))
