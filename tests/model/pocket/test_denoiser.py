"""Transposing notes to one key and back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loopwright.model.pocket.denoiser import (
    MAX_SHIFT_DOWN,
    MAX_SHIFT_UP,
    PADDED_NOTES,
    Denoiser,
    musical_position,
    semitones_to_white_keys,
)
from loopwright.model.pocket.tokens import MAX_TOKENS, NULL, PAD, key_token
from loopwright.model.pocket.tones import LOWEST_NOTE, NOTES, ROLL_CHANNELS, ROLLS

DRUMS, TIMBRE = 3, 2
CHANNELS = DRUMS + ROLL_CHANNELS + TIMBRE
DENOISER = Denoiser(
    words=50, channels=CHANNELS, drum_channels=DRUMS, width=16, depth=1, heads=2, inner=16, patch=2
)
MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)


def tokens(*ids: int) -> torch.Tensor:
    return torch.tensor([[*ids] + [PAD] * (MAX_TOKENS - len(ids))])


@given(st.integers(0, 11), st.booleans())
def test_every_key_becomes_white_keys(root: int, minor: bool) -> None:
    moved = int(semitones_to_white_keys(tokens(45, key_token(root, minor), 46)))
    assert -MAX_SHIFT_DOWN <= moved <= MAX_SHIFT_UP
    scale = {(root + moved + step) % 12 for step in (MINOR if minor else MAJOR)}
    assert scale == set(MAJOR)


@pytest.mark.parametrize("ids", [(NULL,), (45, 46), (key_token(None, minor=True),)])
def test_without_a_root_nothing_is_transposed(ids: tuple[int, ...]) -> None:
    assert int(semitones_to_white_keys(tokens(*ids))) == 0


@given(
    st.integers(-MAX_SHIFT_DOWN, MAX_SHIFT_UP), st.integers(0, NOTES - 1), st.integers(0, ROLLS - 1)
)
def test_notes_are_transposed_and_transposed_back(semitones: int, note: int, roll: int) -> None:
    x = torch.randn(1, 4, CHANNELS)
    moved = DENOISER.transpose(x, torch.tensor([semitones]))
    moved_to = DRUMS + roll * PADDED_NOTES + MAX_SHIFT_DOWN + note + semitones
    assert torch.equal(moved[..., moved_to], x[..., DRUMS + roll * NOTES + note])
    assert torch.equal(moved[..., :DRUMS], x[..., :DRUMS])
    assert torch.equal(DENOISER.transpose_back(moved, torch.tensor([semitones])), x)


def test_the_velocity_leads_to_the_prediction() -> None:
    x, t, bpm = torch.randn(1, 4, CHANNELS), torch.tensor([0.6]), torch.tensor([120.0])
    prompt = tokens(45, key_token(4, minor=True))
    clean = DENOISER.predict_clean(x, t, prompt, bpm)
    notes = slice(DRUMS, DRUMS + ROLL_CHANNELS)
    reached = x - 0.6 * DENOISER(x, t, prompt, bpm, loudest=torch.tensor(0.01))
    assert torch.allclose(reached[..., notes], clean[..., notes].clamp(0, 0.01), atol=1e-5)
    assert torch.allclose(reached[..., :DRUMS], clean[..., :DRUMS], atol=1e-5)


@given(st.integers(0, 11), st.booleans())
def test_notes_outside_the_key_are_silent(root: int, minor: bool) -> None:
    prompt = tokens(45, key_token(root, minor))
    clean = DENOISER.predict_clean(
        torch.randn(1, 4, CHANNELS), torch.tensor([0.6]), prompt, torch.tensor([120.0])
    )
    sounding = (
        clean[0, :, DRUMS : DRUMS + ROLL_CHANNELS].abs().amax(0).nonzero()[:, 0] % NOTES
        + LOWEST_NOTE
    )
    assert {(int(note) - root) % 12 for note in sounding} == set(MINOR if minor else MAJOR)


def test_without_a_key_all_notes_may_sound() -> None:
    for prompt in (tokens(NULL), tokens(45), tokens(key_token(None, minor=True))):
        clean = DENOISER.predict_clean(
            torch.randn(1, 4, CHANNELS), torch.tensor([0.6]), prompt, torch.tensor([120.0])
        )
        assert (clean[..., DRUMS : DRUMS + ROLL_CHANNELS] != 0).any(1).all()


def test_positions_repeat_with_the_beat() -> None:
    position = musical_position(torch.tensor([60 * 44100 / 2048 / 8]), 64)  # eight frames a beat
    within_a_beat = slice(0, 6)  # a quarter, a half and one beat
    assert torch.allclose(
        position[0, :8, within_a_beat], position[0, 8:16, within_a_beat], atol=1e-4
    )
    assert not torch.allclose(position[0, :8], position[0, 8:16], atol=1e-2)
