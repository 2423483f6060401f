"""The bodies of a drum loop's hits, as the powers of the model's oscillators that would sound alike.

They come from the formulas the hits are made with, as in ``tones``: nothing is listened to, nothing flickers. Left out is
what has no pitch yet or none at all: clicks, rims, noise, and steps in which a sine still falls; so is the room. A body
stays on one oscillator, since two that take turns are not in phase.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from loopwright.model.pocket.bodies import BODIES, BODIES_PER_OCTAVE, LOWEST_BODY_HZ
from loopwright.model.pocket.layers import FINE_HOP
from training.synth.drum_sounds import BODY_HOP, Floats, Sine, distortion_gain
from training.synth.drums import Hit, Take

STILL_FALLING = 0.04
"""A sine has a body's pitch, its last, once it is no farther from it than this share."""
SOONEST = FINE_HOP // 4
"""Samples from a hit to the first centre of a step that has its body: a step's triangle begins before its centre."""


def drum_tones(take: Take, steps: int) -> Floats:
    """Powers of mid's oscillators, [steps, BODIES]: the loop, repeated from its beginning on, steps of FINE_HOP samples."""
    samples = take.audio.shape[1]
    centres = np.arange(steps) * FINE_HOP + FINE_HOP // 2
    power = np.zeros((steps, BODIES))
    for hit in take.hits:
        since = (centres - hit.at) % samples
        for sine in hit.drum.body:
            _add(power, since, sine, hit)
    gain = distortion_gain(take.clean, take.audio)[centres % samples]
    heard: Floats = power * np.square(gain)[:, None]
    return heard


def _add(power: Floats, since: NDArray[np.int64], sine: Sine, hit: Hit) -> None:
    """since: samples from the hit's beginning to the centre of every step."""
    oscillator = _nearest(sine.hz[-1])
    if not 0 <= oscillator < BODIES:
        return
    at = since // BODY_HOP
    rings = np.flatnonzero((since >= SOONEST) & (at < len(sine.hz)))
    rings = rings[np.abs(sine.hz[at[rings]] / sine.hz[-1] - 1) < STILL_FALLING]
    power[rings, oscillator] += 0.5 * np.square(sine.amplitude[at[rings]] * hit.gains.mean())


def _nearest(hz: float) -> int:
    """The oscillator nearest to a frequency; may be outside the bank."""
    return round(BODIES_PER_OCTAVE * math.log2(hz / LOWEST_BODY_HZ))
