"""Stage `evaluate`: measures the takes of models and the data, and prints tables as Markdown.

`python -m training.evaluate v0 new` reads what `training.takes` wrote under those names.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import librosa
import numpy as np

from loopwright.audio.types import Audio
from tools import listen
from training import measures as heard
from training.kinds import KINDS, Kinds
from training.measures import Numbers
from training.stage import STATE

Facts = Mapping[str, Any]
Row = dict[str, float]


@dataclass(frozen=True)
class Sounds:
    """Pieces of audio with the facts known about each."""

    audio: list[Audio]
    facts: list[Facts]

    def where(self, **wanted: object) -> Sounds:
        """Return the pieces whose facts have these values."""
        chosen = [
            number
            for number, facts in enumerate(self.facts)
            if all(facts[name] == value for name, value in wanted.items())
        ]
        return Sounds([self.audio[at] for at in chosen], [self.facts[at] for at in chosen])


def read(name: str, part: str = "audio") -> Sounds:
    """Read the references or the data, or a part of them."""
    with np.load(STATE / f"{name}.npz") as held:
        return Sounds(list(held[part]), json.loads(str(held["facts"])))


def read_takes(name: str) -> tuple[Sounds, list[Audio]]:
    """Read a model's takes, and the references as it reproduced them."""
    with np.load(STATE / f"takes_{name}.npz") as held:
        facts = json.loads((STATE / f"takes_{name}.json").read_text())
        for take in facts:
            take["bpm"] = float(take["prompt"].rsplit(" ", 1)[-1].removesuffix("bpm"))
        audio = [held[f"take{number}"].astype(np.float32) for number in range(len(facts))]
        return Sounds(audio, facts), list(held["again"].astype(np.float32))


def mean(values: list[float]) -> float:
    """Average the values, except for those that could not be measured (nan)."""
    return float(np.nanmean(values)) if values else float("nan")


def codec_row(references: Sounds, tones: Sounds, again: list[Audio], kind: str) -> Row:
    """Measure how well a kind's held-out loops are reproduced."""
    chosen = [number for number, facts in enumerate(references.facts) if facts["kind"] == kind]
    pairs = [(references.audio[one], again[one]) for one in chosen]
    peaks = [heard.peaks_found(one, other) for one, other in pairs]
    of_tones = [
        heard.peaks_found(tones.audio[one], again[one])[0]
        for one in chosen
        if tones.audio[one].any()
    ]
    times = [(heard.onsets(one)[0], heard.onsets(other)[0]) for one, other in pairs]
    all_times = [(heard.all_onsets(one), heard.all_onsets(other)) for one, other in pairs]
    return {
        "peaks' recall": mean([recall for recall, _ in peaks]),
        "precision": mean([precision for _, precision in peaks]),
        "recall of the tones' own peaks": mean(of_tones),
        "mel distance, dB": mean([heard.mel_distance(one, other) for one, other in pairs]),
        "strong onsets' recall": mean(
            [heard.share_kept(one, other, 0.025) for one, other in times]
        ),
        "onsets' recall": mean([heard.share_kept(one, other, 0.025) for one, other in all_times]),
        "onsets' precision": mean(
            [heard.share_kept(other, one, 0.025) for one, other in all_times]
        ),
    }


def rhythm_row(sounds: Sounds) -> Row:
    """Measure drums on the grid, and their tempo."""
    found = [heard.onsets(audio) for audio in sounds.audio]
    bpm = [float(facts["bpm"]) for facts in sounds.facts]
    seconds = sounds.audio[0].shape[1] / 44100
    return {
        "within 25 ms": mean(
            [
                heard.share_on_grid(times, one, 0.025)
                for (times, _), one in zip(found, bpm, strict=True)
            ]
        ),
        "within 12.5 ms": mean(
            [
                heard.share_on_grid(times, one, 0.0125)
                for (times, _), one in zip(found, bpm, strict=True)
            ]
        ),
        "tempo correct": mean(
            [
                float(heard.same_tempo(heard.tempo(envelope), one))
                for (_, envelope), one in zip(found, bpm, strict=True)
            ]
        ),
        "onsets per second": mean([len(times) / seconds for times, _ in found]),
        "correlation a bar later": mean(
            [_repeats(envelope, one) for (_, envelope), one in zip(found, bpm, strict=True)]
        ),
        "flatness": mean(
            [
                float(librosa.feature.spectral_flatness(y=audio.mean(0)).mean())
                for audio in sounds.audio
            ]
        ),
    }


