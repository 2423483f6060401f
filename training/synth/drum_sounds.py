"""Single drum hits in six kits, made of sines, noise, envelopes, filters and distortion.

Times are in seconds, frequencies in Hz, levels around 1. Each call draws a new drum from ``Rng``,
numpy's generator. Sines below HIGHEST_BODY_HZ are also returned as such: the formulas know them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
import scipy.signal
from numpy.typing import NDArray

SAMPLE_RATE = 44100
Sound = NDArray[np.float32]
Floats = NDArray[np.float64]
Rng = np.random.Generator

BODY_HOP = 64
"""Samples between two values of a sine's course."""
HIGHEST_BODY_HZ = 1000.0
OVERTONES = (1, 3, 5, 7, 9)
"""Harmonics of a symmetrically distorted sine."""


@dataclass(frozen=True)
class Sine:
    """A sine's frequency and amplitude, every BODY_HOP samples from the hit's beginning."""

    hz: Floats
    amplitude: Floats


@dataclass(frozen=True)
class Drum:
    """A hit as sound, and the sines of its body, which are part of the sound."""

    sound: Sound
    body: tuple[Sine, ...] = ()


@dataclass(frozen=True)
class Kit:
    """The ranges from which a kit's drums are drawn.

    ``kick_hz`` is the kick's final frequency, ``kick_sweep`` its first; ``crush`` darkens the kit.
    """

    kick_seconds: tuple[float, float]
    kick_hz: tuple[float, float]
    kick_sweep: tuple[float, float]
    kick_drive: tuple[float, float]
    click: tuple[float, float]
    snare_hz: tuple[float, float]
    snare_noise: tuple[float, float]
    hat_hz: tuple[float, float]
    hat_metal: tuple[float, float]
    crush: bool = False


KITS = {
    "808": Kit(
        kick_seconds=(0.5, 1.0),
        kick_hz=(40, 54),
        kick_sweep=(90, 200),
        kick_drive=(1, 1.6),
        click=(0.02, 0.12),
        snare_hz=(170, 210),
        snare_noise=(0.5, 0.8),
        hat_hz=(7000, 8500),
        hat_metal=(0.7, 1),
    ),
    "909": Kit(
        kick_seconds=(0.25, 0.42),
        kick_hz=(45, 56),
        kick_sweep=(180, 380),
        kick_drive=(1.2, 2.5),
        click=(0.15, 0.4),
        snare_hz=(180, 230),
        snare_noise=(0.7, 1.1),
        hat_hz=(6500, 8500),
        hat_metal=(0.3, 0.7),
    ),
    "acoustic": Kit(
        kick_seconds=(0.14, 0.28),
        kick_hz=(52, 68),
        kick_sweep=(100, 190),
        kick_drive=(1, 1.5),
        click=(0.1, 0.3),
        snare_hz=(170, 240),
        snare_noise=(0.7, 1.2),
        hat_hz=(5500, 7500),
        hat_metal=(0.1, 0.4),
    ),
    "dusty": Kit(
        kick_seconds=(0.14, 0.28),
        kick_hz=(52, 66),
        kick_sweep=(100, 180),
        kick_drive=(1.5, 3),
        click=(0.05, 0.2),
        snare_hz=(160, 220),
        snare_noise=(0.6, 1),
        hat_hz=(5000, 6500),
        hat_metal=(0.1, 0.4),
        crush=True,
    ),
    "electronic": Kit(
        kick_seconds=(0.2, 0.4),
        kick_hz=(42, 60),
        kick_sweep=(160, 420),
        kick_drive=(1, 2),
        click=(0.1, 0.4),
        snare_hz=(190, 300),
        snare_noise=(0.5, 1.1),
        hat_hz=(6500, 9500),
        hat_metal=(0.4, 0.9),
    ),
    "industrial": Kit(
        kick_seconds=(0.25, 0.45),
        kick_hz=(44, 58),
        kick_sweep=(200, 450),
        kick_drive=(3, 7),
        click=(0.2, 0.6),
        snare_hz=(150, 260),
        snare_noise=(0.8, 1.4),
        hat_hz=(5000, 8000),
        hat_metal=(0.5, 1),
    ),
}


def kick(rng: Rng, kit: Kit, drive: float) -> Drum:
    """Make a kick: a falling sine, distorted, and a click. drive: 0 to 1, added to the kit's."""
    length, end, start = (
        rng.uniform(*kit.kick_seconds),
        rng.uniform(*kit.kick_hz),
        rng.uniform(*kit.kick_sweep),
    )
    fall, t = rng.uniform(0.012, 0.045), _time_axis(length * 1.3)
    angle = 2 * np.pi * (end * t + (start - end) * fall * (1 - np.exp(-t / fall)))
    body = np.sin(angle) * np.exp(-t / (length * 0.35)) * np.minimum(1, t / 0.0008)
    click = _band(_noise(rng, len(t)), rng.uniform(1500, 4000), None) * np.exp(-t / 0.004)
    gain = rng.uniform(*kit.kick_drive) * (1 + 1.5 * drive)
    sound = np.tanh((body + click * rng.uniform(*kit.click)) * gain) / np.tanh(gain)
    hz, rung = end + (start - end) * np.exp(-t / fall), np.exp(-t / (length * 0.35))
    return Drum(_fade_out(sound, 800), _distorted(hz, rung, gain, 800))


