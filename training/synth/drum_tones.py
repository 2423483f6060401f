"""The bodies of a drum loop's hits, as powers of the model's oscillators.

They come from the formulas of the hits, as in ``tones``, not from an analysis of sound, so nothing
flickers. Left out are sounds without a pitch (clicks, rims, noise), steps in which a sine still
falls, and the room. A body stays on one oscillator, since two that take turns are not in phase.
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
"""Relative distance to its final pitch within which a sine counts as a body."""
SOONEST = FINE_HOP // 4
"""Minimum samples from a hit to the centre of a step with its body: a step's triangle begins before
its centre."""


def drum_tones(take: Take, steps: int) -> Floats:
    """Compute the powers of mid's oscillators.

    Args:
        take: The loop; it is repeated.
        steps: Steps of FINE_HOP samples.

    Returns:
        [steps, BODIES].
    """
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
    """Add a sine of a hit. since: samples from the hit's beginning to the centre of every step."""
    oscillator = _nearest(sine.hz[-1])
    if not 0 <= oscillator < BODIES:
        return
    at = since // BODY_HOP
    rings = np.flatnonzero((since >= SOONEST) & (at < len(sine.hz)))
    rings = rings[np.abs(sine.hz[at[rings]] / sine.hz[-1] - 1) < STILL_FALLING]
    power[rings, oscillator] += 0.5 * np.square(sine.amplitude[at[rings]] * hit.gains.mean())


def _nearest(hz: float) -> int:
    """Return the oscillator nearest to a frequency; it may be outside the bank."""
    return round(BODIES_PER_OCTAVE * math.log2(hz / LOWEST_BODY_HZ))
