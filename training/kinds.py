"""Which kind a loop is, to a classifier that knows the synthesiser's loops only. Descriptions are kept in `state/`."""

from __future__ import annotations

import librosa
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier

from training.loops import draw_loop
from training.measures import Audio, Numbers, mel_level, onsets, tonal_peaks
from training.references import DATA_FRAMES, whole
from training.stage import STATE, progress, scaled

KINDS = ("drums", "bass", "chords", "mix")
SEED = 9_300_000
LOOPS = max(4, scaled(90))
"""Of every kind. Every fourth is held out to see how often the classifier is right on data."""
TREES = 400
TONAL_BANDS = ((45, 130), (130, 400), (400, 1500), (1500, 8000))
"""Hz. How much of a sound are peaks, over time: drums' are there for some of it, chords' for all."""


def description(audio: Audio) -> Numbers:
    """What the classifier hears: levels in bands, flatness, tonality, onsets and their sharpness."""
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
    return np.concatenate(
        [bands, spread, few, *(np.log(how(tonal, 0) / loud + 1e-3) for how in (np.mean, np.median))]
    )


class Kinds:
    """Randomised trees (Geurts et al. 2006) on descriptions. right_on_data: of loops held out from those it learnt."""

    def __init__(self) -> None:
        described, known = _data()
        held_out = np.arange(len(known)) % 4 == 0
        some = _taught(described[~held_out], known[~held_out])
        self.right_on_data = float(np.mean(some.predict(described[held_out]) == known[held_out]))
        self.classifier = _taught(described, known)

    def said(self, audio: list[Audio]) -> list[str]:
        """The kind of each."""
        return [
            str(one)
            for one in self.classifier.predict(np.stack([description(one) for one in audio]))
        ]


def _taught(described: Numbers, known: NDArray[np.str_]) -> ExtraTreesClassifier:
    return ExtraTreesClassifier(TREES, random_state=0).fit(described, known)


def _data() -> tuple[Numbers, NDArray[np.str_]]:
    """Descriptions of LOOPS loops of every kind, and their kinds."""
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
