"""What the page says of given results."""

from __future__ import annotations

import pytest
from bench.figures import figure
from bench.machine import Machine
from bench.report import About, cell, report, table
from bench.results import REFERENCE, Agreement, Embedded, Load, Pair, Results, Sample, Start
from bench.scenarios import TEXT_LOOP, WHOLE_WINDOW

MACHINE = Machine("A Processor", 2, 24 << 30, "A System", "3.11.7", (("torch", "2.13.0"),))
ABOUT = About(
    MACHINE, "2026-01-02", "make bench", 2, 2, "stable-audio-tools 0.0.19", (300.0, 310.0, 320.0)
)
FLOPS = {TEXT_LOOP.name: {"conditioning": 10**10, "denoising": 3 * 10**12, "decoding": 10**12}}


def sample(contender: str, number: int, seconds: float) -> Sample:
    stages = {"denoising": seconds / 2, "decoding": seconds / 4}
    return Sample(contender, TEXT_LOOP.name, number, seconds, stages, 5_000_000_000, 300.0)


def results() -> Results:
    return Results(
        contenders=[REFERENCE, "ours"],
        samples=[
            sample(REFERENCE, 1, 20),
            sample("ours", 1, 10),
            sample(REFERENCE, 2, 60),
            sample("ours", 2, 20),
        ],
        starts=[
            Start("ours", 0, 9.0, first=True),
            Start("ours", 1, 4.0),
            Start(REFERENCE, 1, 12.0),
        ],
        agreements=[Agreement("ours", TEXT_LOOP.name, 61.55)],
    )


def line(page: str, start: str, after: str = "") -> str:
    found = [one for one in page[page.index(after) :].splitlines() if one.startswith(f"| {start}")]
    return found[0]


def test_times_and_the_ratio_of_pairs() -> None:
    page = report(results(), [TEXT_LOOP], {}, ABOUT)
    assert "| 40.00 (20.00–60.00) | 15.00 (10.00–20.00) | 2 | 300 (300–300) |" in line(
        page, "text loop"
    )
    assert line(page, "text loop", "Times as fast as").endswith("| 2.50× (2.00–3.00) |")
    assert line(page, "text loop", "Peak memory").endswith(
        "| 5.00 (5.00–5.00) | 5.00 (5.00–5.00) |"
    )


def test_starts_and_likeness() -> None:
    page = report(results(), [TEXT_LOOP], {}, ABOUT)
    assert line(page, "the first ever") == "| the first ever, with conversion | – | 9.0 |"
    assert line(page, "later ones") == "| later ones | 12.0 | 4.0 |"
    assert line(page, "text loop", "Is the audio the same").endswith("| 61.5 |")


def test_stages_against_the_matrix_product_of_their_own_round() -> None:
    page = report(results(), [TEXT_LOOP, WHOLE_WINDOW], FLOPS, ABOUT)
    # 3 TFLOP in 5 s and 10 s: 0.6 and 0.3 TFLOP/s of 0.3; the median time is 7.5 s
    assert line(page, "denoising").split(" | ")[1:] == [
        "3",
        "20.00 s, 0.15, 67%",
        "7.50 s, 0.40, 150% |",
    ]
    assert line(page, "conditioning").split(" | ")[2:] == ["–", "– |"]
    assert page.count("Where the time goes") == 1


def test_without_the_reference_nothing_is_claimed() -> None:
    alone = Results(contenders=["ours"], samples=[sample("ours", 1, 10)])
    page = report(alone, [TEXT_LOOP], {}, ABOUT)
    assert "Times as fast as" not in page
    assert "Is the audio the same" not in page


def test_the_machine_and_the_command_are_named() -> None:
    page = report(Results(), [], {}, ABOUT)
    assert "- processor: A Processor, 2 cores used" in page
    assert "- memory: 24 GiB" in page
    assert "310 (300–320) GFLOP/s, 3 times" in page
    assert "make bench\n" in page


def test_the_embedded_model() -> None:
    loads = (
        Load(4, 1, 10.0, (1.0, 2.0, 3.0), (0.5,), 300.0),
        Load(1, 1, 10.0, (1.0,) * 5, (0.5,), 300.0),
    )
    pairs = tuple(
        Pair(0.5 + n / 100, 0.45, 0.49, {"decoding": 0.4, "post": 0.03}) for n in range(3)
    )
    page = report(Results(embedded=Embedded(6.0, loads, pairs)), [], {}, ABOUT)
    assert line(page, "1 |").startswith("| 1 | 30 | 3.0× | 1.000")
    assert line(page, "4 |").startswith("| 4 | 18 | 1.8× | 2.000 (1.000–3.000)")
    assert line(page, "**the service: the difference").endswith("| 60.0 (50.0–70.0) |")
    assert line(page, "**the service: the rest").endswith("| 110.0 (100.0–120.0) |")
    assert line(page, "of which `post`").endswith("| 30.0 (30.0–30.0) |")


def test_cells_and_tables() -> None:
    assert cell(None) == "–"
    assert cell(figure([1.234]), 1, "×") == "1.2×"
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"


def test_a_load_counts_loops_by_the_minute() -> None:
    assert Load(2, 1, 30.0, (1.0,) * 7, (), 1.0).per_minute == pytest.approx(14)
