"""Drum loops: a pattern drawn from a genre, played by a kit, in a room.

The audio of a loop is whole bars, and what rings over its end is in its beginning, so it can be
repeated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

from training.synth import drum_sounds as sounds
from training.synth.drum_sounds import KITS, PERCUSSION, SAMPLE_RATE, Drum, Floats, Kit, Rng
from training.synth.genres import BY_NAME, STEPS, Genre, chances

Stereo = NDArray[np.float32]
"""[2, samples]"""

ELEMENTS = ("kick", "snare", "hat", "percussion")
LOUDNESS = 0.14
"""Root mean square of every drum loop. No word means loudness, so it does not vary."""


@dataclass(frozen=True)
class DrumScore:
    """Everything that defines a drum loop.

    Attributes:
        swing: Delay of odd sixteenths, in sixteenths.
        drive, bright, dense, space: Traits, each 0 to 1.
        only: The elements that play; all if empty.
    """

    seed: int
    genre: str
    bpm: float
    bars: int
    kit: str
    swing: float
    drive: float
    bright: float
    dense: float
    space: float
    only: tuple[str, ...] = ()


def draw_drums(
    seed: int, genre: Genre | None = None, bpm: float | None = None, swing: float | None = None
) -> DrumScore:
    """Draw a score; arguments that are given are not drawn."""
    from training.synth.genres import GENRES

    rng = np.random.default_rng([1, seed])
    shares = np.array([one.share for one in GENRES])
    genre = genre or GENRES[rng.choice(len(GENRES), p=shares / shares.sum())]
    bpm = bpm or float(rng.integers(genre.bpm[0], genre.bpm[1] + 1))
    swings = genre.swing * rng.uniform(0.3, 1) * (rng.random() < 0.5)
    kit = str(rng.choice(list(KITS))) if rng.random() < 0.15 else str(rng.choice(genre.kits))
    only = ELEMENTS_ALONE[rng.integers(len(ELEMENTS_ALONE))] if rng.random() < 0.12 else ()
    drive, bright, dense, space = rng.uniform(0, 1, 4)
    return DrumScore(
        seed,
        genre.name,
        bpm,
        2 if bpm < 90 else 4,
        kit,
        swings if swing is None else swing,
        drive,
        bright,
        dense,
        space,
        only,
    )


ELEMENTS_ALONE: tuple[tuple[str, ...], ...] = (
    ("hat",),
    ("percussion",),
    ("kick",),
    ("kick", "snare"),
    ("kick", "hat"),
    ("snare", "hat"),
    ("hat", "percussion"),
)
"""Combinations of elements for loops that do not use the whole kit."""


@dataclass(frozen=True)
class Hit:
    """A drum hit in a loop.

    Attributes:
        at: Samples from the loop's start.
        gain: Gain in both channels.
        pan: -1 (left) to 1 (right).
    """

    drum: Drum
    at: int
    gain: float
    pan: float

    @property
    def gains(self) -> Floats:
        """The gains of left and right."""
        angle = (self.pan + 1) * np.pi / 4
        gains: Floats = self.gain * np.sqrt(2) * np.array([np.cos(angle), np.sin(angle)])
        return gains


@dataclass(frozen=True)
class Take:
    """A drum loop as it was played.

    Attributes:
        clean: Audio before distortion and levelling, [2, samples].
        audio: Audio after it, [2, samples].
    """

    hits: tuple[Hit, ...]
    clean: Stereo
    audio: Stereo


class _Tape:
    """A ring of whole bars on which hits are placed."""

    def __init__(self, score: DrumScore) -> None:
        self.samples = round(score.bars * 240 / score.bpm * SAMPLE_RATE)
        self.step = 15 / score.bpm * SAMPLE_RATE
        self.swing = score.swing
        self.hits: list[Hit] = []

    def hit(self, drum: Drum, step: float, gain: float, pan: float = 0.0) -> None:
        """Place a hit. step: sixteenths from the start; odd ones are late by the swing."""
        late = self.swing if step % 2 == 1 else 0.0
        at = round((step + late) * self.step) % self.samples
        self.hits.append(Hit(drum, at, gain, pan))

    def audio(self) -> Stereo:
        """Mix all hits, [2, samples]; what rings over the end is in the beginning."""
        audio = np.zeros((2, self.samples), np.float32)
        for hit in self.hits:
            sound, at = hit.drum.sound, hit.at
            while len(sound):
                count = min(len(sound), self.samples - at)
                audio[:, at : at + count] += (hit.gains[:, None] * sound[:count]).astype(np.float32)
                sound, at = sound[count:], 0
        return audio


def render_drums(score: DrumScore) -> Stereo:
    """Render the loop's audio, [2, samples], at LOUDNESS."""
    return play(score).audio


