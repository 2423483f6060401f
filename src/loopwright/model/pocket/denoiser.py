"""The embedded model's denoiser: a diffusion transformer that is told where in the bar each frame is.

Knows: latents, tokens, tempo. The position in periods of ¼ … 16 beats, as sines and cosines beside the latents, is what
puts onsets on the grid. Words are few and their order says nothing, so they are added up.

Where a prompt names the key, notes are moved to C major or A minor before the network sees them and back after it, so that
all keys are one to it, and those on black keys are silent. It predicts what is without noise (Li and He 2025, "Back to
basics"): rolls of notes are sparse, noise is not, and a narrow network can say the first only. What it returns is the
velocity of a rectified flow (Liu et al. 2022).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loopwright.model.pocket.layers import HOP, SAMPLE_RATE
from loopwright.model.pocket.tokens import FIRST_KEY, NO_ROOT, PAD
from loopwright.model.pocket.tones import LOWEST_NOTE, NOTES, ROLL_CHANNELS, ROLLS

PERIODS_IN_BEATS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
POSITION_CHANNELS = 2 * len(PERIODS_IN_BEATS)
TIME_FEATURES = 64
TEMPO_FEATURES = 16
ROTARY_BASE = 200
HIGHEST_TIME_FREQUENCY = 1000
LEAST_TIME = 0.05
"""Below it the velocity is not told from the prediction, whose errors would be blown up."""
WHITE_KEYS = (0, 2, 4, 5, 7, 9, 11)
MOST_UP, MOST_DOWN = 6, 5
"""Semitones that notes are moved by; there is room for them above and below the roll."""
NOTES_WITH_ROOM = NOTES + MOST_UP + MOST_DOWN
CONDITION = 128
"""Width of what time, tempo and words come to; a narrow one, since every block has a matrix of its own on it."""


def musical_position(bpm: Tensor, frames: int) -> Tensor:
    """bpm: [rows] -> [rows, frames, POSITION_CHANNELS], at the centre of each latent frame; the first downbeat is at 0."""
    seconds = (torch.arange(frames, device=bpm.device) + 0.5) * (HOP / SAMPLE_RATE)
    beats = seconds * bpm[:, None] / 60
    angles = [2 * math.pi * beats / period for period in PERIODS_IN_BEATS]
    return torch.stack([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], -1)


def rotary(positions: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary position embedding (Su et al. 2021), each [positions, width // 2]."""
    frequencies = 1.0 / ROTARY_BASE ** (torch.arange(0, width, 2, device=device) / width)
    angles = torch.arange(positions, device=device)[:, None] * frequencies
    return angles.cos(), angles.sin()


