"""Results to the text of ``RESULTS.md``; nothing is measured here."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.figures import Figure, figure, times_faster
from bench.machine import Machine
from bench.results import REFERENCE, Embedded, Pair, Results
from bench.scenarios import Scenario

NOTHING = "–"
GIGABYTE = 1e9

ENGINE_STAGES = ("conditioning", "denoising", "decoding")
"""Stages in the server's log that an engine without a service has, too."""


@dataclass(frozen=True)
class About:
    """The run itself. matmul: GFLOP/s of its matrix products; threads: of each contender."""

    machine: Machine
    date: str
    command: str
    threads: int
    rounds: int
    reference: str
    matmul: Sequence[float]


def report(
    results: Results,
    scenarios: Sequence[Scenario],
    flops: Mapping[str, Mapping[str, int]],
    about: About,
) -> str:
    """Return the whole page.

    Args:
        results: What was measured.
        scenarios: Those measured.
        flops: By scenario and stage, of the scenarios whose stages are shown.
        about: The run itself.
    """
    parts = [_head(about)]
    if results.samples:
        parts += [
            _times(results, scenarios),
            _ratios(results, scenarios),
            _starts(results),
            _memory(results, scenarios),
        ]
        parts += [
            _agreement(results, scenarios),
            *(_roofline(results, one, flops) for one in scenarios),
        ]
    if results.embedded is not None:
        parts += [_embedded(results.embedded)]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of Markdown: the first column to the left, numbers to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(found: Figure | None, digits: int = 2, unit: str = "") -> str:
    """Return ``median (least–most)``, without the spread where there is one measurement."""
    if found is None:
        return NOTHING
    spread = f" ({found.least:.{digits}f}–{found.most:.{digits}f})" if found.count > 1 else ""
    return f"{found.median:.{digits}f}{unit}{spread}"


def _head(about: About) -> str:
    machine = about.machine
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages)
    facts = [
        ("processor", f"{machine.processor}, {machine.cores} cores used"),
        ("memory", f"{machine.memory / 2**30:.0f} GiB"),
        ("system", machine.system),
        ("Loopwright runs on", f"Python {machine.python}, {packages}"),
        ("the reference", about.reference),
        ("threads", f"{about.threads} for each contender"),
        (
            "plain float32 matrix product (2048 × 2048)",
            f"{cell(figure(about.matmul), 0)} GFLOP/s, {len(about.matmul)} times over the run",
        ),
        ("measured", f"{about.date}, everything {about.rounds} times"),
    ]
    listed = "\n".join(f"- {name}: {value}" for name, value in facts)
    return f"""# Results

Written by the benchmark, in one run of

```sh
{about.command}
```

Numbers are medians (minimum–maximum). On a machine that others use too, times drift from hour to
hour, so compare within this page only. Ratios are taken round by round; the matrix product shows
how fast the machine was at the time.

{listed}"""


def _times(results: Results, scenarios: Sequence[Scenario]) -> str:
    """Return the section of seconds by scenario and contender."""

    def row(scenario: Scenario) -> list[str]:
        gflops = figure(one.gflops for one in results.samples if one.scenario == scenario.name)
        found = [
            results.of(contender, scenario.name, lambda one: one.seconds)
            for contender in results.contenders
        ]
        cells = [cell(figure(seconds.values())) for seconds in found]
        return [scenario.title, *cells, str(max(map(len, found))), cell(gflops, 0)]

    return f"""## Against the reference

All contenders run the same files: a model of the exact size of stable-audio-open-small, text
encoder included, with random weights in float32. In each round, the reference and each variant of
the server are started in turn, warmed up, sent each request once, and stopped; no two of them run
at the same time. The server's seconds are measured by a client over HTTP, from the request to the
last byte, and include everything that the server does to audio (joining the seam, moving to the
grid, normalising, encoding). The reference's are those of its function call, with the audio cut and
scaled to 16 bits as in its documentation.

Seconds:

{table(("", *results.contenders, "n", "matrix product, GFLOP/s"), map(row, scenarios))}"""


def _ratios(results: Results, scenarios: Sequence[Scenario]) -> str:
    """Return the table of how many times as fast each of our contenders is."""
    ours = [contender for contender in results.contenders if contender != REFERENCE]
    if REFERENCE not in results.contenders or not ours:
        return ""

    def seconds(contender: str, scenario: Scenario) -> dict[int, float]:
        return results.of(contender, scenario.name, lambda one: one.seconds)

    rows = [
        [
            one.title,
            *(
                cell(times_faster(seconds(REFERENCE, one), seconds(contender, one)), 2, "×")
                for contender in ours
            ),
        ]
        for one in scenarios
    ]
    return (
        f"Times as fast as the reference, compared within each round:\n\n{table(('', *ours), rows)}"
    )


def _starts(results: Results) -> str:
    """Return the section of cold starts."""

    def row(title: str, *, first: bool) -> list[str]:
        return [
            title,
            *(
                cell(figure(results.started(contender, first=first).values()), 1)
                for contender in results.contenders
            ),
        ]

    rows = [
        row("the first ever, with conversion", first=True),
        row("later ones", first=False),
    ]
    return f"""## Cold start

Seconds from the start of the process until it can serve: the server until `/health/ready` says so,
the reference until its model is loaded. The files had been read before, so they were in the
system's cache.

{table(("", *results.contenders), rows)}"""