def play(score: DrumScore) -> Take:
    """Render the loop's audio, and return the hits it is made of."""
    rng, genre, kit = (
        np.random.default_rng([2, score.seed]),
        BY_NAME[score.genre],
        KITS[score.kit],
    )
    dry, wet = _Tape(score), _Tape(score)
    players = {"kick": _kick, "snare": _snare, "hat": _hats, "percussion": _percussion}
    for element, play in players.items():
        own = np.random.default_rng([3, score.seed, ELEMENTS.index(element)])
        if not score.only or element in score.only:
            play(own, dry if element == "kick" else wet, score, genre, kit)
    clean = _darkened(dry.audio() + _in_room(rng, wet.audio(), score.space), score, kit)
    return Take((*dry.hits, *wet.hits), clean, _levelled(_driven(clean, score.drive)))


def _bars(rng: Rng, score: DrumScore, pattern: str, *, vary: float = 0.35) -> NDArray[np.bool_]:
    """Draw a pattern of two bars in turn, the second sometimes from a new draw: [bars * STEPS]."""
    likely = np.clip(np.array(chances(pattern)), 0, 1)
    likely = np.where(likely < 1, likely * (0.35 + 1.1 * score.dense), 1.0)
    first = rng.random(STEPS) < likely
    second = rng.random(STEPS) < likely if rng.random() < vary else first
    return np.concatenate([second if bar % 2 else first for bar in range(score.bars)])


def _kick(rng: Rng, tape: _Tape, score: DrumScore, genre: Genre, kit: Kit) -> None:
    sound, gain = sounds.kick(rng, kit, score.drive), rng.uniform(0.8, 1.0)
    for step in np.flatnonzero(_bars(rng, score, genre.kick)):
        tape.hit(sound, int(step), gain * (1 if step % 4 == 0 else 0.85))


def _snare(rng: Rng, tape: _Tape, score: DrumScore, genre: Genre, kit: Kit) -> None:
    claps = rng.random() < genre.claps
    sound = sounds.clap(rng, kit, score.drive) if claps else sounds.snare(rng, kit, score.drive)
    if rng.random() < 0.2:
        sound = sounds.layer(sound, sounds.clap(rng, kit, score.drive), 0.6)
    hits, gain = _bars(rng, score, genre.snare), rng.uniform(0.5, 0.8)
    if genre.name == "techno" and "snare" not in score.only and rng.random() < 0.3:
        hits[:] = False
    for hit in np.flatnonzero(hits):
        tape.hit(sound, int(hit), gain)
    if rng.random() < 0.25 * (0.5 + score.dense):  # a fill on the last beat
        for step in range(len(hits) - 4, len(hits)):
            if rng.random() < 0.6 and not hits[step]:
                tape.hit(sound, step, gain * 0.5)


