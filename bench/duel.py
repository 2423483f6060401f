"""The reference and us in turn, process by process: in every round each side is started, asked everything once, ended.

So no two sides ever run at once, a cold start comes with every round, and a machine that slows down slows all sides.
Knows: how a round goes. Does not know: how sides work, how results are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bench.figures import snr_db
from bench.machine import forget_peak, matmul_gflops, peak_memory
from bench.results import Agreement, Results, Sample, Start
from bench.scenarios import Scenario, write_source
from bench.sides import Live, LiveServer, OurSide, Setting, Side

Say = Callable[[str], None]


def fight(
    setting: Setting, sides: Sequence[Side], scenarios: Sequence[Scenario], rounds: int, say: Say
) -> Results:
    """Time all sides at all scenarios. The reference must come first: others are compared with its audio."""
    write_source(setting.source)
    for scenario in scenarios:
        setting.reference_audio(scenario).unlink(missing_ok=True)
    results = Results(sides=[side.name for side in sides])
    for side in sides:
        if isinstance(side, OurSide):
            _first_start(side, results, say)
    for number in range(1, rounds + 1):
        for side in sides:
            _turn(setting, side, scenarios, number, results, say)
    return results


def _first_start(side: OurSide, results: Results, say: Say) -> None:
    side.forget()
    with side.live() as live:
        results.starts.append(Start(side.name, 0, live.seconds_to_ready, first=True))
        say(f"{side.name}: first start ever {live.seconds_to_ready:.1f} s")


def _turn(
    setting: Setting,
    side: Side,
    scenarios: Sequence[Scenario],
    number: int,
    results: Results,
    say: Say,
) -> None:
    """One side's turn in a round."""
    with side.live() as live:
        results.starts.append(Start(side.name, number, live.seconds_to_ready))
        say(f"round {number}, {side.name}: ready after {live.seconds_to_ready:.1f} s")
        for scenario in scenarios:
            if number == 1 and isinstance(live, LiveServer):
                results.agreements.extend(_agreement(setting, side, live, scenario))
            sample = _sample(live, side.name, scenario, number, setting.threads)
            results.samples.append(sample)
            say(
                f"round {number}, {side.name}: {scenario.name} {sample.seconds:.2f} s ({sample.gflops:.0f} GFLOP/s)"
            )


def _sample(live: Live, side: str, scenario: Scenario, number: int, threads: int) -> Sample:
    live.warm_up(scenario)
    gflops = matmul_gflops(threads)
    forget_peak(live.pid)
    seconds, stages = live.measure(scenario)
    return Sample(side, scenario.name, number, seconds, stages, peak_memory(live.pid), gflops)


def _agreement(
    setting: Setting, side: Side, live: LiveServer, scenario: Scenario
) -> list[Agreement]:
    """How alike this side's audio is to the reference's; nothing where that was not made."""
    path = setting.reference_audio(scenario)
    if not path.exists():
        return []
    return [Agreement(side.name, scenario.name, snr_db(np.load(path), live.as_made(scenario)))]
