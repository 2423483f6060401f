"""Tempo and key of a piece of audio, estimated, each with a confidence. Meant to run in a worker process.

Knows: onsets, chroma, loops that are whole beats long. Does not know: file names, riffs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loopwright.audio.types import Audio

BEATS = (4, 8, 16, 32, 64)
"""Lengths a loop is likely to have."""
SLOWEST, FASTEST = 60.0, 180.0
USUAL_BPM, USUAL_OCTAVES = 110.0, 0.6
NEAR = 0.04
"""A loop's own tempo counts when it is this near, as a share, to the one that is heard."""

# How well each degree of a scale fits its key: the listeners' ratings of Krumhansl and Kessler 1982.
MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


@dataclass(frozen=True)
class Estimate:
    """bpm: beats per minute; key: semitones above C; confidences from 0 to 1."""

    bpm: float
    bpm_confidence: float
    key: int
    key_confidence: float


def estimate(audio: Audio, rate: int) -> Estimate:
    """audio: [channels, samples] of a loop -> Estimate."""
    mono = audio.mean(0)
    bpm, bpm_confidence = estimate_tempo(mono, rate)
    key, key_confidence = estimate_key(mono, rate)
    return Estimate(bpm, bpm_confidence, key, key_confidence)


def estimate_tempo(mono: Audio, rate: int) -> tuple[float, float]:
    """The tempo of a loop: of the tempi that make it whole beats long, the one that its onsets repeat at best."""
    import librosa

    hop = 256
    strength = librosa.onset.onset_strength(y=mono, sr=rate, hop_length=hop)
    heard = float(librosa.feature.tempo(onset_envelope=strength, sr=rate, hop_length=hop)[0])
    seconds = len(mono) / rate
    whole = [60 * beats / seconds for beats in BEATS if SLOWEST <= 60 * beats / seconds < FASTEST]
    if not whole:
        return round(likely_octave(heard), 1), 0.2
    scores = [_repeats(strength, 60 / bpm * rate / hop) for bpm in whole]
    best = max(range(len(whole)), key=lambda i: scores[i] * _usual(whole[i]))
    near = any(abs(whole[best] * octave / heard - 1) < NEAR for octave in (0.5, 1, 2))
    return round(whole[best], 2), round(
        float(np.clip(scores[best], 0, 1)) * (1.0 if near else 0.5), 2
    )


def estimate_key(mono: Audio, rate: int) -> tuple[int, float]:
    """The root note of the major or minor key whose profile fits the chroma best."""
    import librosa

    chroma = librosa.feature.chroma_cqt(y=mono, sr=rate).mean(1)
    if not np.isfinite(chroma).all() or chroma.std() < 1e-6:
        return 0, 0.0
    fits = np.array(
        [
            [np.corrcoef(chroma, np.roll(profile, root))[0, 1] for root in range(12)]
            for profile in (MAJOR, MINOR)
        ]
    )
    by_root = np.sort(fits.max(0))
    return int(fits.max(0).argmax()), round(float(np.clip(by_root[-1] - by_root[-2], 0, 1)), 2)


def likely_octave(heard: float) -> float:
    """Return a tempo, or where it is none from SLOWEST to FASTEST its half, double … that is usual.

    A short sound may be heard at 304 bpm.
    """
    if heard <= 0:
        return USUAL_BPM
    if SLOWEST <= heard < FASTEST:
        return heard
    return float(heard / 2.0 ** round(np.log2(heard / USUAL_BPM)))


def _usual(bpm: float) -> float:
    """How usual a tempo is, 0 … 1: halves and doubles of one repeat alike, and the middle one is meant."""
    return float(np.exp(-0.5 * (np.log2(bpm / USUAL_BPM) / USUAL_OCTAVES) ** 2))


def _repeats(strength: NDArray[np.float32], lag: float) -> float:
    """How well an onset envelope agrees with itself a beat later, -1 … 1."""
    frames = np.arange(len(strength))
    centred = strength - strength.mean()
    later = np.interp((frames + lag) % len(strength), frames, centred)
    return float((centred * later).sum() / (np.square(centred).sum() + 1e-9))
