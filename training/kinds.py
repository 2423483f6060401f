"""A classifier of kinds of loops, trained on synthesised loops; features are kept in `state/`."""

from __future__ import annotations

import librosa
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier

from loopwright.audio.types import Audio
from training.loops import draw_loop
from training.measures import Numbers, mel_level, onsets, tonal_peaks
from training.references import DATA_FRAMES, whole
from training.stage import STATE, progress, scaled

KINDS = ("drums", "bass", "chords", "mix")
SEED = 9_300_000
LOOPS = max(4, scaled(90))
"""Loops of each kind. Every fourth is held out to measure the accuracy on data."""
TREES = 400
TONAL_BANDS = ((45, 130), (130, 400), (400, 1500), (1500, 8000))
"""Hz. Peaks of drums are there for part of the time, those of chords for all of it."""


def description(audio: Audio) -> Numbers:
    """Compute features: levels in bands, flatness, tonality, onsets and their sharpness."""
    level = mel_level(audio)
    bands = level.mean(1).reshape(12, 8).mean(1)
    spread = level.std(1).reshape(12, 8).mean(1)
    flat = librosa.feature.spectral_flatness(y=audio.mean(0), n_fft=2048, hop_length=1024)[0]
    times, envelope = onsets(audio)
    peaks = tonal_peaks(audio)
    lowest = np.mean([hz.min(initial=2000) for hz, _ in peaks])
    loud = float(np.sqrt(np.mean(audio**2)) + 1e-9)
    tonal = [
        [amplitude[(hz >= low) & (hz < high)].sum() for low, high in TONAL_BANDS]
        for hz, amplitude in peaks
    ]
    flatness = np.log(flat + 1e-6)
    few = [
        flatness.mean(),
        flatness.std(),
        len(times),
        envelope.std(),
        np.log(lowest),
        np.mean([len(hz) for hz, _ in peaks]),
    ]
    shares = [np.log(average(tonal, 0) / loud + 1e-3) for average in (np.mean, np.median)]
    return np.concatenate([bands, spread, few, *shares])


class Kinds:
    """Extremely randomised trees (Geurts et al. 2006) on features of loops.

    Attributes:
        accuracy_on_data: Share of held-out synthesised loops that are classified correctly.
    """

    def __init__(self) -> None:
        described, known = _data()
        held_out = np.arange(len(known)) % 4 == 0
        part = _fit(described[~held_out], known[~held_out])
        self.accuracy_on_data = float(np.mean(part.predict(described[held_out]) == known[held_out]))
        self.classifier = _fit(described, known)

    def classify(self, audio: list[Audio]) -> list[str]:
        """Return the kind of each loop."""
        features = np.stack([description(loop) for loop in audio])
        return [str(kind) for kind in self.classifier.predict(features)]


def _fit(described: Numbers, known: NDArray[np.str_]) -> ExtraTreesClassifier:
    return ExtraTreesClassifier(TREES, random_state=0).fit(described, known)


def _data() -> tuple[Numbers, NDArray[np.str_]]:
    """Return features of LOOPS loops of each kind, and their kinds."""
    path = STATE / "described.npz"
    if not path.exists():
        loops = [
            draw_loop(SEED + 1000 * at + one, kind)
            for at, kind in enumerate(KINDS)
            for one in range(LOOPS)
        ]
        described = np.stack(
            [description(whole(loops[one], DATA_FRAMES)) for one in progress(len(loops))]
        )
        np.savez(path, described=described, known=np.repeat(np.array(KINDS), LOOPS))
    with np.load(path) as held:
        return held["described"], held["known"]