def _repeats(envelope: Numbers, bpm: float) -> float:
    """Correlate the onset envelope with itself a bar later."""
    lag, centred = round(240 / bpm * 44100 / heard.ONSET_HOP), envelope - envelope.mean()
    now, later = centred[:-lag], centred[lag:]
    return float((now * later).sum() / np.sqrt((now**2).sum() * (later**2).sum() + 1e-9))


def key_row(sounds: Sounds) -> Row:
    """Measure energy in the requested key and in a key a tritone away, and the tonal share."""
    asked = [
        (audio, int(facts["root"]), bool(facts["minor"]))
        for audio, facts in zip(sounds.audio, sounds.facts, strict=True)
    ]
    return {
        "in key": mean(
            [listen.in_key(audio, 44100, root, minor=minor) for audio, root, minor in asked]
        ),
        "in the key a tritone away": mean(
            [listen.in_key(audio, 44100, root + 6, minor=minor) for audio, root, minor in asked]
        ),
        "tonal share": mean(
            [
                listen.tonal_energy(audio, 44100) / (_loudness(audio) + 1e-6)
                for audio in sounds.audio
            ]
        ),
    }


def _loudness(audio: Audio) -> float:
    return float(np.sqrt(np.mean(audio**2)))


def kinds_rows(kinds: Kinds, takes: Sounds) -> dict[str, Row]:
    """Classify the takes of each kind, as shares of every kind."""
    rows = {}
    for kind in KINDS:
        found = kinds.classify(takes.where(kind=kind).audio)
        rows[kind] = {f"as {other}": found.count(other) / len(found) for other in KINDS}
    return rows


def types_row(takes: Sounds) -> dict[str, Row]:
    """Measure percussive and tonal energy for each loop type."""
    rows = {}
    for kind in ("auto", "drums", "instruments"):
        own = takes.where(group="types", loop_type=kind)
        rows[kind] = {
            "percussive": 1000
            * mean([listen.percussive_energy(audio, 44100) for audio in own.audio]),
            "tonal": 1000 * mean([listen.tonal_energy(audio, 44100) for audio in own.audio]),
        }
    return rows


def styles_row(takes: Sounds, references: Sounds, strength: float) -> Row:
    """Measure what a style transfer of a drum loop keeps of its source."""
    own = takes.where(group="styles", strength=strength)
    pairs = [
        (references.audio[facts["source"]], audio)
        for audio, facts in zip(own.audio, own.facts, strict=True)
    ]
    times = [(heard.onsets(one)[0], heard.onsets(other)[0]) for one, other in pairs]
    return {
        "onsets kept": mean([heard.share_kept(one, other, 0.025) for one, other in times]),
        "similarity": mean([similarity(one, other) for one, other in pairs]),
    }


def similarity(source: Audio, made: Audio) -> float:
    """Compare as much as both have, by ``listen.likeness``."""
    length = min(source.shape[1], made.shape[1])
    return listen.likeness(source[:, :length], made[:, :length], 44100)


TARGETS: Mapping[str, Callable[[Audio], float]] = {
    "drums": lambda audio: listen.percussive_energy(audio, 44100),
    "bass": lambda audio: listen.band_energy(audio, 44100, 30, 200),
    "kick": lambda audio: listen.band_energy(audio, 44100, 30, 110),
    "hi-hats": lambda audio: listen.band_energy(audio, 44100, 6000, 16000),
}


def left_of(takes: Sounds, without: str) -> float:
    """Measure the level of what the negative prompt names, as a share of that without one."""
    pairs: dict[tuple[str, int], dict[bool, float]] = {}
    own = takes.where(group="negatives", without=without)
    for audio, facts in zip(own.audio, own.facts, strict=True):
        pair = pairs.setdefault((facts["prompt"], facts["seed"]), {})
        pair[facts["negative"] is not None] = TARGETS[without](audio)
    return mean([pair[True] / (pair[False] + 1e-9) for pair in pairs.values()])


