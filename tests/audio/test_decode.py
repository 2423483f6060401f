"""Files of all formats become stereo at one rate; others are refused in a sentence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.audio.decode import MAX_CHANNELS, Decoded, decode
from loopwright.errors import NotAudio, TooLarge
from tests.sounds import encoded, tone

FILES = [
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "PCM_32"),
    ("WAV", "FLOAT"),
    ("WAVEX", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("FLAC", "PCM_24"),
    ("MP3", "MPEG_LAYER_III"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
]


def decoded(data: bytes, rate: int = 44100, keep: float = 12, most: float = 600) -> Decoded:
    return decode(data, rate, keep_seconds=keep, max_seconds=most)


def loudest_hz(mono: np.ndarray, rate: int) -> float:
    return float(np.abs(np.fft.rfft(mono * np.hanning(len(mono)))).argmax() * rate / len(mono))


@pytest.mark.parametrize(("kind", "subtype"), FILES)
def test_every_format(kind: str, subtype: str) -> None:
    rate = 48000
    got = decoded(encoded(tone(440, 2, rate), rate, kind, subtype))
    assert got.audio.shape[0] == 2
    assert got.audio.shape[1] == pytest.approx(
        88200, abs=3000 if subtype == "MPEG_LAYER_III" else 2
    )
    assert loudest_hz(got.audio[0], 44100) == pytest.approx(440, abs=1)
    assert np.abs(got.audio).max() == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 96000, 192000])
def test_every_rate_keeps_pitch_and_length(rate: int) -> None:
    got = decoded(encoded(tone(1000, 1.5, rate), rate))
    assert got.audio.shape[1] == pytest.approx(66150, abs=4)
    assert loudest_hz(got.audio[0], 44100) == pytest.approx(1000, abs=1)


def test_stereo_stays_stereo() -> None:
    both = np.concatenate([tone(300, 1, 48000, 1), tone(700, 1, 48000, 1)])
    audio = decoded(encoded(both, 48000)).audio
    assert loudest_hz(audio[0], 44100) == pytest.approx(300, abs=1)
    assert loudest_hz(audio[1], 44100) == pytest.approx(700, abs=1)


def test_mono_is_on_both_sides() -> None:
    audio = decoded(encoded(tone(300, channels=1))).audio
    assert np.array_equal(audio[0], audio[1])
    assert np.abs(audio).max() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("channels", range(3, MAX_CHANNELS + 1))
def test_more_channels_are_folded_down_no_louder(channels: int) -> None:
    audio = np.zeros((channels, 44100), np.float32)
    audio[0], audio[1] = tone(300, channels=1)[0], tone(700, channels=1)[0]
    got = decoded(encoded(audio))
    assert got.audio.shape == (2, 44100)
    assert loudest_hz(got.audio[0], 44100) == pytest.approx(300, abs=1)
    assert loudest_hz(got.audio[1], 44100) == pytest.approx(700, abs=1)
    everywhere = decoded(encoded(np.full((channels, 44100), 0.9, np.float32), subtype="FLOAT"))
    assert np.abs(everywhere.audio).max() <= 0.91
    assert (got.channels, got.frames) == (channels, 44100)


def test_only_what_is_needed_is_kept() -> None:
    assert decoded(encoded(tone(440, 20)), keep=12).audio.shape == (2, 12 * 44100)
    assert decoded(encoded(tone(440, 3)), keep=12).audio.shape == (2, 3 * 44100)


def _wav_with(samples: np.ndarray) -> bytes:
    return encoded(np.tile(samples.astype(np.float32), (2, 1)), subtype="FLOAT")


BAD = [
    ("empty", b"", NotAudio, "audio_file is empty"),
    (
        "text",
        b"hello, I am a wav",
        NotAudio,
        "audio_file is text, not audio; send WAV, AIFF, FLAC, MP3",
    ),
    (
        "cut wav",
        encoded(tone(440))[:20_000],
        NotAudio,
        "audio_file is incomplete: its header says 176,400 bytes",
    ),
    ("cut flac", encoded(tone(440, 3), kind="FLAC")[:8_000], NotAudio, "audio_file"),
    ("header alone", encoded(tone(440))[:44], NotAudio, "audio_file"),
    (
        "NaN",
        _wav_with(np.array([0.0, np.nan] * 500)),
        NotAudio,
        "audio_file has samples that are not finite numbers",
    ),
    (
        "inf",
        _wav_with(np.array([0.0, -np.inf] * 500)),
        NotAudio,
        "audio_file has samples that are not finite numbers",
    ),
    ("no samples", encoded(np.zeros((2, 0), np.float32)), NotAudio, "audio_file holds no samples"),
    (
        "9 channels",
        encoded(tone(440, channels=9)),
        TooLarge,
        "audio_file must have at most 8 channels, got 9",
    ),
    (
        "4 kHz",
        encoded(tone(440, rate=4000), 4000),
        NotAudio,
        "audio_file must have a sample rate from 8000 to 192000 Hz",
    ),
    ("384 kHz", encoded(tone(440, 0.1, 384000), 384000), NotAudio, "got 384000"),
]


@pytest.mark.parametrize(
    ("data", "kind", "part"), [case[1:] for case in BAD], ids=[case[0] for case in BAD]
)
def test_bad_files_are_refused_in_a_sentence(data: bytes, kind: type[NotAudio], part: str) -> None:
    with pytest.raises(kind) as caught:
        decoded(data)
    assert part in caught.value.message
    assert caught.value.field == "audio_file"


def test_an_hour_of_flac_is_too_long() -> None:
    hour = encoded(np.zeros((1, 3600 * 8000), np.float32), 8000, "FLAC")
    with pytest.raises(TooLarge, match="must be at most 600 seconds long, got 3600"):
        decoded(hour)


def test_silence_is_taken() -> None:
    assert not decoded(encoded(np.zeros((2, 44100), np.float32))).audio.any()


HEADS = [b"", b"RIFF", b"RIFF\0\0\0\0WAVEfmt ", b"fLaC", b"OggS", b"ID3", b"FORM"]


@given(data=st.binary(max_size=400), head=st.sampled_from(HEADS))
def test_any_bytes_are_audio_or_refused(data: bytes, head: bytes) -> None:
    refusal = None
    try:
        audio = decoded(head + data).audio
    except (NotAudio, TooLarge) as error:
        refusal = error.message
    assert refusal.startswith("audio_file ") if refusal else np.isfinite(audio).all()
