"""The embedded model's denoiser: a diffusion transformer that knows each frame's place in the bar.

The musical position, as sines and cosines of periods from a quarter of a beat to 16 beats, is
given beside the latents: it is what puts onsets on the grid. Prompts have few words and their order
means nothing, so word embeddings are added up.

Where a prompt names the key, notes are transposed to C major or A minor before the network sees
them and back afterwards. All keys are alike to it, and notes on black keys are silenced.

It predicts the clean latents (Li and He 2025, "Back to Basics"): rolls of notes are sparse, noise
is not, and a narrow network can express only the first. It returns the velocity of a rectified flow
(Liu et al. 2022).

Knows: latents, tokens, tempo.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loopwright.model.pocket.layers import HOP, SAMPLE_RATE
from loopwright.model.pocket.tokens import FIRST_KEY, PAD, ROOTS
from loopwright.model.pocket.tones import LOWEST_NOTE, NOTES, ROLL_CHANNELS, ROLLS

PERIODS_IN_BEATS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
POSITION_CHANNELS = 2 * len(PERIODS_IN_BEATS)
TIME_FEATURES = 64
TEMPO_FEATURES = 16
ROTARY_BASE = 200
HIGHEST_TIME_FREQUENCY = 1000
MIN_TIME = 0.05
"""The velocity divides by the time, which would blow up the prediction's errors below this."""
WHITE_KEYS = (0, 2, 4, 5, 7, 9, 11)
MAX_SHIFT_UP, MAX_SHIFT_DOWN = 6, 5
"""Semitones by which notes are transposed; the roll is padded by as many above and below."""
PADDED_NOTES = NOTES + MAX_SHIFT_UP + MAX_SHIFT_DOWN
CONDITION_WIDTH = 128
"""Width of the condition on time, tempo and words; narrow, since each block has a matrix on it."""


def musical_position(bpm: Tensor, frames: int) -> Tensor:
    """Compute the position in the bar at the centre of each latent frame; a downbeat is at 0.

    Args:
        bpm: Beats per minute, [batch].
        frames: Latent frames.

    Returns:
        [batch, frames, POSITION_CHANNELS].
    """
    seconds = (torch.arange(frames, device=bpm.device) + 0.5) * (HOP / SAMPLE_RATE)
    beats = seconds * bpm[:, None] / 60
    waves = []
    for period in PERIODS_IN_BEATS:
        angle = 2 * math.pi * beats / period
        waves += [torch.sin(angle), torch.cos(angle)]
    return torch.stack(waves, -1)


