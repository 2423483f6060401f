"""Time-stretching and pitch-shifting, exact to the sample.

Meant to run in a worker process: the library holds the interpreter's lock while it works.
Knows: Signalsmith Stretch (python-stretch), and how to keep a loop's seam. Does not know: tempo,
files.
"""

from __future__ import annotations

import numpy as np
import python_stretch

from loopwright.audio.types import Audio

SEED = 0
"""Seed of the library's noise; fixed, so that the same audio always gives the same result."""

LAPS = 3
SEAM_SECONDS = 0.01


def stretch_loop(audio: Audio, rate: int, samples: int, semitones: float = 0.0) -> Audio:
    """Stretch a loop to a new length, and keep its seam.

    The loop is stretched three times in a row and the middle lap is taken, so that what rings at
    the end rings on at the start. A tone need not fit the new length a whole number of times, so
    the head is crossfaded with what follows the end.

    Args:
        audio: [channels, n].
        rate: Hz.
        samples: The new length.
        semitones: How far the pitch is moved.

    Returns:
        [channels, samples].
    """
    if samples == audio.shape[1] and semitones == 0:
        return audio
    laps = stretch(np.tile(audio, LAPS), rate, samples * LAPS, semitones)
    loop = laps[:, samples : 2 * samples].copy()
    next_lap = laps[:, 2 * samples :]
    fade = min(round(SEAM_SECONDS * rate), samples)
    rising = np.linspace(0, 1, fade, endpoint=False, dtype=np.float32)
    head, follows = loop[:, :fade], next_lap[:, :fade]
    loop[:, :fade] = head * rising + follows * (1 - rising)
    return loop


def stretch(audio: Audio, rate: int, samples: int, semitones: float = 0.0) -> Audio:
    """Stretch audio [channels, n] to [channels, samples]; semitones move its pitch."""
    channels, length = audio.shape
    stretcher = python_stretch.Signalsmith.Stretch(SEED)
    stretcher.preset(channels, float(rate))
    stretcher.setTimeFactor(length / samples)
    stretcher.setTransposeSemitones(semitones)
    processed = stretcher.process(np.ascontiguousarray(audio))
    stretched = np.asarray(processed)[:, :samples]
    # the library is told a factor and not a length, so a rounding may make a sample's difference
    missing = samples - stretched.shape[1]
    return np.pad(stretched, ((0, 0), (0, missing)))