def _hats(rng: Rng, tape: _Tape, score: DrumScore, genre: Genre, kit: Kit) -> None:
    closed, ringing = (
        sounds.hat(rng, kit, score.drive),
        sounds.hat(rng, kit, score.drive, is_open=True),
    )
    closed_hits, open_hits = _bars(rng, score, genre.hat), _bars(rng, score, genre.open_hat)
    if rng.random() < 0.35:
        closed_hits[::2] = True
    accents = np.tile(
        [1, 0.55, 0.8, 0.55] if rng.random() < 0.7 else [0.7, 0.5, 1, 0.5], 4 * score.bars
    )
    gain, ringing_gain, pan = (
        rng.uniform(0.2, 0.42),
        rng.uniform(0.2, 0.38),
        rng.uniform(-0.3, 0.3),
    )
    rolls = (
        set(rng.choice(len(closed_hits), rng.integers(1, 3) * score.bars)) if genre.rolls else set()
    )
    for step in range(len(closed_hits)):
        if open_hits[step]:
            tape.hit(ringing, step, ringing_gain, pan)
        elif closed_hits[step]:
            tape.hit(closed, step, gain * accents[step], pan)
            for part in ((1 / 3, 2 / 3) if step % 2 else (0.5,)) if step in rolls else ():
                tape.hit(closed, step + part, gain * 0.6, pan)


def _percussion(rng: Rng, tape: _Tape, score: DrumScore, genre: Genre, kit: Kit) -> None:
    alone = score.only == ("percussion",) or "percussion" in score.only
    pattern = "4243424342434243" if alone or rng.random() < 0.15 else genre.percussion
    for _ in range(3 if alone else 2):
        name = str(rng.choice(list(PERCUSSION)))
        sound, gain, pan = (
            PERCUSSION[name](rng, kit, score.drive),
            rng.uniform(0.2, 0.45),
            rng.uniform(-0.6, 0.6),
        )
        for step in np.flatnonzero(_bars(rng, score, pattern)):
            tape.hit(sound, int(step), gain * rng.uniform(0.7, 1), pan)


def _in_room(rng: Rng, audio: Stereo, space: float) -> Stereo:
    """Add reverberation that wraps around the loop; none below a third of the scale."""
    if space < 0.33:
        return audio
    seconds, wet = 0.2 + 1.6 * (space - 0.33), 0.05 + 0.45 * (space - 0.33)
    count = min(audio.shape[1], int(seconds * SAMPLE_RATE))
    t = np.arange(count) / SAMPLE_RATE
    response = rng.standard_normal((2, count)) * np.exp(-t * 6.9 / seconds) * (t > 0.008)
    response[:, 1:] = 0.6 * response[:, 1:] + 0.4 * response[:, :-1]
    response *= wet / np.sqrt((response**2).sum(1, keepdims=True))
    spectrum = scipy.fft.rfft(audio) * scipy.fft.rfft(response.astype(np.float32), n=audio.shape[1])
    reverberation: Stereo = scipy.fft.irfft(spectrum, n=audio.shape[1]).astype(np.float32)
    return audio + reverberation


def _darkened(audio: Stereo, score: DrumScore, kit: Kit) -> Stereo:
    """Apply a low-pass below a third of brightness, and for dusty kits."""
    ceiling = 7000.0 if kit.crush else 18000.0
    if score.bright < 0.33:
        ceiling = min(ceiling, 3500 + 9000 * score.bright / 0.33)
    if ceiling < 18000:
        low = scipy.signal.butter(2, ceiling, "low", fs=SAMPLE_RATE, output="sos")
        # the second lap is kept, so that the filter's state goes around the loop
        twice = np.tile(audio, 2)
        audio = scipy.signal.sosfilt(low, twice)[:, audio.shape[1] :].astype(np.float32)
    return audio


def _driven(audio: Stereo, drive: float) -> Stereo:
    """Distort the audio in the drive's upper third."""
    if drive > 0.66:
        level = 1.5 + 4 * (drive - 0.66)
        audio = np.tanh(audio * level) / np.float32(level)
    return audio


def _levelled(audio: Stereo) -> Stereo:
    audio = audio * (LOUDNESS / (np.sqrt(np.mean(audio**2)) + 1e-9))
    peak = float(np.abs(audio).max())
    return (np.tanh(audio) / np.tanh(peak) * 0.95 if peak > 0.95 else audio).astype(np.float32)
