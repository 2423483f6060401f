"""``python -m bench.precision``: what int8 costs in sound; writes ``PRECISION.md``. See ``--help``.

Parts can be measured one at a time: results are kept in the cache folder, and the page is made of
all of them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tools.random_checkpoint import TEXT_ENCODER

from bench import machine
from bench.checkpoint import CACHE, cached_folder
from bench.precision_decoder import QUANTISED_FILE, quantise, tile_times
from bench.precision_page import page
from bench.precision_pocket import listen
from bench.precision_runs import PROMPTS, Models, differences
from loopwright.loading.model_source import ModelSource
from loopwright.model.files import files_in

HERE = Path(__file__).parent
PARTS = ("runs", "decoder", "tiles", "pocket")
KEPT = "precision"
"""The folder in the cache for what was found, and for the decoder in int8."""


def main() -> None:
    """Measure the chosen parts, and write the page."""
    given = _arguments()
    kept: Path = given.cache / KEPT
    kept.mkdir(parents=True, exist_ok=True)
    measures = _measures(given, kept)
    for name in given.only:
        _measure(measures[name], kept / f"{name}.json", _about(given))
    text = page({name: _known(kept / f"{name}.json") for name in measures}, machine.describe())
    given.output.write_text(text, encoding="utf-8")
    print(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.precision", description="Measure what int8 costs in sound."
    )
    parser.add_argument(
        "--model", type=Path, help="a model folder (default: the random one, made if need be)"
    )
    parser.add_argument(
        "--cache", type=Path, default=CACHE, help="where graphs are kept (default: bench/.cache)"
    )
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS, help="default: all")
    parser.add_argument(
        "--prompts", type=int, default=len(PROMPTS), help="how many (default: all four)"
    )
    parser.add_argument("--seeds", type=int, default=3, help="of each prompt (default: 3)")
    parser.add_argument(
        "--parts",
        type=int,
        default=2,
        help="prompts the parts alone are measured with (default: 2)",
    )
    parser.add_argument(
        "--threads", type=int, default=machine.cores(), help="default: one per core"
    )
    parser.add_argument(
        "--output", type=Path, default=HERE / "PRECISION.md", help="default: bench/PRECISION.md"
    )
    return parser.parse_args()


def _measures(given: argparse.Namespace, kept: Path) -> dict[str, Callable[[], Iterable[Any]]]:
    """Return the measurement of each part; the first that needs the model loads it."""
    loaded: list[Models] = []

    def models() -> Models:
        if not loaded:
            folder = given.model or cached_folder()
            files = files_in(folder)
            source = ModelSource(files.config, files.weights, folder / TEXT_ENCODER)
            loaded.append(Models(source, given.cache, given.threads))
        return loaded[0]

    quantised = kept / QUANTISED_FILE
    return {
        "runs": lambda: differences(models(), given.prompts, given.seeds, given.parts),
        "decoder": lambda: quantise(models(), quantised),
        "tiles": lambda: tile_times(models(), quantised),
        "pocket": listen,
    }


def _measure(measure: Callable[[], Iterable[Any]], file: Path, about: dict[str, str]) -> None:
    """Measure a part, and write each result at once, so that a stopped run keeps its results."""
    found = list[dict[str, Any]]()
    for one in measure():
        found.append(asdict(one))
        file.write_text(json.dumps({"about": about, "finished": False, "found": found}, indent=1))
        _say(str(one))
    file.write_text(json.dumps({"about": about, "finished": True, "found": found}, indent=1))


def _about(given: argparse.Namespace) -> dict[str, str]:
    numbers = f"--prompts {given.prompts} --seeds {given.seeds} --parts {given.parts}"
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "command": f"python -m bench.precision --only {' '.join(given.only)} {numbers}",
    }


def _known(file: Path) -> dict[str, Any] | None:
    """Return the results of a part, from now or earlier; None if it never was measured."""
    known: dict[str, Any] | None = json.loads(file.read_text()) if file.is_file() else None
    return known


def _say(sentence: str) -> None:
    print(time.strftime("%H:%M:%S"), sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
