"""What int8 costs, as a page of Markdown.

Knows: which figures are shown, and what they mean. Does not know: how they came about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bench.figures import figure
from bench.machine import Machine
from bench.report import cell, table

Part = Mapping[str, Any]
Row = Mapping[str, Any]
Show = Callable[[list[Row]], str]

PERCENT, MILLISECONDS = 100.0, 1000.0


def page(parts: Mapping[str, Part | None], machine: Machine) -> str:
    """Return the whole page, with the parts that were measured."""
    shown: dict[str, Show] = {
        "runs": _runs,
        "decoder": _decoder,
        "tiles": _tiles,
        "pocket": _pocket,
    }
    sections = [_head(machine)]
    for name, show in shown.items():
        part = parts.get(name)
        if part is not None:
            about = part["about"]
            stopped = "" if part.get("finished") else ", stopped before it was through"
            measured = f"Measured {about['date']} by `{about['command']}`{stopped}."
            sections.append(f"{show(part['found'])}\n\n{measured}")
    return "\n\n".join(sections) + "\n"


def _head(machine: Machine) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages)
    return f"""# What int8 costs in sound

Written by `python -m bench.precision`. Numbers are medians (minimum–maximum); n is the number of
runs.

- processor: {machine.processor}, {machine.cores} cores used
- system: {machine.system}, Python {machine.python}, {packages}

The weights of the full-size model are random. So its numbers show what the arithmetic loses, not
what can be heard: trained weights have some channels that are far larger than others and harder
to round, and their audio is music. The last section shows what trained weights lose, on a
smaller model."""


def _runs(found: list[Row]) -> str:
    columns = (("first", PERCENT, "%"), ("last", PERCENT, "%"), ("snr", 1.0, ""), ("mel", 1.0, ""))
    head = (
        "",
        "n",
        "latents after 1 step",
        "after 8 steps",
        "SNR of the audio, dB",
        "mel distance, dB",
    )
    return f"""## The full-size model

Each run is compared with the same run in float32: same prompt, same noise, 8 steps of pingpong,
cfg_scale 1 if nothing else is said, both by OpenVINO, with the same decoder in torch. Latents: the
relative error (of the vector's length) of the estimate of the clean latents after a step. Mel
distance: the root mean square difference of two spectrograms in dB, over 64 bands and the first 2 s
of a loop. The row of another seed shows how far apart two takes are.

{table(head, _rows(found, columns))}"""


def _decoder(found: list[Row]) -> str:
    snr, mel = (cell(figure(one[name] for one in found), 1) for name in ("snr", "mel"))
    return f"""## A trial: the decoder's fine part in int8

Quantised after training by NNCF, weights and activations, calibrated on other latents than
these. Compared with float32, decoded from the same latents: SNR {snr} dB, mel distance {mel} dB,
n = {len(found)}."""


def _tiles(found: list[Row]) -> str:
    names = list(found[0]["seconds"])
    rows = [
        (
            str(tile["frames"]),
            *(f"{tile['seconds'][name] * MILLISECONDS / tile['frames']:.1f}" for name in names),
        )
        for tile in found
    ]
    return f"""### How long it takes

Milliseconds per latent frame (46 ms of audio), by the number of frames in a tile; each tile is
computed with its margin. Other programs on the machine delay most what splits a tile over all
cores, so compare int8 with float32 in OpenVINO first.

{table(("frames in a tile", *names), rows)}"""


def _pocket(found: list[Row]) -> str:
    columns = (
        ("latents", PERCENT, "%"),
        ("snr", 1.0, ""),
        ("mel", 1.0, ""),
        ("kept", PERCENT, "%"),
        ("grid", PERCENT, "%"),
    )
    head = (
        "",
        "n",
        "latents",
        "SNR, dB",
        "mel distance, dB",
        "onsets found again",
        "onsets on sixteenths",
    )
    others = [row for row in found if row["name"] != "f32"]
    exact = [row["grid"] * PERCENT for row in found if row["name"] == "f32"]
    return f"""## Trained weights

Loops of the embedded model, 12 steps, cfg_scale 2, the matrix products of its denoiser rounded as
in int8: weights with one scale per row, activations with one per token and 128 channels. They are
compared with the same loops in float32, whose share of onsets on sixteenths is
{cell(figure(exact), 0)} %:

{table(head, _rows(others, columns))}"""


def _rows(found: list[Row], columns: Iterable[tuple[str, float, str]]) -> list[tuple[str, ...]]:
    """Return a line for each name.

    Args:
        found: Measurements, each with its name.
        columns: Of each: the measurement, a factor, the unit.
    """
    lines = list[tuple[str, ...]]()
    columns = tuple(columns)
    for name in dict.fromkeys(row["name"] for row in found):
        own = [row for row in found if row["name"] == name]
        cells = (
            cell(figure(row[key] * factor for row in own), _digits(key), unit)
            for key, factor, unit in columns
        )
        lines.append((name, str(len(own)), *cells))
    return lines


def _digits(key: str) -> int:
    return {"first": 2, "last": 2, "latents": 1, "snr": 1, "mel": 2}.get(key, 0)