def guided_row(takes: Sounds, references: Sounds) -> Row:
    """Compare the guided bar and the rest with the source, and loops made without a source."""
    row = {}
    for name, has_guide in (("guided", True), ("no source", False)):
        own = takes.where(group="guided", has_guide=has_guide)
        sources = [references.audio[int(facts["name"].split()[0])] for facts in own.facts]
        bars = [round(240 / float(facts["bpm"]) * 44100) for facts in own.facts]
        row[f"first bar, {name}"] = mean(
            [
                similarity(source[:, :bar], audio[:, :bar])
                for source, audio, bar in zip(sources, own.audio, bars, strict=True)
            ]
        )
        row[f"the rest, {name}"] = mean(
            [
                similarity(source[:, bar:], audio[:, bar:])
                for source, audio, bar in zip(sources, own.audio, bars, strict=True)
            ]
        )
    return row


def variety_row(takes: Sounds) -> Row:
    """Compare loops of one drum prompt with different seeds, and loops of different prompts."""
    drums = takes.where(group="prompted", kind="drums")
    same, different = [], []
    for number, facts in enumerate(drums.facts):
        for other in range(number + 1, len(drums.facts)):
            if (
                facts["bpm"] == drums.facts[other]["bpm"]
                and facts["prompt"] == drums.facts[other]["prompt"]
            ):
                same.append(similarity(drums.audio[number], drums.audio[other]))
            elif other % 7 == 0:
                different.append(similarity(drums.audio[number], drums.audio[other]))
    return {"between seeds": mean(same), "between prompts": mean(different)}


def table(title: str, rows: Mapping[str, Row]) -> None:
    """Print a table as Markdown."""
    names = list(next(iter(rows.values())))
    print(f"\n**{title}**\n\n| | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for name, row in rows.items():
        cells = [f"{row[key]:.3f}" if abs(row[key]) < 1 else f"{row[key]:.2f}" for key in names]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print every table."""
    names, references, data = sys.argv[1:], read("references"), read("data")
    models = {name: read_takes(name) for name in names}
    again = {"replayed": read("references", "replayed").audio} | {
        name: own for name, (_, own) in models.items()
    }
    tones = read("references", "tones")
    table(
        "Reconstruction of held-out loops",
        {
            f"{kind}, {name}": codec_row(references, tones, own, kind)
            for kind in KINDS
            for name, own in again.items()
        },
    )
    prompted = {name: takes.where(group="prompted") for name, (takes, _) in models.items()}
    of = {
        kind: {name: takes.where(kind=kind) for name, takes in prompted.items()} for kind in KINDS
    }
    straight = data.where(kind="drums", swing=0)
    table(
        "Drums' rhythm",
        {"data": rhythm_row(straight)} | {name: rhythm_row(of["drums"][name]) for name in names},
    )
    for kind in ("bass", "chords", "mix"):
        rows = {"data": data.where(kind=kind)} | of[kind]
        table(f"{kind} in key", {name: key_row(sounds) for name, sounds in rows.items()})
    kinds = Kinds()
    for name, takes in prompted.items():
        accuracy = f"{kinds.accuracy_on_data:.3f}"
        title = f"Kind as requested, {name} (accuracy on data: {accuracy})"
        table(title, kinds_rows(kinds, takes))
    of_models({name: takes for name, (takes, _) in models.items()}, references)


def of_models(models: Mapping[str, Sounds], references: Sounds) -> None:
    """Print the tables that compare the models' takes."""
    for name, takes in models.items():
        table(f"Loop types, {name}", types_row(takes))
    table(
        "Level of what the negative prompt names",
        {
            name: {without: left_of(takes, without) for without in TARGETS}
            for name, takes in models.items()
        },
    )
    for strength in (0.3, 0.6, 1.0):
        rows = {name: styles_row(takes, references, strength) for name, takes in models.items()}
        table(f"Style transfer at {strength}", rows)
    table(
        "Guided loops: similarity to the source",
        {name: guided_row(takes, references) for name, takes in models.items()},
    )
    table(
        "Variety (similarity, 1 is the same)",
        {name: variety_row(takes) for name, takes in models.items()},
    )


if __name__ == "__main__":
    main()
