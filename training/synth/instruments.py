"""The sounds that have pitch: each is harmonics, a moving low-pass and an envelope, drawn anew for every loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.synth.drum_sounds import Drawn

HARMONICS = 60
_ORDER = np.arange(1, HARMONICS + 1)


@dataclass(frozen=True)
class Patch:
    """One sound. Times in seconds, frequencies in Hz.

    harmonics: amplitudes, [HARMONICS]. cutoff: of the low-pass, from its first to its last value, at middle C; it follows
    the pitch by half. sweep: how fast it goes there. resonance: the filter's Q. damping: how much sooner each further
    harmonic dies, a second. cents: how far two voices are apart. width: side against mid. tremolo: depth of 5 Hz.
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


def _some(**amplitudes: float) -> NDArray[np.float64]:
    """h1=1.0, h4=0.3: those harmonics and no others."""
    harmonics = np.zeros(HARMONICS)
    for name, amplitude in amplitudes.items():
        harmonics[int(name[1:]) - 1] = amplitude
    return harmonics


def _wave(drawn: Drawn) -> NDArray[np.float64]:
    return _saw() if drawn.random() < 0.6 else _square()


def _sub(drawn: Drawn) -> Patch:
    overtones = _some(
        h1=1, h2=drawn.uniform(0.02, 0.35), h3=drawn.uniform(0.02, 0.2), h5=drawn.uniform(0, 0.08)
    )
    return Patch(overtones, decay=drawn.uniform(0.3, 1.2), sustain=drawn.uniform(0.3, 0.9))


def _synth_bass(drawn: Drawn) -> Patch:
    return Patch(
        _wave(drawn), (drawn.uniform(1200, 6000), drawn.uniform(250, 900)), drawn.uniform(0.04, 0.2),
        drawn.uniform(0.7, 2), 0.003, 0.25, drawn.uniform(0.3, 0.7), 0.02, cents=drawn.choice([0, 0, 10]),
    )  # fmt: skip


def _acid(drawn: Drawn) -> Patch:
    return Patch(
        _wave(drawn), (drawn.uniform(2500, 7000), drawn.uniform(350, 900)), drawn.uniform(0.06, 0.15),
        drawn.uniform(4, 9), 0.003, 0.2, 0.4, 0.015,
    )  # fmt: skip


def _reese(drawn: Drawn) -> Patch:
    cutoff = drawn.uniform(500, 1800)
    return Patch(
        _saw(),
        (cutoff * 1.4, cutoff),
        0.4,
        1.0,
        0.01,
        1.0,
        0.9,
        0.03,
        cents=drawn.uniform(14, 26),
        width=0.35,
    )


def _fm_bass(drawn: Drawn) -> Patch:
    strong = _saw() ** 0.7
    return Patch(
        strong,
        (drawn.uniform(3000, 9000), drawn.uniform(300, 700)),
        drawn.uniform(0.03, 0.1),
        0.7,
        0.002,
        0.2,
        0.4,
        0.02,
    )


def _picked_bass(drawn: Drawn) -> Patch:
    comb = np.abs(np.sin(np.pi * _ORDER * drawn.uniform(0.12, 0.3))) / _ORDER**1.3
    return Patch(
        comb, (4000, 1500), 0.2, 0.7, 0.004, drawn.uniform(0.4, 0.9), 0.15, 0.04, damping=1.5
    )


def _pad(drawn: Drawn) -> Patch:
    cutoff = drawn.uniform(600, 2600)
    return Patch(
        _wave(drawn), (cutoff, cutoff * drawn.uniform(0.7, 1.4)), 1.0, 0.8, drawn.uniform(0.08, 0.4), 2.0, 0.9,
        drawn.uniform(0.1, 0.3), cents=drawn.uniform(6, 14), width=drawn.uniform(0.3, 0.7),
    )  # fmt: skip


def _strings(drawn: Drawn) -> Patch:
    cutoff = drawn.uniform(2500, 6000)
    return Patch(
        _saw(),
        (cutoff, cutoff),
        1.0,
        0.7,
        drawn.uniform(0.05, 0.14),
        2.0,
        0.9,
        0.12,
        cents=12.0,
        width=0.6,
    )


def _piano(drawn: Drawn) -> Patch:
    comb = np.abs(np.sin(np.pi * _ORDER / 8.3)) / _ORDER**1.4 + 0.4 * _some(h1=1)
    return Patch(
        comb,
        (6000, 3000),
        0.3,
        0.7,
        0.002,
        drawn.uniform(0.6, 1.4),
        0.1,
        0.08,
        damping=0.9,
        width=0.2,
    )