def rotary(positions: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Compute the cosines and sines of rotary position embedding (Su et al. 2021).

    Returns:
        Two tensors, each [positions, width // 2].
    """
    even_channels = torch.arange(0, width, 2, device=device)
    frequencies = 1.0 / ROTARY_BASE ** (even_channels / width)
    angles = torch.arange(positions, device=device)[:, None] * frequencies
    return angles.cos(), angles.sin()


class Block(nn.Module):
    """A transformer block: attention over time, then a network per frame.

    The condition scales, shifts and gates both (Peebles and Xie 2023).

    Args:
        width: Channels.
        heads: Attention heads.
        inner: Width of the hidden layer.
    """

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
        self.modulation = nn.Linear(CONDITION_WIDTH, 6 * width)

    def forward(self, x: Tensor, condition: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        """Apply the block.

        Args:
            x: [batch, patches, width].
            condition: [batch, CONDITION_WIDTH].
            rotation: As ``rotary`` returns it.

        Returns:
            The shape of ``x``.
        """
        modulation = self.modulation(condition)[:, None].chunk(6, -1)
        scale, shift, gate, inner_scale, inner_shift, inner_gate = modulation
        normed = self.self_norm(x) * (1 + scale) + shift
        x = x + (1 + gate) * self.attend(normed, rotation) * 0.5
        inner = self.inner_norm(x) * (1 + inner_scale) + inner_shift
        inner = inner + self.mix(inner.transpose(1, 2)).transpose(1, 2)
        out: Tensor = self.narrow(F.gelu(self.widen(inner), approximate="tanh"))
        gated: Tensor = x + (1 + inner_gate) * out * 0.5
        return gated

    def attend(self, x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        """Attend over time to [batch, patches, width]; the shape stays."""
        batch, patches, width = x.shape
        shape = (batch, patches, 3, self.heads, width // self.heads)
        query, key, value = self.query_key_value(x).reshape(shape).permute(2, 0, 3, 1, 4)
        query = _rotate(self.query_norm(query), rotation)
        key = _rotate(self.key_norm(key), rotation)
        attended = F.scaled_dot_product_attention(query, key, value)
        output: Tensor = self.self_output(attended.transpose(1, 2).reshape(x.shape))
        return output


class Denoiser(nn.Module):
    """The denoiser of the embedded model.

    Latent channels are in this order: drums, ROLLS rolls of NOTES, timbre. The module ``said``
    embeds the sum of the words; its name is a key of the shipped weights, as all modules' are.

    Args:
        words: Tokens in the vocabulary.
        channels: Channels of a latent frame.
        drum_channels: Channels of drums.
        width: Width of the transformer.
        depth: Transformer blocks.
        heads: Attention heads per block.
        inner: Width of a block's hidden layer.
        patch: Latent frames taken together as one position.
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
        timbre_channels = channels - drum_channels - ROLL_CHANNELS
        self.sizes = [drum_channels, ROLL_CHANNELS, timbre_channels]
        self.padded_sizes = [drum_channels, ROLLS * PADDED_NOTES, timbre_channels]
        padded = sum(self.padded_sizes)
        self.input = nn.Linear(patch * (padded + POSITION_CHANNELS), width)
        self.words = nn.Embedding(words, width)
        self.time = _embedding(2 * TIME_FEATURES, width)
        self.tempo = _embedding(2 * TEMPO_FEATURES, width)
        self.said = _embedding(width, width)
        self.condition = nn.Linear(width, CONDITION_WIDTH)
        self.blocks = nn.ModuleList([Block(width, heads, inner) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, patch * padded)
        pitch_classes = (torch.arange(PADDED_NOTES) + LOWEST_NOTE - MAX_SHIFT_DOWN) % ROOTS
        white = torch.isin(pitch_classes, torch.tensor(WHITE_KEYS))
        self.register_buffer("white", white, persistent=False)

    def forward(self, x: Tensor, t: Tensor, tokens: Tensor, bpm: Tensor, loudest: Tensor) -> Tensor:
        """Predict the velocity.

        Args:
            x: Noisy latents, [batch, frames, channels]; frames are a multiple of the patch.
            t: Times, 0 (clean) to 1 (noise), [batch].
            tokens: [batch, MAX_TOKENS].
            bpm: Beats per minute, [batch].
            loudest: A note's upper bound in the clean latents, [].

        Returns:
            The shape of ``x``.
        """
        clean = self.predict_clean(x, t, tokens, bpm)
        drums, notes, timbre = torch.split(clean, self.sizes, -1)
        # without a bound, a note can grow from step to step
        notes = torch.minimum(notes.clamp(min=0), loudest)
        return velocity_to(torch.cat([drums, notes, timbre], -1), x, t)

    def predict_clean(self, x: Tensor, t: Tensor, tokens: Tensor, bpm: Tensor) -> Tensor:
        """Predict ``x`` without its noise; the arguments are as in ``forward``."""
        batch, frames, _ = x.shape
        semitones = semitones_to_white_keys(tokens)
        position = musical_position(bpm, frames)
        placed = torch.cat([self.transpose(x, semitones), position], -1)
        condition = self.embed_condition(t, tokens, bpm)
        # patches of frames become one position: fewer positions, each with more channels
        patches = placed.reshape(batch, frames // self.patch, -1)
        hidden = self.input(patches) + condition[:, None]
        narrow = F.silu(self.condition(F.silu(condition)))
        rotation = rotary(hidden.shape[1], self.head_width, x.device)
        for block in self.blocks:
            hidden = block(hidden, narrow, rotation)
        output = self.output(self.norm(hidden)).reshape(batch, frames, -1)
        in_key = output * self.key_mask(tokens)[:, None]
        return self.transpose_back(in_key, semitones)

    def key_mask(self, tokens: Tensor) -> Tensor:
        """Compute 0 for transposed notes outside the key, 1 for all other channels.

        Args:
            tokens: [batch, MAX_TOKENS].

        Returns:
            [batch, channels with padded rolls].
        """
        drums, _, timbre = self.padded_sizes
        notes = self.white | ~names_key_and_mode(tokens)[:, None]
        return F.pad(notes.float().repeat(1, ROLLS), (drums, timbre), value=1.0)

    def transpose(self, x: Tensor, semitones: Tensor) -> Tensor:
        """Transpose notes, with every roll padded at both ends.

        Args:
            x: [batch, frames, channels].
            semitones: -MAX_SHIFT_DOWN to MAX_SHIFT_UP, [batch].

        Returns:
            [batch, frames, channels with padded rolls].
        """
        drums, notes, timbre = torch.split(x, self.sizes, -1)
        rolls = notes.reshape(*x.shape[:-1], ROLLS, NOTES)
        padded = F.pad(rolls, (MAX_SHIFT_DOWN, MAX_SHIFT_UP))
        transposed = _shift(padded, semitones)
        return torch.cat([drums, transposed.flatten(-2), timbre], -1)

    def transpose_back(self, x: Tensor, semitones: Tensor) -> Tensor:
        """Undo ``transpose``; what is in the padding is dropped."""
        drums, notes, timbre = torch.split(x, self.padded_sizes, -1)
        padded = notes.reshape(*x.shape[:-1], ROLLS, PADDED_NOTES)
        rolls = _shift(padded, -semitones)
        kept = rolls[..., MAX_SHIFT_DOWN : MAX_SHIFT_DOWN + NOTES]
        return torch.cat([drums, kept.flatten(-2), timbre], -1)

    def embed_condition(self, t: Tensor, tokens: Tensor, bpm: Tensor) -> Tensor:
        """Embed time, tempo and the sum of the words, [batch, width]."""
        is_word = (tokens != PAD)[..., None]
        words = (self.words(tokens) * is_word).sum(1)
        exponents = torch.linspace(
            0, math.log(HIGHEST_TIME_FREQUENCY), TIME_FEATURES, device=t.device
        )
        time = _sines_and_cosines(t[:, None] * torch.exp(exponents))
        # tempo in octaves, since twice the tempo is the same step everywhere
        multiples = torch.arange(1, TEMPO_FEATURES + 1, device=t.device)
        octaves = torch.log2(bpm / 60)[:, None] * multiples * (math.pi / 2)
        tempo = _sines_and_cosines(octaves)
        total: Tensor = self.time(time) + self.tempo(tempo) + self.said(words)
        return total


def velocity_to(clean: Tensor, x: Tensor, t: Tensor) -> Tensor:
    """Compute the velocity at ``x`` that leads to clean latents at time 0.

    Args:
        clean: The shape of ``x``, or one that broadcasts to it.
        x: Noisy latents, three dimensions, the first of which is the batch.
        t: [batch].
    """
    time = t.clamp(min=MIN_TIME)[:, None, None]
    return (x - clean) / time


def semitones_to_white_keys(tokens: Tensor) -> Tensor:
    """Compute how far to transpose the prompt's key to C major or A minor; 0 without a root.

    Args:
        tokens: [batch, MAX_TOKENS].

    Returns:
        -MAX_SHIFT_DOWN to MAX_SHIFT_UP, [batch].
    """
    key = tokens - FIRST_KEY
    has_root = (key >= 0) & (key < 3 * ROOTS)
    minor = (key >= ROOTS) & (key < 2 * ROOTS)
    # a minor key has the notes of the major key three semitones up
    tonic_as_major = (key + 3 * minor.long()) % ROOTS
    shortest = (-tonic_as_major + MAX_SHIFT_DOWN) % ROOTS - MAX_SHIFT_DOWN
    return torch.where(has_root, shortest, 0).sum(-1)


def names_key_and_mode(tokens: Tensor) -> Tensor:
    """Return whether a prompt names both root and mode: [batch, MAX_TOKENS] to [batch]."""
    # those of twelve roots in major, then in minor, come first
    is_whole_key = (tokens >= FIRST_KEY) & (tokens < FIRST_KEY + 2 * ROOTS)
    return is_whole_key.any(-1)


def _embedding(features: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(features, width), nn.SiLU(), nn.Linear(width, width))


def _shift(notes: Tensor, semitones: Tensor) -> Tensor:
    """Rotate notes [batch, frames, rolls, notes] up by semitones [batch]."""
    count = notes.shape[-1]
    targets = torch.arange(count, device=notes.device)
    source = (targets - semitones[:, None]) % count
    return notes.gather(-1, source[:, None, None].expand_as(notes))


def _sines_and_cosines(angle: Tensor) -> Tensor:
    return torch.cat([angle.sin(), angle.cos()], -1)


def _rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate pairs of even and odd channels; all first halves come out before all second ones."""
    cosine, sine = rotation
    even, odd = x[..., 0::2], x[..., 1::2]
    first = even * cosine - odd * sine
    second = even * sine + odd * cosine
    return torch.cat([first, second], -1)
