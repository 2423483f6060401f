"""The bodies of drums: their pitch, their level, when they ring, and what has none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.signal
import torch
from training.drum_bodies import decoder_targets
from training.synth.drum_tones import SOONEST, drum_tones
from training.synth.drums import Take, draw_drums, play

from loopwright.model.pocket.bodies import (
    BODIES,
    BODIES_PER_OCTAVE,
    LOWEST_BODY_HZ,
    BodyDecoder,
    decode_controls,
)
from loopwright.model.pocket.layers import FINE_HOP, SAMPLE_RATE

BPM = 118.125
"""Four bars of it are 700 steps."""
STEPS = 700


def take_of(seed: int, *only: str) -> Take:
    return play(replace(draw_drums(seed, bpm=BPM), only=only, drive=0.2, space=0.0))


def as_sound(power: np.ndarray) -> np.ndarray:
    sound: np.ndarray = (
        BodyDecoder(1, 8).oscillators(torch.from_numpy(np.sqrt(2 * power)).float()[None])[0].numpy()
    )
    return sound


def hz_of(oscillator: int) -> float:
    return LOWEST_BODY_HZ * 2 ** (oscillator / BODIES_PER_OCTAVE)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_kick_rings_at_its_pitch_after_its_hit(seed: int) -> None:
    take = take_of(seed, "kick")
    hit, centres = take.hits[-1], np.arange(STEPS) * FINE_HOP + FINE_HOP // 2
    power = drum_tones(replace(take, hits=(hit,)), STEPS)
    pitch = hit.drum.body[0].hz[-1]
    assert abs(1200 * np.log2(hz_of(int(power.sum(0).argmax())) / pitch)) < 18
    after = centres[power.any(1)] - hit.at
    assert ((after % take.audio.shape[1]) >= SOONEST).all()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_oscillators_are_as_loud_as_the_kick(seed: int) -> None:
    take = take_of(seed, "kick")
    power = drum_tones(take, STEPS)
    low = scipy.signal.butter(4, 110, fs=SAMPLE_RATE, output="sos")
    audio, again = (
        scipy.signal.sosfiltfilt(low, one) for one in (take.audio.mean(0), as_sound(power))
    )
    rings = np.repeat((power > 1e-4).any(1), FINE_HOP)
    apart = 10 * np.log10(np.mean(again[rings] ** 2) / np.mean(audio[rings] ** 2))
    assert (
        abs(apart) < 2.5
    )  # tails of earlier hits are in phase with later ones here, but not in the sound


def test_what_rings_over_the_end_is_in_the_beginning() -> None:
    take = take_of(4)
    power = drum_tones(take, 2 * STEPS)
    assert np.allclose(power[:STEPS], power[STEPS:])
    assert power.max() > 0


def test_hats_and_silence_have_no_body() -> None:
    assert drum_tones(take_of(5, "hat"), STEPS).max() == 0
    assert as_sound(np.zeros((8, BODIES))).max() == 0


def test_each_target_rings_once() -> None:
    power = np.zeros((4, BODIES))
    power[:, [20, 90]] = 0.02
    presence, level = decoder_targets(torch.from_numpy(power).float()).chunk(2, -1)
    nearest = -(torch.arange(BODIES)[:, None] - torch.tensor([20, 90])).abs().amin(1)
    amplitude = decode_controls(torch.cat([(presence - 0.5) + 0.01 * nearest, level], -1)[None])[0]
    assert torch.equal((amplitude > 0).nonzero()[:2, 1], torch.tensor([20, 90]))
    assert amplitude[0, 20] == pytest.approx(0.2, rel=0.01)


def test_an_untrained_decoder_is_silent() -> None:
    assert BodyDecoder(4, 16)(torch.randn(1, 6, 4)).abs().max() == 0
