"""Compare contenders: in every round each is started, sent every request once, and stopped.

So no two contenders ever run at once, every round has a cold start, and a machine that slows down
slows all of them.
Knows: how a round goes. Does not know: how contenders work, how results are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bench.contenders import Contender, OurContender, Running, RunningServer, Setting
from bench.figures import snr_db
from bench.machine import forget_peak, matmul_gflops, peak_memory
from bench.results import Agreement, Results, Sample, Start
from bench.scenarios import Scenario, write_source

Say = Callable[[str], None]


def compare(
    setting: Setting,
    contenders: Sequence[Contender],
    scenarios: Sequence[Scenario],
    rounds: int,
    say: Say,
) -> Results:
    """Time all contenders at all scenarios.

    Args:
        setting: What they run on.
        contenders: The reference first, since the others are compared with its audio.
        scenarios: What they are asked.
        rounds: How often.
        say: Told of every measurement.
    """
    write_source(setting.source)
    for scenario in scenarios:
        setting.reference_audio(scenario).unlink(missing_ok=True)
    results = Results(contenders=[contender.name for contender in contenders])
    for contender in contenders:
        if isinstance(contender, OurContender):
            _start_first(contender, results, say)
    for number in range(1, rounds + 1):
        for contender in contenders:
            _take_turn(setting, contender, scenarios, number, results, say)
    return results


def _start_first(contender: OurContender, results: Results, say: Say) -> None:
    contender.forget()
    with contender.run() as running:
        results.starts.append(Start(contender.name, 0, running.seconds_to_ready, first=True))
        say(f"{contender.name}: first start ever {running.seconds_to_ready:.1f} s")


def _take_turn(
    setting: Setting,
    contender: Contender,
    scenarios: Sequence[Scenario],
    number: int,
    results: Results,
    say: Say,
) -> None:
    """Take a contender's turn in a round."""
    with contender.run() as running:
        turn = f"round {number}, {contender.name}"
        results.starts.append(Start(contender.name, number, running.seconds_to_ready))
        say(f"{turn}: ready after {running.seconds_to_ready:.1f} s")
        for scenario in scenarios:
            if number == 1 and isinstance(running, RunningServer):
                results.agreements.extend(_agreement(setting, contender, running, scenario))
            sample = _sample(running, contender.name, scenario, number, setting.threads)
            results.samples.append(sample)
            say(f"{turn}: {scenario.name} {sample.seconds:.2f} s ({sample.gflops:.0f} GFLOP/s)")


def _sample(
    running: Running, contender: str, scenario: Scenario, number: int, threads: int
) -> Sample:
    running.warm_up(scenario)
    gflops = matmul_gflops(threads)
    forget_peak(running.pid)
    seconds, stages = running.measure(scenario)
    peak = peak_memory(running.pid)
    return Sample(contender, scenario.name, number, seconds, stages, peak, gflops)


def _agreement(
    setting: Setting, contender: Contender, running: RunningServer, scenario: Scenario
) -> list[Agreement]:
    """Compare a contender's audio with the reference's; return nothing where there is none."""
    path = setting.reference_audio(scenario)
    if not path.exists():
        return []
    difference = snr_db(np.load(path), running.as_made(scenario))
    return [Agreement(contender.name, scenario.name, difference)]
