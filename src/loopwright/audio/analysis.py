"""Estimates of a loop's tempo and key, each with a confidence. Meant to run in a worker process.

Knows: onsets, chroma, loops that are a whole number of beats long. Does not know: file names,
riffs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loopwright.audio.types import Audio

LIKELY_BEATS = (4, 8, 16, 32, 64)
"""Lengths that a loop is likely to have, in beats."""

SLOWEST_BPM, FASTEST_BPM = 60.0, 180.0
"""The range of estimates: the first is in it, the second is not."""

USUAL_BPM, USUAL_OCTAVES = 110.0, 0.6
"""The middle and the standard deviation (in octaves) of the tempi that music usually has."""

TEMPO_TOLERANCE = 0.04
"""How far, as a share, a tempo of whole beats may be from the one heard and still confirm it."""

HOP = 256
"""Samples between two values of the onset envelope."""

# How well each semitone above the root fits a key: listeners' ratings (Krumhansl and Kessler 1982).
MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


@dataclass(frozen=True)
class Estimate:
    """The estimated tempo and key of a loop.

    Args:
        bpm: Beats per minute.
        bpm_confidence: From 0 to 1.
        key: The root of the key, in semitones above C.
        key_confidence: From 0 to 1.
    """

    bpm: float
    bpm_confidence: float
    key: int
    key_confidence: float


def estimate(audio: Audio, rate: int) -> Estimate:
    """Estimate the tempo and the key of a loop [channels, samples]."""
    mono = audio.mean(0)
    bpm, bpm_confidence = estimate_tempo(mono, rate)
    key, key_confidence = estimate_key(mono, rate)
    return Estimate(bpm, bpm_confidence, key, key_confidence)


def estimate_tempo(mono: Audio, rate: int) -> tuple[float, float]:
    """Estimate the tempo of a loop [samples].

    Of the tempi at which the loop is a whole number of beats long, the best is the one whose beat
    the onsets repeat at, weighted by how usual it is.

    Returns:
        Beats per minute, and a confidence from 0 to 1.
    """
    import librosa

    envelope = librosa.onset.onset_strength(y=mono, sr=rate, hop_length=HOP)
    heard = float(librosa.feature.tempo(onset_envelope=envelope, sr=rate, hop_length=HOP)[0])
    seconds = len(mono) / rate
    tempi = [60 * beats / seconds for beats in LIKELY_BEATS]
    candidates = [bpm for bpm in tempi if SLOWEST_BPM <= bpm < FASTEST_BPM]
    if not candidates:
        return round(likely_octave(heard), 1), 0.2
    lags = [60 / bpm * rate / HOP for bpm in candidates]
    scores = [_autocorrelation(envelope, lag) for lag in lags]
    # halves and doubles of a tempo repeat alike, and the usual one of them is meant
    octaves = np.log2(np.array(candidates) / USUAL_BPM) / USUAL_OCTAVES
    best = int(np.argmax(scores * np.exp(-0.5 * octaves**2)))
    bpm = candidates[best]
    is_heard = any(abs(bpm * octave / heard - 1) < TEMPO_TOLERANCE for octave in (0.5, 1, 2))
    certainty = 1.0 if is_heard else 0.5
    confidence = float(np.clip(scores[best], 0, 1)) * certainty
    return round(bpm, 2), round(confidence, 2)


def estimate_key(mono: Audio, rate: int) -> tuple[int, float]:
    """Estimate the root of the major or minor key whose profile fits a sound [samples] best.

    Returns:
        Semitones above C, and a confidence from 0 to 1: the lead over the second-best root.
    """
    import librosa

    chroma = librosa.feature.chroma_cqt(y=mono, sr=rate).mean(1)
    if not np.isfinite(chroma).all() or chroma.std() < 1e-6:
        return 0, 0.0
    correlations = [
        [np.corrcoef(chroma, np.roll(profile, root))[0, 1] for root in range(12)]
        for profile in (MAJOR, MINOR)
    ]
    fit_per_root = np.array(correlations).max(0)
    second, best = np.sort(fit_per_root)[-2:]
    return int(fit_per_root.argmax()), round(float(np.clip(best - second, 0, 1)), 2)


def likely_octave(heard: float) -> float:
    """Return a tempo, halved or doubled to a usual one where it is out of the range of estimates.

    A short sound may be heard at 304 bpm.
    """
    if heard <= 0:
        return USUAL_BPM
    if SLOWEST_BPM <= heard < FASTEST_BPM:
        return heard
    return float(heard / 2.0 ** round(np.log2(heard / USUAL_BPM)))


def _autocorrelation(envelope: NDArray[np.float32], lag: float) -> float:
    """Return how well an onset envelope, taken as a circle, fits itself ``lag`` values later.

    Returns:
        The correlation, from -1 to 1.
    """
    at = np.arange(len(envelope))
    centred = envelope - envelope.mean()
    later = np.interp((at + lag) % len(envelope), at, centred)
    energy = np.square(centred).sum() + 1e-9  # not 0 for silence
    return float((centred * later).sum() / energy)
