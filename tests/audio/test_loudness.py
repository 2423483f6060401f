"""Peaks, loudness, and bringing audio to a level."""

from __future__ import annotations

import numpy as np
import pytest

from loopwright.audio.loudness import is_silent, loudness, normalize, peak, true_peak
from loopwright.audio.types import Normalize
from tests.sounds import RATE, drums, tone

SILENT = np.zeros((2, 1000), np.float32)


def test_peak() -> None:
    audio, warnings = normalize(tone(440), "peak", RATE, -14)
    assert 20 * np.log10(peak(audio)) == pytest.approx(-0.1, abs=0.001)
    assert warnings == ()


@pytest.mark.parametrize("target", [-30, -20, -14])
def test_loudness(target: float) -> None:
    audio, warnings = normalize(tone(440, 0.3), "loudness", RATE, target)
    assert loudness(audio, RATE) == pytest.approx(target, abs=0.1)
    assert warnings == ()


def test_loudness_is_limited_by_the_true_peak() -> None:
    audio, (warning,) = normalize(drums(120), "loudness", RATE, -5)
    assert true_peak(audio) <= 10 ** (-0.1 / 20) * 1.001
    assert "limited by its true peak" in warning


def test_a_true_peak_between_samples_is_seen() -> None:
    wave = np.tile(np.sin(np.pi / 2 * np.arange(4000) + np.pi / 4), (2, 1)).astype(np.float32)
    assert peak(wave) == pytest.approx(0.707, abs=0.001)
    assert true_peak(wave) == pytest.approx(1.0, abs=0.02)


def test_without_normalizing_only_clipping_is_prevented() -> None:
    audio, warnings = normalize(tone(440), "none", RATE, -14)
    assert np.array_equal(audio, tone(440))
    assert warnings == ()
    loud, (warning,) = normalize(tone(440) * 4, "none", RATE, -14)
    assert peak(loud) < 1
    assert "clipped" in warning


@pytest.mark.parametrize("how", ["peak", "loudness", "none"])
def test_silence_stays_silence(how: str) -> None:
    audio, warnings = normalize(SILENT, how, RATE, -14)  # type: ignore[arg-type]
    assert not audio.any()
    assert warnings == ()


@pytest.mark.parametrize("how", ["peak", "loudness"])
@pytest.mark.parametrize("level_db", [-59.0, -50.0, -40.0])
def test_nothing_is_raised_by_more_than_30_db(how: Normalize, level_db: float) -> None:
    quiet = tone(440) * np.float32(2 * 10 ** (level_db / 20))
    audio, (warning,) = normalize(quiet, how, RATE, -5)
    assert 20 * np.log10(peak(audio) / peak(quiet)) == pytest.approx(30, abs=0.01)
    assert "30 dB" in warning


@pytest.mark.parametrize("how", ["peak", "loudness", "none"])
def test_a_decoders_noise_floor_is_silence(how: Normalize) -> None:
    hum = np.random.default_rng(0).uniform(-1, 1, (2, RATE)).astype(np.float32) * np.float32(
        10 ** (-72 / 20)
    )
    assert is_silent(hum)
    audio, warnings = normalize(hum, how, RATE, -14)
    assert np.array_equal(audio, hum)
    assert warnings == ()