def _memory(results: Results, scenarios: Sequence[Scenario]) -> str:
    """Return the section of peak memory by scenario and contender."""

    def row(scenario: Scenario) -> list[str]:
        peaks = [
            results.of(contender, scenario.name, lambda one: one.peak_bytes / GIGABYTE)
            for contender in results.contenders
        ]
        return [scenario.title, *(cell(figure(one.values())) for one in peaks)]

    return f"""## Peak memory

The most memory in use during a request, by the process and its workers together, in GB (including
weights mapped from files).

{table(("", *results.contenders), map(row, scenarios))}"""


def _agreement(results: Results, scenarios: Sequence[Scenario]) -> str:
    """Return the section of how alike the audio is."""
    found = {(one.contender, one.scenario): one.snr_db for one in results.agreements}
    ours = [contender for contender in results.contenders if contender != REFERENCE]
    if not found:
        return ""

    def shown(contender: str, scenario: Scenario) -> str:
        key = contender, scenario.name
        return f"{found[key]:.1f}" if key in found else NOTHING

    rows = [[one.title, *(shown(contender, one) for contender in ours)] for one in scenarios]
    return f"""## Is the audio the same?

How far the difference between the two lies below the reference's audio, in dB: higher is closer.
Same seed, audio as the model made it. The reference rounds its text encoder to half precision and
Loopwright does not, which limits this.

{table(("", *ours), rows)}"""


def _roofline(results: Results, scenario: Scenario, flops: Mapping[str, Mapping[str, int]]) -> str:
    """Return the section of a scenario's stages: what each needs, and what it reaches."""
    if scenario.name not in flops:
        return ""
    rows = [
        [
            stage,
            f"{needed / 1e12:.3g}",
            *(
                _share(results, contender, scenario, stage, needed)
                for contender in results.contenders
            ),
        ]
        for stage, needed in flops[scenario.name].items()
    ]
    return f"""## Where the time goes: {scenario.title}

Seconds of each stage (by each contender's own clock), the TFLOP/s this means, and their share of
those of the plain float32 matrix product measured just before. TFLOP are those that the result
needs: what is computed and discarded counts as time only. int8 can exceed 100 %.

{table(("", "TFLOP", *results.contenders), rows)}"""


def _share(results: Results, contender: str, scenario: Scenario, stage: str, needed: int) -> str:
    seconds, peak = (
        results.stage(contender, scenario.name, stage),
        results.of(contender, scenario.name, lambda one: one.gflops),
    )
    median = figure(seconds.values())
    if median is None:
        return NOTHING
    share = statistics.median(needed / seconds[number] / (1e9 * peak[number]) for number in seconds)
    return f"{median.median:.2f} s, {needed / median.median / 1e12:.2f}, {share:.0%}"


def _embedded(found: Embedded) -> str:
    head = f"""## The embedded model over HTTP

`pocket`: loops of 4 bars at 140 bpm ({found.loop_seconds:.2f} s of sound), 12 steps, cfg_scale 2,
as WAV files. Each client sends its next request as soon as it has its reply."""
    return "\n\n".join((head, _clients(found), _overhead(found)))


def _clients(found: Embedded) -> str:
    rows = []
    for clients in sorted({load.clients for load in found.loads}):
        loads = [load for load in found.loads if load.clients == clients]
        per_minute = figure(load.per_minute for load in loads)
        real_time = figure(load.per_minute * found.loop_seconds / 60 for load in loads)
        latency = figure(seconds for load in loads for seconds in load.seconds)
        first = figure(seconds for load in loads for seconds in load.first_byte)
        product = figure(load.gflops for load in loads)
        rows.append(
            [
                str(clients),
                cell(per_minute, 0),
                cell(real_time, 1, "×"),
                cell(latency, 3),
                cell(first, 3),
                str(latency.count if latency else 0),
                cell(product, 0),
            ]
        )
    head = (
        "clients",
        "loops per minute",
        "times real time",
        "seconds to the last byte",
        "to the first byte",
    )
    return table((*head, "loops", "matrix product, GFLOP/s"), rows)


def _overhead(found: Embedded) -> str:
    """Return the table of what the service costs beyond the bare engine."""

    def milliseconds(of: Callable[[Pair], float]) -> str:
        return cell(figure(1000 * of(pair) for pair in found.pairs), 1)

    besides = (
        [name for name in found.pairs[0].stages if name not in ENGINE_STAGES] if found.pairs else []
    )
    rows = [
        ["over HTTP, to the last byte", milliseconds(lambda pair: pair.http)],
        ["over HTTP, to the first byte", milliseconds(lambda pair: pair.first_byte)],
        ["the engine alone", milliseconds(lambda pair: pair.engine)],
        [
            "**the service: the difference within each pair**",
            milliseconds(lambda pair: pair.http - pair.engine),
        ],
        ["the engine in the server, by its own clock", milliseconds(_in_engine)],
        [
            "**the service: the rest of the request**",
            milliseconds(lambda pair: pair.http - _in_engine(pair)),
        ],
        *([f"of which `{name}`", milliseconds(_seconds_of(name))] for name in besides),
    ]
    return f"""\
What serving costs beyond the engine: the same plan over HTTP (one client, one connection) and by
the engine alone in a process, in turn; {len(found.pairs)} pairs, milliseconds. The service does
more than the engine: it joins the seam, moves to the grid, measures, normalises (`post`) and writes
the file (`encoding`).

{table(("", "milliseconds"), rows)}"""


def _in_engine(pair: Pair) -> float:
    return sum(pair.stages.get(name, 0.0) for name in ENGINE_STAGES)


def _seconds_of(stage: str) -> Callable[[Pair], float]:
    return lambda pair: pair.stages.get(stage, 0.0)
