"""``python -m bench``: measures the reference and Loopwright; writes ``RESULTS.md``.

See ``--help``.
"""

from __future__ import annotations

import argparse
import datetime
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools.model_configs import stable_audio_open_small_config

from bench import machine
from bench.checkpoint import CACHE, cached_folder
from bench.compare import compare
from bench.contenders import Contender, OurContender, ReferenceContender, Setting
from bench.embedded import embedded
from bench.flops import by_stage
from bench.reference.process import versions
from bench.report import About, report
from bench.results import Results
from bench.scenarios import SCENARIOS, STEPS, TEXT_LOOP, WHOLE_WINDOW, Scenario
from bench.server import known_variants
from loopwright.model.config import parse_config

HERE = Path(__file__).parent
EMBEDDED = "embedded"
PARTS = (*(scenario.name for scenario in SCENARIOS), EMBEDDED)
SHOWN_BY_STAGE = (WHOLE_WINDOW, TEXT_LOOP)


def main() -> None:
    """Measure the chosen parts, and write the page."""
    given = _arguments()
    # so that the contenders' processes are ended with this one
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    matmul = [machine.matmul_gflops(given.threads)]
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in given.only]
    results = _compare(given, scenarios) if scenarios else Results()
    if EMBEDDED in given.only:
        results.embedded = embedded(CACHE, given.threads, given.repeats, _say)
    matmul += [one.gflops for one in results.samples]
    matmul += [one.gflops for one in (results.embedded.loads if results.embedded else ())]
    matmul.append(machine.matmul_gflops(given.threads))
    given.output.write_text(
        report(results, scenarios, _flops(scenarios), _about(given, matmul)), encoding="utf-8"
    )
    _say(f"written to {given.output}")


def _arguments() -> argparse.Namespace:
    variants = [variant.name for variant in known_variants()]
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure the reference and Loopwright."
    )
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, help="parts to measure (default: all)"
    )
    parser.add_argument(
        "--repeats", type=int, default=3, help="rounds, each measuring everything once (default: 3)"
    )
    parser.add_argument(
        "--variants", nargs="*", choices=variants, default=variants, help="ways to run the server"
    )
    parser.add_argument(
        "--without-reference", action="store_true", help="measure Loopwright alone; no ratios then"
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=machine.cores(),
        help="of each contender (default: one per core)",
    )
    parser.add_argument(
        "--output", type=Path, default=HERE / "RESULTS.md", help="default: bench/RESULTS.md"
    )
    return parser.parse_args()


def _compare(given: argparse.Namespace, scenarios: Sequence[Scenario]) -> Results:
    setting = Setting(cached_folder(), CACHE, given.threads)
    machine.read_once(setting.model)
    contenders: list[Contender] = []
    if not given.without_reference:
        contenders.append(ReferenceContender(setting))
    contenders += [
        OurContender(setting, variant)
        for variant in known_variants()
        if variant.name in given.variants
    ]
    return compare(setting, contenders, scenarios, given.repeats, _say)


def _flops(scenarios: Sequence[Scenario]) -> dict[str, dict[str, int]]:
    config = parse_config(stable_audio_open_small_config())
    shown = [scenario for scenario in SHOWN_BY_STAGE if scenario in scenarios]
    return {
        one.name: by_stage(config, rows=one.rows, steps=STEPS, samples=one.samples) for one in shown
    }


def _about(given: argparse.Namespace, matmul: Sequence[float]) -> About:
    return About(
        machine=machine.describe(),
        date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        command=f"python -m bench {' '.join(sys.argv[1:])}" if sys.argv[1:] else "make bench",
        threads=given.threads,
        rounds=given.repeats,
        reference="not measured" if given.without_reference else versions(),
        matmul=matmul,
    )


def _say(sentence: str) -> None:
    print(time.strftime("%H:%M:%S"), sentence, flush=True)


if __name__ == "__main__":
    main()
