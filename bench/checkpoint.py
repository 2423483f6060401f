"""The model folder that every contender is measured with, kept between runs."""

from __future__ import annotations

import shutil
from pathlib import Path

from tools.random_checkpoint import make_folder

CACHE = Path(__file__).parent / ".cache"
FOLDER = "stable-audio-open-small-random"


def cached_folder(cache: Path = CACHE) -> Path:
    """Return the model folder, made if it is not there yet (2.4 GB)."""
    folder = cache / FOLDER
    if not folder.is_dir():
        unfinished = cache / f"{FOLDER}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        make_folder(unfinished)
        unfinished.rename(folder)
    return folder