class Block(nn.Module):
    """Attention over time, then a network per frame; the condition scales, shifts and gates both (Peebles and Xie 2023)."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads = heads
        self.self_norm = nn.LayerNorm(width, elementwise_affine=False)
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.query_norm = nn.LayerNorm(width // heads)
        self.key_norm = nn.LayerNorm(width // heads)
        self.self_output = nn.Linear(width, width)
        self.inner_norm = nn.LayerNorm(width, elementwise_affine=False)
        self.mix = nn.Conv1d(width, width, 3, padding=1, groups=width)
        self.widen = nn.Linear(width, inner)
        self.narrow = nn.Linear(inner, width)
        self.modulation = nn.Linear(CONDITION, 6 * width)

    def forward(self, x: Tensor, condition: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        """x: [rows, patches, width], condition: [rows, CONDITION]."""
        modulation = self.modulation(condition)[:, None].chunk(6, -1)
        x = (
            x
            + (1 + modulation[2])
            * self._attend(self.self_norm(x) * (1 + modulation[0]) + modulation[1], turn)
            * 0.5
        )
        inner = self.inner_norm(x) * (1 + modulation[3]) + modulation[4]
        inner = inner + self.mix(inner.transpose(1, 2)).transpose(1, 2)
        out: Tensor = self.narrow(F.gelu(self.widen(inner), approximate="tanh"))
        gated: Tensor = x + (1 + modulation[5]) * out * 0.5
        return gated

    def _attend(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        rows, patches, width = x.shape
        shape = (rows, patches, 3, self.heads, width // self.heads)
        query, key, value = self.query_key_value(x).reshape(shape).permute(2, 0, 3, 1, 4)
        query, key = _turned(self.query_norm(query), turn), _turned(self.key_norm(key), turn)
        attended = F.scaled_dot_product_attention(query, key, value)
        output: Tensor = self.self_output(attended.transpose(1, 2).reshape(x.shape))
        return output


class Denoiser(nn.Module):
    """The whole denoiser. words: tokens in the vocabulary; patch: latent frames taken together as one position.

    channels: of the latents, in this order: drum_channels, the ROLLS of NOTES, what says how the notes sound.
    """

    white: Tensor

    def __init__(
        self,
        words: int,
        channels: int,
        drum_channels: int,
        width: int,
        depth: int,
        heads: int,
        inner: int,
        patch: int,
    ) -> None:
        super().__init__()
        self.patch = patch
        self.head_width = width // heads
        self.parts = [drum_channels, ROLL_CHANNELS, channels - drum_channels - ROLL_CHANNELS]
        self.moved_parts = [drum_channels, ROLLS * NOTES_WITH_ROOM, self.parts[2]]
        seen = sum(self.moved_parts)
        self.input = nn.Linear(patch * (seen + POSITION_CHANNELS), width)
        self.words = nn.Embedding(words, width)
        self.time = nn.Sequential(
            nn.Linear(2 * TIME_FEATURES, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.tempo = nn.Sequential(
            nn.Linear(2 * TEMPO_FEATURES, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.said = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.condition = nn.Linear(width, CONDITION)
        self.blocks = nn.ModuleList([Block(width, heads, inner) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, patch * seen)
        pitches = torch.arange(NOTES_WITH_ROOM) + LOWEST_NOTE - MOST_DOWN
        self.register_buffer(
            "white", torch.isin(pitches % NO_ROOT, torch.tensor(WHITE_KEYS)), persistent=False
        )

    def forward(self, x: Tensor, t: Tensor, tokens: Tensor, bpm: Tensor, loudest: Tensor) -> Tensor:
        """The velocity. x: [rows, frames, channels], frames a multiple of the patch; t: [rows]; tokens: [rows, MAX_TOKENS];
        bpm: [rows]; loudest: what a note is at most, []. Unbounded, a note may grow from step to step.
        """
        drums, notes, timbre = torch.split(self.clean(x, t, tokens, bpm), self.parts, -1)
        clean = torch.cat([drums, torch.minimum(notes.clamp(min=0), loudest), timbre], -1)
        return velocity_to(clean, x, t)

    def clean(self, x: Tensor, t: Tensor, tokens: Tensor, bpm: Tensor) -> Tensor:
        """What ``x`` is of, without its noise: as ``forward``."""
        rows, frames, _ = x.shape
        moved_by = semitones_to_white_keys(tokens)
        placed = torch.cat([self.moved(x, moved_by), musical_position(bpm, frames)], -1)
        condition = self._condition(t, tokens, bpm)
        hidden = self.input(placed.reshape(rows, frames // self.patch, -1)) + condition[:, None]
        narrow = F.silu(self.condition(F.silu(condition)))
        turn = rotary(hidden.shape[1], self.head_width, x.device)
        for block in self.blocks:
            hidden = block(hidden, narrow, turn)
        moved = self.output(self.norm(hidden)).reshape(rows, frames, -1)
        return self.moved_back(moved * self._heard(tokens)[:, None], moved_by)

    def _heard(self, tokens: Tensor) -> Tensor:
        """1 for channels that may say something, 0 for notes that are not in the key, [rows, channels with notes moved]."""
        drums, _, timbre = self.moved_parts
        notes = self.white | ~names_key_and_mode(tokens)[:, None]
        return F.pad(notes.float().repeat(1, ROLLS), (drums, timbre), value=1.0)

    def moved(self, x: Tensor, semitones: Tensor) -> Tensor:
        """Notes moved up, [rows] semitones, with room at both ends: [rows, frames, channels] -> eleven more in every roll."""
        drums, notes, timbre = torch.split(x, self.parts, -1)
        rolls = F.pad(notes.reshape(*x.shape[:-1], ROLLS, NOTES), (MOST_DOWN, MOST_UP))
        return torch.cat([drums, _rolled(rolls, semitones).flatten(-2), timbre], -1)

    def moved_back(self, x: Tensor, semitones: Tensor) -> Tensor:
        """``moved`` undone; what is in the room at the ends is dropped."""
        drums, notes, timbre = torch.split(x, self.moved_parts, -1)
        rolls = _rolled(notes.reshape(*x.shape[:-1], ROLLS, NOTES_WITH_ROOM), -semitones)
        return torch.cat([drums, rolls[..., MOST_DOWN : MOST_DOWN + NOTES].flatten(-2), timbre], -1)

    def _condition(self, t: Tensor, tokens: Tensor, bpm: Tensor) -> Tensor:
        """Time, tempo and the sum of the words, [rows, width]."""
        said = (self.words(tokens) * (tokens != PAD)[..., None]).sum(1)
        frequencies = torch.exp(
            torch.linspace(0, math.log(HIGHEST_TIME_FREQUENCY), TIME_FEATURES, device=t.device)
        )
        octaves = (
            torch.log2(bpm / 60)[:, None]
            * torch.arange(1, TEMPO_FEATURES + 1, device=t.device)
            * (math.pi / 2)
        )
        total: Tensor = (
            self.time(_waves(t[:, None] * frequencies))
            + self.tempo(_waves(octaves))
            + self.said(said)
        )
        return total


def velocity_to(clean: Tensor, x: Tensor, t: Tensor) -> Tensor:
    """The velocity from ``x`` at time t to what is clean. t: [rows]; x: [rows, …, …]; clean: of x's shape or less."""
    return (x - clean) / t.clamp(min=LEAST_TIME)[:, None, None]


