"""Small pieces of audio and files of them."""

from __future__ import annotations

import io

import numpy as np
import soundfile

from loopwright.audio.types import Audio

RATE = 44100


def tone(hz: float, seconds: float = 1.0, rate: int = RATE, channels: int = 2) -> Audio:
    """A sine, [channels, samples]."""
    wave = 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
    return np.tile(wave, (channels, 1)).astype(np.float32)


def drums(bpm: float, beats: int = 16, rate: int = RATE) -> Audio:
    """Noise bursts on every eighth, [2, samples]; the first at sample 0."""
    noise = np.random.default_rng(0)
    audio = np.zeros(round(beats * 60 / bpm * rate), np.float32)
    for eighth in range(beats * 2):
        start = round(eighth * 30 / bpm * rate)
        burst = (
            noise.standard_normal(2000)
            * np.exp(-np.arange(2000) / 300)
            * (0.5 if eighth % 2 == 0 else 0.3)
        )
        audio[start : start + 2000] += burst[: len(audio) - start].astype(np.float32)
    return np.tile(audio, (2, 1))


def encoded(audio: Audio, rate: int = RATE, kind: str = "WAV", subtype: str | None = None) -> bytes:
    """The bytes of a file."""
    out = io.BytesIO()
    with soundfile.SoundFile(out, "w", rate, audio.shape[0], subtype, format=kind) as file:
        for start in range(
            0, audio.shape[1], rate
        ):  # in pieces: libsndfile crashes on long OGGs written at once
            file.write(audio[:, start : start + rate].T)
    return out.getvalue()
