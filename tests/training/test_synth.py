"""The synthesised training loops: sounds, controls and words agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tools.listen import in_key, onsets, share_on_grid
from training.loops import draw_loop, drum_audio, loop_controls, tonal_audio
from training.measures import peaks_found
from training.synth.drums import ELEMENTS, draw_drums, render_drums
from training.synth.genres import BY_NAME, GENRES, STEPS, chances
from training.synth.instruments import BASSES, CHORDS
from training.tone_codec import decoder_targets, roll, strikes
from training.words import PITCHED, TOKENS, VOCABULARY, VOCABULARY_SIZE, caption

from loopwright.model.pocket.layers import FINE_HOP
from loopwright.model.pocket.tokens import FIRST_WORD, NULL, PAD
from loopwright.model.pocket.tones import CONTROLS, NOTES, ToneDecoder, Tones, split_controls

SAMPLES = 64 * 2048


def as_sound(controls: torch.Tensor) -> np.ndarray:
    """Sound exact controls with the model's oscillators."""
    presence, level, share, width = split_controls(controls[None])
    mid, side = ToneDecoder().sound(Tones(presence * torch.exp(level), torch.exp(share), width))[0]
    return torch.stack([mid + side, mid - side]).numpy()


@pytest.mark.parametrize("number", [11, 12, 13, 14])
@pytest.mark.parametrize("kind", ["bass", "chords", "tones"])
def test_controls_match_the_sound(kind: str, number: int) -> None:
    loop = draw_loop(number, kind)
    sound = tonal_audio(loop, SAMPLES)
    again = as_sound(decoder_targets(loop_controls(loop, SAMPLES // FINE_HOP)))
    assert np.sqrt(np.mean(again**2)) == pytest.approx(np.sqrt(np.mean(sound**2)), rel=0.12)
    recall, precision = peaks_found(sound, again)
    assert recall > 0.9
    assert precision > 0.9


def test_tones_are_in_their_key() -> None:
    for number in range(4):
        loop = draw_loop(number, "chords")
        assert (
            in_key(tonal_audio(loop, SAMPLES), 44100, loop.harmony.root, minor=loop.harmony.minor)
            > 0.75
        )


def test_a_number_defines_a_loop() -> None:
    assert np.array_equal(
        drum_audio(draw_loop(3, "drums"), SAMPLES), drum_audio(draw_loop(3, "drums"), SAMPLES)
    )
    assert draw_loop(3).grid == draw_loop(3).grid
    assert not np.array_equal(
        drum_audio(draw_loop(3, "drums"), SAMPLES), drum_audio(draw_loop(4, "drums"), SAMPLES)
    )


@pytest.mark.parametrize("genre", ["techno", "dnb", "trap"])
def test_drums_are_whole_bars_on_the_grid(genre: str) -> None:
    score = draw_drums(5, BY_NAME[genre], 140.0, 0.0)
    audio = render_drums(score)
    assert audio.shape == (2, round(score.bars * 240 / 140 * 44100))
    assert np.abs(audio).max() < 1
    tolerance = 0.025 if genre != "trap" else 0.04  # rolls are between sixteenths
    assert share_on_grid(onsets(audio, 44100), 140.0, tolerance) > 0.9


def test_genres_name_existing_patterns_and_instruments() -> None:
    for genre in GENRES:
        for pattern in (genre.kick, genre.snare, genre.hat, genre.open_hat, genre.percussion):
            assert len(chances(pattern)) == len(pattern) == STEPS
        assert set(genre.basses) <= set(BASSES)
        assert set(genre.chords) <= set(CHORDS)
        assert genre.name in TOKENS


def test_captions_are_true() -> None:
    rng = np.random.default_rng(0)
    for number in range(300):
        loop = draw_loop(number)
        tokens = {token for token in caption(loop, rng) if token not in {PAD, NULL}}
        assert all(token < VOCABULARY_SIZE for token in tokens)
        if loop.drums is None:
            assert TOKENS["drums"] not in tokens
        if not loop.parts:
            assert not tokens & {TOKENS[name] for name in ("bass", "chords", "tones", "piano")}
            assert min(tokens, default=FIRST_WORD) >= FIRST_WORD  # drums have no key
        missing = {one for one in ELEMENTS if TOKENS[f"without-{one}"] in tokens}
        assert not missing or (
            loop.drums and loop.drums.only and not missing & set(loop.drums.only)
        )


def test_every_word_has_one_meaning() -> None:
    assert set(VOCABULARY.values()) == set(TOKENS.values())


def test_every_instrument_is_pitched() -> None:
    assert set(PITCHED) <= set(TOKENS)
    assert ({*BASSES, *CHORDS} - {"synth"}) <= set(PITCHED)  # a synth is said to be `tones`
    assert not set(PITCHED) & {"drums", *ELEMENTS, *(genre.name for genre in GENRES)}


def test_transposing_by_a_semitone_shifts_the_roll_by_one() -> None:
    loop = draw_loop(21, "chords")
    (part,) = loop.parts
    up = replace(part, notes=tuple(replace(note, pitch=note.pitch + 1) for note in part.notes))
    low, high = (
        by_note(decoder_targets(loop_controls(replace(loop, parts=(one,)), SAMPLES // FINE_HOP)))
        for one in (part, up)
    )
    assert low.max() > 0.5
    # harmonics pass the filter a little less the higher the note is
    assert torch.allclose(high[:, 1:], low[:, :-1], atol=0.06)


def by_note(controls: torch.Tensor) -> torch.Tensor:
    """Compute the roll in the order of time, [times, NOTES]."""
    return roll(controls[None]).reshape(-1, NOTES)


def held_note(struck_at: int) -> torch.Tensor:
    """Make controls of a note that sounds from the beginning and is louder from a step on."""
    presence, level = torch.zeros(64, NOTES), torch.full((64, NOTES), -9.0)
    presence[:, 30], level[:, 30] = 1, -3.0
    level[struck_at:, 30] += 0.5
    return torch.cat([presence, level, torch.zeros(64, CONTROLS - 2 * NOTES)], -1)


@pytest.mark.parametrize("struck_at", [31, 32, 33])
def test_a_note_that_is_struck_again_is_silent_before(struck_at: int) -> None:
    rolled = by_note(held_note(struck_at))[:, 30]
    dips = np.flatnonzero(rolled < 0.7 * rolled.median())
    assert 1 <= len(dips) <= 2
    steps_a_time = 64 // len(rolled)
    assert struck_at - 4 <= dips.min() * steps_a_time <= dips.max() * steps_a_time < struck_at


def test_a_note_that_swells_is_not_struck() -> None:
    controls = held_note(64)
    controls[:, NOTES + 30] = torch.linspace(-4, -1, 64)
    presence, level, *_ = split_controls(controls[None])
    assert strikes(presence, level).sum() == 0
