"""``python -m bench.fairness``: clients at the same time; writes ``FAIRNESS.md``. See ``--help``.

Knows: the real server with ``pocket``, asked over HTTP by several clients at once. Does not know:
the policy it is served by, so any commit's server can be measured.
"""

from __future__ import annotations

import argparse
import datetime
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench import machine
from bench.checkpoint import CACHE
from bench.figures import figure
from bench.report import cell, table
from bench.scenarios import PROMPT
from bench.server import REPLY_SECONDS, serving
from loopwright.model.pocket.family import POCKET

HERE = Path(__file__).parent
ENDPOINT = "/generate/loop"
SHORT = {"prompt": PROMPT, "bars": 4, "steps": 8, "cfg_scale": 1.0}
LONG = {"prompt": PROMPT, "bars": 4, "steps": 200, "cfg_scale": 1.0, "n": 8}
EQUAL = {"prompt": PROMPT, "bars": 4, "steps": 12, "cfg_scale": 2.0}
CLIENTS = 10
ALONE, BESIDE = 5, 10
"""Short requests in a round: by themselves, and one after the other beside the long one."""

HEAD_START = 2.0
"""Seconds the long request runs before the short ones come."""

APART = 0.02
"""Seconds between the arrivals of equal requests, so that there is an order."""


@dataclass(frozen=True)
class Round:
    """Seconds by the clients' clocks.

    alone, beside: of short requests, by themselves and beside the long one. long: of that.
    equal_alone: of one of the equal requests by itself; ends: of all, from the first's arrival on,
    in the order in which they came.
    """

    alone: Sequence[float]
    beside: Sequence[float]
    long: float
    equal_alone: float
    ends: Sequence[float]


def main() -> None:
    """Measure, and write the page."""
    given = _arguments()
    with (
        serving(POCKET.name, (), given.threads, CACHE / "fairness") as server,
        # one for all, since making one takes longer than lies between arrivals
        httpx.Client(base_url=server.url, timeout=REPLY_SECONDS) as connection,
    ):
        rounds = [_round(connection, number) for number in range(given.repeats)]
    given.output.write_text(page(rounds, given.threads), encoding="utf-8")
    print(given.output.read_text(encoding="utf-8"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.fairness", description="Measure how clients share the server."
    )
    parser.add_argument("--repeats", type=int, default=3, help="rounds (default: 3)")
    parser.add_argument(
        "--threads", type=int, default=machine.cores(), help="default: one per core"
    )
    parser.add_argument(
        "--output", type=Path, default=HERE / "FAIRNESS.md", help="default: bench/FAIRNESS.md"
    )
    return parser.parse_args()


def _round(connection: httpx.Client, number: int) -> Round:
    def ask(client: str, fields: dict[str, object], seed: int) -> float:
        """Ask as one client; return the seconds until the last byte."""
        began = time.perf_counter()
        asked = {**fields, "seed": seed}
        connection.post(ENDPOINT, json=asked, headers={"X-Client-Id": client}).raise_for_status()
        return time.perf_counter() - began

    ask("warm-up", SHORT, number)
    alone = [ask("short", SHORT, seed) for seed in range(ALONE)]
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(ask, "long", LONG, number)
        time.sleep(HEAD_START)
        beside = [ask("short", SHORT, seed) for seed in range(BESIDE) if not long.done()]
        long_seconds = long.result()
    equal_alone = statistics.median(ask("equal", EQUAL, seed) for seed in range(ALONE))
    return Round(alone, beside, long_seconds, equal_alone, _equal(ask))


def _equal(ask: Callable[[str, dict[str, object], int], float]) -> list[float]:
    """Send one request per client; return when each ended, in the order of arrival.

    Returns:
        Seconds since the first request.
    """
    came, answered = list[float](), list[Future[float]]()
    with ThreadPoolExecutor(CLIENTS) as pool:
        for which in range(CLIENTS):
            came.append(time.perf_counter())
            answered.append(pool.submit(ask, f"client-{which}", EQUAL, which))
            time.sleep(APART)
    return [at - came[0] + one.result() for at, one in zip(came, answered, strict=True)]


def page(rounds: Sequence[Round], threads: int) -> str:
    """Return the whole page."""
    about = machine.describe()
    today = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    beside = [one / statistics.median(each.alone) for each in rounds for one in each.beside]
    rows = [
        ["8 steps, alone", cell(figure(one for each in rounds for one in each.alone)), ""],
        [
            "8 steps, beside the long one",
            cell(figure(one for each in rounds for one in each.beside)),
            cell(figure(beside), 2, "×"),
        ],
        ["the long one", cell(figure(each.long for each in rounds), 1), ""],
    ]
    ends = [
        [
            str(place + 1),
            cell(figure(each.ends[place] for each in rounds)),
            cell(figure(CLIENTS * each.ends[place] / max(each.ends) for each in rounds), 1),
        ]
        for place in range(CLIENTS)
    ]
    alone = cell(figure(each.equal_alone for each in rounds))
    in_order = sum(list(each.ends) == sorted(each.ends) for each in rounds)
    means = figure(CLIENTS * statistics.mean(each.ends) / max(each.ends) for each in rounds)
    return f"""# How clients share the server

Written by `python -m bench.fairness` on {today}: `pocket`, over HTTP, {threads} threads on
{about.processor}, {about.cores} cores used; rounds measured: {len(rounds)}, medians
(minimum–maximum), seconds by the clients' clocks, from the request to the last byte.

## A short request beside a long one

One client asks for `n=8` loops of 200 steps. {HEAD_START:.0f} s later another asks for {BESIDE}
loops of 8 steps, one after the other (fewer if the long one ends before).

{table(("", "seconds", "compared with alone"), rows)}

## {CLIENTS} clients with one request each

Loops of {EQUAL["steps"]} steps with cfg_scale 2, requested {1000 * APART:.0f} ms apart; one alone
takes {alone} s. They ended in the order in which they came in {in_order} of {len(rounds)} rounds.
The last column counts time in tenths of the last end, which a busy machine does not change; their
mean is {cell(means, 1)}. Served strictly one after another, requests would end at 1, 2, … 10, with
a mean of 5.5; served in equal turns, all would end at about 10.

{table(("order of arrival", "seconds until the end", "in tenths of the last end"), ends)}
"""


if __name__ == "__main__":
    main()