def semitones_to_white_keys(tokens: Tensor) -> Tensor:
    """tokens: [rows, MAX_TOKENS] -> [rows], -MOST_DOWN … MOST_UP: what moves the prompt's key to C major or A minor."""
    key = tokens - FIRST_KEY
    named = (key >= 0) & (key < 3 * NO_ROOT)
    minor = (key >= NO_ROOT) & (key < 2 * NO_ROOT)
    tonic_as_major = (key + 3 * minor.long()) % NO_ROOT
    return torch.where(named, _nearest(-tonic_as_major), 0).sum(-1)


def names_key_and_mode(tokens: Tensor) -> Tensor:
    """tokens: [rows, MAX_TOKENS] -> [rows]: whether all notes' names are known."""
    return ((tokens >= FIRST_KEY) & (tokens < FIRST_KEY + 2 * NO_ROOT)).any(-1)


def _nearest(semitones: Tensor) -> Tensor:
    """Within the octave around no move at all."""
    return (semitones + MOST_DOWN) % NO_ROOT - MOST_DOWN


def _rolled(notes: Tensor, semitones: Tensor) -> Tensor:
    """notes: [rows, frames, rolls, notes], moved up by semitones, [rows], and around."""
    count = notes.shape[-1]
    came_from = (torch.arange(count, device=notes.device) - semitones[:, None]) % count
    return notes.gather(-1, came_from[:, None, None].expand_as(notes))


def _waves(angle: Tensor) -> Tensor:
    return torch.cat([angle.sin(), angle.cos()], -1)


def _turned(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """x: [..., patches, width], even and odd channels as pairs -> turned pairs, evens then odds."""
    cosine, sine = turn
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.cat([even * cosine - odd * sine, even * sine + odd * cosine], -1)
