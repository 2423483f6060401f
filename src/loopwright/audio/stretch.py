"""Time-stretching and pitch-shifting, to the sample. Meant to run in a worker process: the library holds the lock.

Knows: Signalsmith Stretch (python-stretch), and how to keep a loop's seam. Does not know: tempo, files.
"""

from __future__ import annotations

import numpy as np
import python_stretch

from loopwright.audio.types import Audio

SEED = 0
"""The library's noise: fixed, so the same audio comes out every time."""

LAPS = 3
SEAM_SECONDS = 0.01


def stretch_loop(audio: Audio, rate: int, samples: int, semitones: float = 0.0) -> Audio:
    """A loop [channels, n] at a new length [channels, samples], its seam kept; pitch moved by ``semitones``.

    The loop is stretched three times over, and the middle lap is taken, so that what rings over the end rings into the start.
    Tones need not be whole over the new length: the head is faded in over the continuation of the end.
    """
    if samples == audio.shape[1] and semitones == 0:
        return audio
    laps = stretch(np.tile(audio, LAPS), rate, samples * LAPS, semitones)
    loop = laps[:, samples : 2 * samples].copy()
    fade = min(round(SEAM_SECONDS * rate), samples)
    rising = np.linspace(0, 1, fade, endpoint=False, dtype=np.float32)
    loop[:, :fade] = loop[:, :fade] * rising + laps[:, 2 * samples : 2 * samples + fade] * (
        1 - rising
    )
    return loop


def stretch(audio: Audio, rate: int, samples: int, semitones: float = 0.0) -> Audio:
    """Audio [channels, n] at a new length [channels, samples]; the library makes up for its own latency."""
    channels, length = audio.shape
    machine = python_stretch.Signalsmith.Stretch(SEED)
    machine.preset(channels, float(rate))
    machine.setTimeFactor(length / samples)
    machine.setTransposeSemitones(semitones)
    return _exactly(np.asarray(machine.process(np.ascontiguousarray(audio))), samples)


def _exactly(audio: Audio, samples: int) -> Audio:
    return np.pad(audio[:, :samples], ((0, 0), (0, max(0, samples - audio.shape[1]))))
