# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="misc,untyped-decorator"
"""Compiled loops over notes, harmonics and samples: amplitudes as controls and as sound.

starts, lengths and gates are seconds, pitches MIDI numbers; shape is as ``tones`` makes it from a
patch.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from loopwright.model.pocket.layers import FINE_HOP
from loopwright.model.pocket.tones import HIGHEST_HZ, LOWEST_NOTE, NOTES_PER_REGISTER
from training.synth.drum_sounds import SAMPLE_RATE

BLOCK = 64
"""Samples between new amplitudes in the sound."""
TREMOLO_HZ = 5.0
INAUDIBLE = 5e-5


@numba.njit(cache=True, fastmath=True)
def _amplitudes(t, f0, gate, loud, harmonics, shape, out):
    """Compute all harmonics' amplitudes at t seconds into a note. shape: see ``tones``."""
    cut0, cut1, sweep, resonance, attack, decay, sustain, release, damping, tremolo = shape
    envelope = (
        t / attack if t < attack else sustain + (1 - sustain) * math.exp(-(t - attack) / decay)
    )
    if t > gate:
        envelope *= math.exp(-(t - gate) / release)
    envelope *= loud * (1 + tremolo * math.sin(2 * math.pi * TREMOLO_HZ * t))
    cutoff = (cut1 + (cut0 - cut1) * math.exp(-t / sweep)) * math.sqrt(f0 / 261.6)
    for h in range(len(harmonics)):
        f = f0 * (h + 1)
        if harmonics[h] == 0.0 or f > HIGHEST_HZ:
            out[h] = 0.0
            continue
        r = f / cutoff
        square = (1 - r * r) ** 2 + (r / resonance) ** 2
        out[h] = harmonics[h] * envelope * math.exp(-t * damping * h) / math.sqrt(square)


@numba.njit(cache=True, fastmath=True)
def add_controls(
    starts,
    lengths,
    gates,
    pitches,
    louds,
    harmonics,
    shape,
    width,
    group_of,
    group_sizes,
    power,
    groups,
    side,
):
    """Add notes to power, groups and side: see ``tones.Controls``. width: of the patch."""
    amplitude = np.zeros(len(harmonics))
    for n in range(len(starts)):
        note = pitches[n] - LOWEST_NOTE
        register = note // NOTES_PER_REGISTER
        f0 = 440.0 * 2.0 ** ((pitches[n] - 69) / 12.0)
        first = max(0, int(starts[n] * SAMPLE_RATE / FINE_HOP - 0.5))
        last = min(len(power) - 1, int((starts[n] + lengths[n]) * SAMPLE_RATE / FINE_HOP))
        for step in range(first, last + 1):
            # a step's triangle reaches half a step to either side: average the note over it
            total = 0.0
            for part in range(4):
                t = (step + (part + 0.5) / 4) * FINE_HOP / SAMPLE_RATE - starts[n]
                if t < 0 or t > lengths[n]:
                    continue
                _amplitudes(t, f0, gates[n], louds[n], harmonics, shape, amplitude)
                for h in range(len(harmonics)):
                    square = amplitude[h] * amplitude[h] / 4
                    total += square
                    groups[step, register, group_of[h]] += square / group_sizes[group_of[h]]
            power[step, note] += total
            side[step, register] += total * width * width


@numba.njit(cache=True, fastmath=True)
def _block(oscillators, count, left, right, out, start):
    """Add BLOCK samples of ``count`` oscillators to out.

    oscillators: amplitude, slope, cosine, sine, then cosine and sine of the turn per sample.
    """
    a, slope, c, s, tc, ts = oscillators
    for i in range(BLOCK):
        total = 0.0
        for h in range(count):
            total += a[h] * s[h]
            a[h] += slope[h]
            cosine = c[h] * tc[h] - s[h] * ts[h]
            s[h] = s[h] * tc[h] + c[h] * ts[h]
            c[h] = cosine
        if start + i < out.shape[1]:
            out[0, start + i] += left * total
            out[1, start + i] += right * total


@numba.njit(cache=True, fastmath=True)
def add_sound(starts, lengths, gates, pitches, louds, harmonics, shape, cents, pan, seed, out):
    """Add notes to out, [2, samples].

    cents, pan: distance of two voices in pitch and in the stereo field; seed: of the phases.
    """
    np.random.seed(seed)
    count = len(harmonics)
    amplitude, before = np.zeros(count), np.zeros(count)
    oscillators = np.zeros((6, count))
    voices = 2 if cents > 0 or pan > 0 else 1
    for n in range(len(starts)):
        f0 = 440.0 * 2.0 ** ((pitches[n] - 69) / 12.0)
        start, samples = round(starts[n] * SAMPLE_RATE), int(lengths[n] * SAMPLE_RATE)
        for voice in range(voices):
            sign = 1.0 if voice else -1.0
            hz = f0 * 2.0 ** (sign * cents / 2400.0)
            offset = np.random.random()
            gain = 1.0 / math.sqrt(voices)
            left, right = (
                gain * (1 + sign * pan * (voices - 1)),
                gain * (1 - sign * pan * (voices - 1)),
            )
            before[:] = 0.0
            for begin in range(0, samples, BLOCK):
                _amplitudes(
                    (begin + BLOCK) / SAMPLE_RATE,
                    f0,
                    gates[n],
                    louds[n],
                    harmonics,
                    shape,
                    amplitude,
                )
                if begin + BLOCK >= samples:
                    amplitude[:] = 0.0
                active = 0
                for h in range(count):
                    if amplitude[h] > INAUDIBLE or before[h] > INAUDIBLE:
                        turn = 2 * math.pi * hz * (h + 1) / SAMPLE_RATE
                        angle = 2 * math.pi * offset * (h + 1) + turn * begin
                        oscillators[0, active], oscillators[1, active] = (
                            before[h],
                            (amplitude[h] - before[h]) / BLOCK,
                        )
                        oscillators[2, active], oscillators[3, active] = (
                            math.cos(angle),
                            math.sin(angle),
                        )
                        oscillators[4, active], oscillators[5, active] = (
                            math.cos(turn),
                            math.sin(turn),
                        )
                        active += 1
                    before[h] = amplitude[h]
                _block(oscillators, active, left, right, out, start + begin)
