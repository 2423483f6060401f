"""Pitched instruments: harmonics, a moving low-pass and an envelope, drawn for every loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.synth.drum_sounds import Rng

HARMONICS = 60
_ORDER = np.arange(1, HARMONICS + 1)


@dataclass(frozen=True)
class Patch:
    """A sound. Times are in seconds, frequencies in Hz.

    Attributes:
        harmonics: Amplitudes, [HARMONICS].
        cutoff: First and last value of the low-pass at middle C; it follows the pitch by half.
        sweep: Time constant from the first to the last value.
        resonance: Q of the filter.
        attack, decay, sustain, release: The envelope.
        damping: Additional decay rate per harmonic, per second.
        cents: Distance of two detuned voices.
        width: Side against mid.
        tremolo: Depth of a tremolo of 5 Hz.
    """

    harmonics: NDArray[np.float64]
    cutoff: tuple[float, float] = (9000.0, 9000.0)
    sweep: float = 0.1
    resonance: float = 0.8
    attack: float = 0.003
    decay: float = 0.4
    sustain: float = 0.6
    release: float = 0.03
    damping: float = 0.0
    cents: float = 0.0
    width: float = 0.0
    tremolo: float = 0.0


def _saw() -> NDArray[np.float64]:
    return 1.0 / _ORDER


def _square() -> NDArray[np.float64]:
    return np.where(_ORDER % 2 == 1, 1.0 / _ORDER, 0.0)


def _partials(**amplitudes: float) -> NDArray[np.float64]:
    """Return only the harmonics that are given, as in ``h1=1.0, h4=0.3``."""
    harmonics = np.zeros(HARMONICS)
    for name, amplitude in amplitudes.items():
        harmonics[int(name[1:]) - 1] = amplitude
    return harmonics


def _wave(rng: Rng) -> NDArray[np.float64]:
    return _saw() if rng.random() < 0.6 else _square()


def _sub(rng: Rng) -> Patch:
    overtones = _partials(
        h1=1, h2=rng.uniform(0.02, 0.35), h3=rng.uniform(0.02, 0.2), h5=rng.uniform(0, 0.08)
    )
    return Patch(overtones, decay=rng.uniform(0.3, 1.2), sustain=rng.uniform(0.3, 0.9))


def _synth_bass(rng: Rng) -> Patch:
    return Patch(
        _wave(rng),
        (rng.uniform(1200, 6000), rng.uniform(250, 900)),
        rng.uniform(0.04, 0.2),
        rng.uniform(0.7, 2),
        0.003,
        0.25,
        rng.uniform(0.3, 0.7),
        0.02,
        cents=rng.choice([0, 0, 10]),
    )


def _acid(rng: Rng) -> Patch:
    return Patch(
        _wave(rng),
        (rng.uniform(2500, 7000), rng.uniform(350, 900)),
        rng.uniform(0.06, 0.15),
        rng.uniform(4, 9),
        0.003,
        0.2,
        0.4,
        0.015,
    )


def _reese(rng: Rng) -> Patch:
    cutoff = rng.uniform(500, 1800)
    return Patch(
        _saw(),
        (cutoff * 1.4, cutoff),
        0.4,
        1.0,
        0.01,
        1.0,
        0.9,
        0.03,
        cents=rng.uniform(14, 26),
        width=0.35,
    )


def _fm_bass(rng: Rng) -> Patch:
    strong = _saw() ** 0.7
    return Patch(
        strong,
        (rng.uniform(3000, 9000), rng.uniform(300, 700)),
        rng.uniform(0.03, 0.1),
        0.7,
        0.002,
        0.2,
        0.4,
        0.02,
    )


def _picked_bass(rng: Rng) -> Patch:
    comb = np.abs(np.sin(np.pi * _ORDER * rng.uniform(0.12, 0.3))) / _ORDER**1.3
    return Patch(
        comb, (4000, 1500), 0.2, 0.7, 0.004, rng.uniform(0.4, 0.9), 0.15, 0.04, damping=1.5
    )


def _pad(rng: Rng) -> Patch:
    cutoff = rng.uniform(600, 2600)
    return Patch(
        _wave(rng),
        (cutoff, cutoff * rng.uniform(0.7, 1.4)),
        1.0,
        0.8,
        rng.uniform(0.08, 0.4),
        2.0,
        0.9,
        rng.uniform(0.1, 0.3),
        cents=rng.uniform(6, 14),
        width=rng.uniform(0.3, 0.7),
    )


def _strings(rng: Rng) -> Patch:
    cutoff = rng.uniform(2500, 6000)
    return Patch(
        _saw(),
        (cutoff, cutoff),
        1.0,
        0.7,
        rng.uniform(0.05, 0.14),
        2.0,
        0.9,
        0.12,
        cents=12.0,
        width=0.6,
    )


def _piano(rng: Rng) -> Patch:
    comb = np.abs(np.sin(np.pi * _ORDER / 8.3)) / _ORDER**1.4 + 0.4 * _partials(h1=1)
    return Patch(
        comb,
        (6000, 3000),
        0.3,
        0.7,
        0.002,
        rng.uniform(0.6, 1.4),
        0.1,
        0.08,
        damping=0.9,
        width=0.2,
    )


def _keys(rng: Rng) -> Patch:
    mix = _partials(h1=1, h2=0.35, h3=0.12, h4=0.1, h7=rng.uniform(0.05, 0.25))
    return Patch(
        mix,
        attack=0.002,
        decay=rng.uniform(0.6, 1.2),
        sustain=0.25,
        release=0.1,
        damping=1.2,
        width=0.15,
    )


def _rhodes(rng: Rng) -> Patch:
    mix = _partials(h1=1, h2=rng.uniform(0.15, 0.5), h3=0.06, h5=0.05, h14=rng.uniform(0.02, 0.08))
    depth = rng.choice([0.0, 0.25])
    return Patch(
        mix,
        attack=0.003,
        decay=1.2,
        sustain=0.3,
        release=0.12,
        damping=0.5,
        width=0.3,
        tremolo=depth,
    )


def _organ(rng: Rng) -> Patch:
    bars = {f"h{harmonic}": rng.uniform(0.1, 0.8) for harmonic in (2, 3, 4, 6, 8)}
    return Patch(
        _partials(h1=1, **bars),
        attack=0.004,
        decay=1.0,
        sustain=0.95,
        release=0.03,
        cents=4.0,
        width=0.2,
    )


def _brass(rng: Rng) -> Patch:
    return Patch(
        _saw(),
        (rng.uniform(500, 900), rng.uniform(2000, 3500)),
        0.06,
        0.8,
        0.03,
        0.6,
        0.7,
        0.05,
        cents=8.0,
        width=0.25,
    )


def _stab(rng: Rng) -> Patch:
    return Patch(
        _saw(),
        (rng.uniform(2000, 7000), 500),
        0.08,
        1.4,
        0.002,
        0.15,
        0.0,
        0.03,
        cents=12.0,
        width=0.4,
    )


def _pluck(rng: Rng) -> Patch:
    return Patch(
        _wave(rng),
        (rng.uniform(2500, 7000), 400),
        rng.uniform(0.05, 0.15),
        1.0,
        0.002,
        rng.uniform(0.12, 0.3),
        0.0,
        0.05,
        width=0.2,
    )


def _guitar(rng: Rng) -> Patch:
    comb = np.abs(np.sin(np.pi * _ORDER * rng.uniform(0.15, 0.35))) / _ORDER
    return Patch(
        comb,
        (5000, 2500),
        0.3,
        0.7,
        0.002,
        rng.uniform(0.4, 0.9),
        0.0,
        0.06,
        damping=2.5,
        width=0.15,
    )


def _arpeggio(rng: Rng) -> Patch:
    return Patch(
        _wave(rng),
        (rng.uniform(1800, 6000), rng.uniform(400, 1500)),
        0.12,
        1.2,
        0.003,
        0.25,
        0.3,
        0.05,
        cents=8.0,
        width=0.3,
    )


def _lead(rng: Rng) -> Patch:
    cutoff = rng.uniform(2000, 6000)
    return Patch(
        _wave(rng),
        (cutoff * 1.5, cutoff),
        0.15,
        1.0,
        0.006,
        0.5,
        0.75,
        0.06,
        cents=rng.uniform(4, 10),
        width=0.25,
    )


def _bell(rng: Rng) -> Patch:
    mix = _partials(
        h1=1, h3=rng.uniform(0.2, 0.5), h4=0.1, h6=rng.uniform(0.1, 0.4), h9=0.12, h11=0.06
    )
    return Patch(
        mix,
        attack=0.002,
        decay=rng.uniform(0.4, 0.9),
        sustain=0.0,
        release=0.3,
        damping=0.6,
        width=0.3,
    )


def _flute(rng: Rng) -> Patch:
    return Patch(
        _partials(h1=1, h2=rng.uniform(0.1, 0.3), h3=0.08, h4=0.03),
        attack=0.05,
        decay=1.0,
        sustain=0.85,
        release=0.07,
        tremolo=0.12,
        width=0.1,
    )


BASSES: dict[str, Callable[[Rng], Patch]] = {
    "sub": _sub,
    "synth": _synth_bass,
    "acid": _acid,
    "reese": _reese,
    "fm": _fm_bass,
    "pick": _picked_bass,
}
CHORDS: dict[str, Callable[[Rng], Patch]] = {
    "pad": _pad,
    "strings": _strings,
    "piano": _piano,
    "keys": _keys,
    "rhodes": _rhodes,
    "organ": _organ,
    "brass": _brass,
    "stab": _stab,
    "pluck": _pluck,
    "guitar": _guitar,
    "arpeggio": _arpeggio,
    "lead": _lead,
    "bell": _bell,
    "flute": _flute,
}
SUSTAINED = frozenset({"pad", "strings"})
MELODIC = frozenset({"arpeggio", "lead", "bell", "flute"})


def brighten(patch: Patch, bright: float) -> Patch:
    """Return the patch with its filter shifted by 2.4 octaves * (bright - 0.5). bright: 0 to 1."""
    factor = 2 ** (2.4 * (bright - 0.5))
    return replace(patch, cutoff=(patch.cutoff[0] * factor, patch.cutoff[1] * factor))