def _keys(drawn: Drawn) -> Patch:
    mix = _some(h1=1, h2=0.35, h3=0.12, h4=0.1, h7=drawn.uniform(0.05, 0.25))
    return Patch(
        mix,
        attack=0.002,
        decay=drawn.uniform(0.6, 1.2),
        sustain=0.25,
        release=0.1,
        damping=1.2,
        width=0.15,
    )


def _rhodes(drawn: Drawn) -> Patch:
    mix = _some(h1=1, h2=drawn.uniform(0.15, 0.5), h3=0.06, h5=0.05, h14=drawn.uniform(0.02, 0.08))
    depth = drawn.choice([0.0, 0.25])
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


def _organ(drawn: Drawn) -> Patch:
    bars = {f"h{harmonic}": drawn.uniform(0.1, 0.8) for harmonic in (2, 3, 4, 6, 8)}
    return Patch(
        _some(h1=1, **bars),
        attack=0.004,
        decay=1.0,
        sustain=0.95,
        release=0.03,
        cents=4.0,
        width=0.2,
    )


def _brass(drawn: Drawn) -> Patch:
    return Patch(
        _saw(),
        (drawn.uniform(500, 900), drawn.uniform(2000, 3500)),
        0.06,
        0.8,
        0.03,
        0.6,
        0.7,
        0.05,
        cents=8.0,
        width=0.25,
    )


def _stab(drawn: Drawn) -> Patch:
    return Patch(
        _saw(),
        (drawn.uniform(2000, 7000), 500),
        0.08,
        1.4,
        0.002,
        0.15,
        0.0,
        0.03,
        cents=12.0,
        width=0.4,
    )


def _pluck(drawn: Drawn) -> Patch:
    return Patch(
        _wave(drawn),
        (drawn.uniform(2500, 7000), 400),
        drawn.uniform(0.05, 0.15),
        1.0,
        0.002,
        drawn.uniform(0.12, 0.3),
        0.0,
        0.05,
        width=0.2,
    )


def _guitar(drawn: Drawn) -> Patch:
    comb = np.abs(np.sin(np.pi * _ORDER * drawn.uniform(0.15, 0.35))) / _ORDER
    return Patch(
        comb,
        (5000, 2500),
        0.3,
        0.7,
        0.002,
        drawn.uniform(0.4, 0.9),
        0.0,
        0.06,
        damping=2.5,
        width=0.15,
    )


def _arpeggio(drawn: Drawn) -> Patch:
    return Patch(
        _wave(drawn),
        (drawn.uniform(1800, 6000), drawn.uniform(400, 1500)),
        0.12,
        1.2,
        0.003,
        0.25,
        0.3,
        0.05,
        cents=8.0,
        width=0.3,
    )


def _lead(drawn: Drawn) -> Patch:
    cutoff = drawn.uniform(2000, 6000)
    return Patch(
        _wave(drawn),
        (cutoff * 1.5, cutoff),
        0.15,
        1.0,
        0.006,
        0.5,
        0.75,
        0.06,
        cents=drawn.uniform(4, 10),
        width=0.25,
    )


def _bell(drawn: Drawn) -> Patch:
    mix = _some(
        h1=1, h3=drawn.uniform(0.2, 0.5), h4=0.1, h6=drawn.uniform(0.1, 0.4), h9=0.12, h11=0.06
    )
    return Patch(
        mix,
        attack=0.002,
        decay=drawn.uniform(0.4, 0.9),
        sustain=0.0,
        release=0.3,
        damping=0.6,
        width=0.3,
    )


def _flute(drawn: Drawn) -> Patch:
    return Patch(
        _some(h1=1, h2=drawn.uniform(0.1, 0.3), h3=0.08, h4=0.03),
        attack=0.05,
        decay=1.0,
        sustain=0.85,
        release=0.07,
        tremolo=0.12,
        width=0.1,
    )


BASSES: dict[str, Callable[[Drawn], Patch]] = {
    "sub": _sub, "synth": _synth_bass, "acid": _acid, "reese": _reese, "fm": _fm_bass, "pick": _picked_bass,
}  # fmt: skip
CHORDS: dict[str, Callable[[Drawn], Patch]] = {
    "pad": _pad, "strings": _strings, "piano": _piano, "keys": _keys, "rhodes": _rhodes, "organ": _organ,
    "brass": _brass, "stab": _stab, "pluck": _pluck, "guitar": _guitar, "arpeggio": _arpeggio, "lead": _lead,
    "bell": _bell, "flute": _flute,
}  # fmt: skip
SUSTAINED = frozenset({"pad", "strings"})
MELODIC = frozenset({"arpeggio", "lead", "bell", "flute"})


def brightened(patch: Patch, bright: float) -> Patch:
    """The patch with its filter moved by up to an octave either way. bright: 0…1."""
    factor = 2 ** (2.4 * (bright - 0.5))
    return replace(patch, cutoff=(patch.cutoff[0] * factor, patch.cutoff[1] * factor))
