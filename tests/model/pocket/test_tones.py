"""The oscillators: a note's frequencies, levels, and silence."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from loopwright.model.pocket.layers import FINE_HOP, SAMPLE_RATE
from loopwright.model.pocket.tones import (
    CONTROLS,
    GROUPS,
    HARMONIC_GROUPS,
    LOWEST_NOTE,
    NOTES,
    REGISTERS,
    TONE_CHANNELS,
    ToneDecoder,
    Tones,
    decode_controls,
    note_hz,
    split_controls,
)

STEPS = 128


@pytest.fixture(scope="module")
def decoder() -> ToneDecoder:
    return ToneDecoder()


def tone(note: int, shares: dict[int, float], width: float = 0.0) -> Tones:
    level, share = torch.zeros(1, STEPS, NOTES), torch.zeros(1, STEPS, REGISTERS, GROUPS)
    level[..., note - LOWEST_NOTE] = 0.2
    for group, amplitude in shares.items():
        share[..., group] = amplitude
    return Tones(level, share, torch.full((1, STEPS, REGISTERS), width))


def spectrum(sound: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    window = np.hanning(len(sound))
    return np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE), np.abs(
        np.fft.rfft(sound.numpy() * window)
    ) * 2 / window.sum()


@pytest.mark.parametrize("note", [33, 57, 60, 81])
def test_a_note_sounds_at_its_frequency_and_level(decoder: ToneDecoder, note: int) -> None:
    hz, amplitude = spectrum(decoder.sound(tone(note, {0: 1.0}))[0, 0])
    assert hz[amplitude.argmax()] == pytest.approx(
        note_hz(note), abs=SAMPLE_RATE / (STEPS * FINE_HOP)
    )
    assert amplitude.max() == pytest.approx(0.2, rel=0.15)


def test_harmonics_are_within_eight_cents(decoder: ToneDecoder) -> None:
    for group in range(8):  # those that are groups of their own
        harmonic = HARMONIC_GROUPS[group]
        hz, amplitude = spectrum(decoder.sound(tone(48, {group: 1.0}))[0, 0])
        cents = 1200 * np.log2(hz[amplitude.argmax()] / (harmonic * note_hz(48)))
        assert abs(cents) < 8 + 1200 * np.log2(
            1 + 0.5 * SAMPLE_RATE / (STEPS * FINE_HOP) / (harmonic * note_hz(48))
        )


def test_width_is_side_against_mid(decoder: ToneDecoder) -> None:
    mid, side = decoder.sound(tone(60, {0: 1.0, 2: 0.5}, width=0.5))[0]
    assert side.std() / mid.std() == pytest.approx(0.5, rel=0.1)
    assert decoder.sound(tone(60, {0: 1.0}))[0, 1].abs().max() == 0


def test_a_note_starts_within_a_step(decoder: ToneDecoder) -> None:
    sounds = tone(60, {0: 1.0})
    level = sounds.level.clone()
    level[:, :64] = 0
    sound = decoder.sound(Tones(level, sounds.share, sounds.width))[0, 0]
    assert sound[: 63 * FINE_HOP + FINE_HOP // 2].abs().max() == 0
    assert sound[64 * FINE_HOP : 66 * FINE_HOP].abs().max() > 0.1


def test_a_note_without_presence_is_silent(decoder: ToneDecoder) -> None:
    controls = torch.zeros(1, 8, CONTROLS)
    presence, *_ = split_controls(controls)
    presence[:] = -1
    assert decode_controls(controls).level.abs().max() == 0
    presence[..., 30] = 1
    assert (decode_controls(controls).level > 0).sum() == 8


def test_latents_become_whole_frames(decoder: ToneDecoder) -> None:
    assert decoder(torch.zeros(2, 5, TONE_CHANNELS)).shape == (2, 2, 5 * 4 * FINE_HOP)