def snare(rng: Rng, kit: Kit, drive: float) -> Drum:
    """Make a snare: two sines and a band of noise."""
    t = _time_axis(rng.uniform(0.16, 0.34))
    pitch, fall = rng.uniform(*kit.snare_hz), rng.uniform(0.03, 0.07)
    body = (
        np.sin(2 * np.pi * pitch * t + 3 * np.exp(-t / 0.008)) * 0.8
        + np.sin(2 * np.pi * pitch * 1.6 * t) * 0.4
    )
    noise = _band(_noise(rng, len(t)), rng.uniform(900, 2500), rng.uniform(7000, 14000))
    noise = noise * np.exp(-t / (t[-1] * rng.uniform(0.18, 0.3))) * rng.uniform(*kit.snare_noise)
    level = rng.uniform(0.4, 0.9)
    clean = (body * np.exp(-t / fall) * level + noise) * (1.3 + 2 * drive)
    sound = np.tanh(clean)
    rung = np.exp(-t / fall) * level * (1.3 + 2 * drive) * distortion_gain(clean, sound)
    low = pitch - 3 / (2 * np.pi * 0.008) * np.exp(-t / 0.008)
    return Drum(
        _fade_out(sound, 600),
        (_sine(low, rung * 0.8), _sine(np.full_like(t, pitch * 1.6), rung * 0.4)),
    )


def clap(rng: Rng, _kit: Kit, drive: float) -> Drum:
    """Make a clap: three short bursts of noise and a longer one."""
    t, gap, tail = (
        _time_axis(rng.uniform(0.18, 0.34)),
        rng.uniform(0.008, 0.012),
        rng.uniform(0.03, 0.06),
    )
    envelope = sum(
        (np.where(t >= k * gap, np.exp(-(t - k * gap) / 0.004), 0.0) for k in range(3)),
        np.zeros_like(t),
    )
    envelope = envelope + np.where(t >= 3 * gap, np.exp(-(t - 3 * gap) / tail), 0.0)
    noise = _band(_noise(rng, len(t)), rng.uniform(700, 1100), rng.uniform(3000, 7000))
    return Drum(_fade_out(np.tanh(noise * envelope * (1.2 + drive)), 600))


def rim(rng: Rng, _kit: Kit, _drive: float) -> Drum:
    """Make a rim shot: two short sines and a tick."""
    t = _time_axis(rng.uniform(0.05, 0.1))
    tones = np.sin(2 * np.pi * rng.uniform(420, 600) * t) + np.sin(
        2 * np.pi * rng.uniform(1500, 1900) * t
    )
    tick = _band(_noise(rng, len(t)), 2000, None) * np.exp(-t / 0.003)
    return Drum(_fade_out((tones * 0.5 * np.exp(-t / 0.012) + 0.6 * tick) * 0.9, 300))


def hat(rng: Rng, kit: Kit, drive: float, *, is_open: bool = False) -> Drum:
    """Make a hi-hat: six square waves and noise above a cut-off; open ones ring."""
    length = rng.uniform(0.25, 0.5) if is_open else rng.uniform(0.04, 0.1)
    t, pitch = _time_axis(length), rng.uniform(320, 440)
    ratios = np.array([1.0, 1.34, 1.68, 1.97, 2.3, 2.9])
    metal = np.sign(np.sin(2 * np.pi * pitch * ratios[:, None] * t)).mean(0) * rng.uniform(
        *kit.hat_metal
    )
    sound = _band(
        metal + _noise(rng, len(t)) * rng.uniform(0.3, 0.7), rng.uniform(*kit.hat_hz), None
    )
    return Drum(_fade_out(sound * np.exp(-t / (length * 0.28)) * (1 + drive), 400))


def shaker(rng: Rng, _kit: Kit, _drive: float) -> Drum:
    """Make a shaker: noise that swells for 20 ms."""
    t = _time_axis(rng.uniform(0.08, 0.16))
    swell = np.minimum(1, t / 0.02)
    return Drum(_fade_out(_band(_noise(rng, len(t)), 4000, 10000) * swell * np.exp(-t / 0.03), 400))


def tom(rng: Rng, _kit: Kit, _drive: float) -> Drum:
    """Make a tom or a conga: a sine that falls a little."""
    length, pitch = rng.uniform(0.15, 0.35), rng.uniform(85, 380)
    t = _time_axis(length)
    tone = np.sin(2 * np.pi * (pitch * t + pitch * 0.5 * 0.03 * (1 - np.exp(-t / 0.03))))
    rung, hz = np.exp(-t / (length * 0.3)), pitch * (1 + 0.5 * np.exp(-t / 0.03))
    return Drum(
        _fade_out(tone * rung + 0.2 * _noise(rng, len(t)) * np.exp(-t / 0.004), 400),
        (_sine(hz, rung),),
    )


