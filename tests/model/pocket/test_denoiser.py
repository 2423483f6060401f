"""Moving notes to one key and back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loopwright.model.pocket.denoiser import (
    MOST_DOWN,
    MOST_UP,
    NOTES_WITH_ROOM,
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
    assert -MOST_DOWN <= moved <= MOST_UP
    scale = {(root + moved + step) % 12 for step in (MINOR if minor else MAJOR)}
    assert scale == set(MAJOR)


@pytest.mark.parametrize("ids", [(NULL,), (45, 46), (key_token(None, minor=True),)])
def test_without_a_root_nothing_is_moved(ids: tuple[int, ...]) -> None:
    assert int(semitones_to_white_keys(tokens(*ids))) == 0


@given(st.integers(-MOST_DOWN, MOST_UP), st.integers(0, NOTES - 1), st.integers(0, ROLLS - 1))
def test_notes_are_moved_and_moved_back(semitones: int, note: int, roll: int) -> None:
    x = torch.randn(1, 4, CHANNELS)
    moved = DENOISER.moved(x, torch.tensor([semitones]))
    moved_to = DRUMS + roll * NOTES_WITH_ROOM + MOST_DOWN + note + semitones
    assert torch.equal(moved[..., moved_to], x[..., DRUMS + roll * NOTES + note])
    assert torch.equal(moved[..., :DRUMS], x[..., :DRUMS])
    assert torch.equal(DENOISER.moved_back(moved, torch.tensor([semitones])), x)


def test_the_velocity_leads_to_what_is_predicted() -> None:
    x, t, bpm = torch.randn(1, 4, CHANNELS), torch.tensor([0.6]), torch.tensor([120.0])
    said = tokens(45, key_token(4, minor=True))
    clean = DENOISER.clean(x, t, said, bpm)
    notes = slice(DRUMS, DRUMS + ROLL_CHANNELS)
    reached = x - 0.6 * DENOISER(x, t, said, bpm, loudest=torch.tensor(0.01))
    assert torch.allclose(reached[..., notes], clean[..., notes].clamp(0, 0.01), atol=1e-5)
    assert torch.allclose(reached[..., :DRUMS], clean[..., :DRUMS], atol=1e-5)


@given(st.integers(0, 11), st.booleans())
def test_notes_outside_the_key_are_silent(root: int, minor: bool) -> None:
    said = tokens(45, key_token(root, minor))
    clean = DENOISER.clean(
        torch.randn(1, 4, CHANNELS), torch.tensor([0.6]), said, torch.tensor([120.0])
    )
    sounding = (
        clean[0, :, DRUMS : DRUMS + ROLL_CHANNELS].abs().amax(0).nonzero()[:, 0] % NOTES
        + LOWEST_NOTE
    )
    assert {(int(note) - root) % 12 for note in sounding} == set(MINOR if minor else MAJOR)


def test_without_a_key_all_notes_may_sound() -> None:
    for said in (tokens(NULL), tokens(45), tokens(key_token(None, minor=True))):
        clean = DENOISER.clean(
            torch.randn(1, 4, CHANNELS), torch.tensor([0.6]), said, torch.tensor([120.0])
        )
        assert (clean[..., DRUMS : DRUMS + ROLL_CHANNELS] != 0).any(1).all()


def test_positions_repeat_with_the_beat() -> None:
    position = musical_position(torch.tensor([60 * 44100 / 2048 / 8]), 64)  # eight frames a beat
    within_a_beat = slice(0, 6)  # a quarter, a half and one beat
    assert torch.allclose(
        position[0, :8, within_a_beat], position[0, 8:16, within_a_beat], atol=1e-4
    )
    assert not torch.allclose(position[0, :8], position[0, 8:16], atol=1e-2)