def cowbell(rng: Rng, _kit: Kit, _drive: float) -> Drum:
    """Make a cowbell: two square waves through a band-pass."""
    t = _time_axis(rng.uniform(0.15, 0.3))
    pitch = rng.uniform(500, 600)
    tones = np.sign(np.sin(2 * np.pi * pitch * t)) + np.sign(np.sin(2 * np.pi * pitch * 1.48 * t))
    rung = np.exp(-t / (t[-1] * 0.22))
    lowest = np.array([pitch, pitch * 1.48])
    loud = 4 / np.pi * 0.35 * _band_gain(lowest, 500, 4500)
    body = tuple(
        _sine(np.full_like(t, hz), rung * gain) for hz, gain in zip(lowest, loud, strict=True)
    )
    return Drum(_fade_out(_band(tones * 0.35, 500, 4500) * rung, 400), body)


def click_hit(rng: Rng, _kit: Kit, _drive: float) -> Drum:
    """Make a wood block or a click: a very short high sine."""
    t = _time_axis(rng.uniform(0.06, 0.12))
    tone = np.sin(2 * np.pi * rng.uniform(1100, 2200) * t) * np.exp(-t / 0.012)
    return Drum(_fade_out(tone + 0.3 * _noise(rng, len(t)) * np.exp(-t / 0.005), 400))


PERCUSSION: dict[str, Callable[[Rng, Kit, float], Drum]] = {
    "tom": tom, "shaker": shaker, "cowbell": cowbell, "click": click_hit, "rim": rim, "conga": tom,
}  # fmt: skip


def layer(one: Drum, other: Drum, gain: float) -> Drum:
    """Layer two drums as one hit: the first a little softer, the second at a gain."""
    length = max(len(one.sound), len(other.sound))
    sound = _pad_to(one.sound, length) * 0.8 + _pad_to(other.sound, length) * np.float32(gain)
    body = (
        Sine(sine.hz, sine.amplitude * share)
        for drum, share in ((one, 0.8), (other, gain))
        for sine in drum.body
    )
    return Drum(sound, tuple(body))


def distortion_gain(clean: Floats | Sound, distorted: Floats | Sound, window: int = 1024) -> Floats:
    """Estimate the gain of a distortion over time, by least squares in a moving window.

    Args:
        clean: The sound before, [..., samples]; it is taken as a ring, and channels share the gain.
        distorted: The sound after, the same shape.
        window: Samples.

    Returns:
        [samples].
    """
    both = (
        (clean * distorted).reshape(-1, clean.shape[-1]).sum(0),
        (clean * clean).reshape(-1, clean.shape[-1]).sum(0),
    )
    shared, own = (
        scipy.ndimage.uniform_filter1d(one.astype(np.float64), window, mode="wrap") for one in both
    )
    gain: Floats = np.maximum(shared, 0) / (np.maximum(own, 0) + 1e-9)
    return gain


def _pad_to(sound: Sound, length: int) -> Sound:
    return np.pad(sound, (0, length - len(sound)))


def _sine(hz: Floats, amplitude: Floats) -> Sine:
    """Thin out a course that is given at every sample."""
    return Sine(hz[::BODY_HOP], amplitude[::BODY_HOP])


def _distorted(hz: Floats, amplitude: Floats, gain: float, fade: int) -> tuple[Sine, ...]:
    """Return a sine and its lower overtones after tanh(gain * sine) / tanh(gain)."""
    angle, levels = (np.arange(64) + 0.5) * 2 * np.pi / 64, np.linspace(0, 1, 65)
    waves = np.tanh(gain * levels[:, None] * np.sin(angle)) / np.tanh(gain)
    faded = np.minimum(1, (len(hz) - np.arange(len(hz))) / fade)
    sines = []
    for order in OVERTONES:
        harmonic = np.abs((waves * np.sin(order * angle)).mean(1) * 2)
        sines.append(_sine(order * hz, np.interp(amplitude, levels, harmonic) * faded))
    return tuple(sines)


def _band_gain(hz: Floats, low: float, high: float) -> Floats:
    """Compute the gain of ``_band`` at frequencies."""
    sections = scipy.signal.butter(2, (low, high), "band", fs=SAMPLE_RATE, output="sos")
    gain: Floats = np.abs(scipy.signal.sosfreqz(sections, hz, fs=SAMPLE_RATE)[1])
    return gain


def _time_axis(seconds: float) -> Floats:
    return np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def _noise(rng: Rng, samples: int) -> Floats:
    return rng.standard_normal(samples)


def _band(sound: Floats, low: float, high: float | None) -> Floats:
    """Apply a second-order Butterworth filter, high-pass or band-pass."""
    kind, edges = ("high", low) if high is None else ("band", (low, high))
    filtered: Floats = scipy.signal.sosfilt(
        scipy.signal.butter(2, edges, kind, fs=SAMPLE_RATE, output="sos"), sound
    )
    return filtered


def _fade_out(sound: Floats, samples: int) -> Sound:
    """Fade a sound to zero over its last samples."""
    return (sound * np.minimum(1, (len(sound) - np.arange(len(sound))) / samples)).astype(
        np.float32
    )
