"""The vocabulary, and captions: words that are true of a loop.

A caption is a few meanings, drawn anew each time a loop is used. A meaning has a token and any
number of words.
"""

from __future__ import annotations

from loopwright.model.pocket.tokens import FIRST_WORD, MAX_TOKENS, NULL, PAD, key_token
from training.loops import Loop
from training.synth.drum_sounds import Rng
from training.synth.drums import ELEMENTS
from training.synth.instruments import BASSES, MELODIC

MEANINGS: dict[str, str] = {
    # genres
    "techno": "techno tech minimal-techno",
    "house": "house deep-house disco",
    "hip-hop": "hip-hop hip boom-bap boom bap rap r&b lo-fi-hip-hop",
    "trap": "trap drill phonk",
    "dnb": "dnb jungle liquid neurofunk",
    "breakbeat": "breakbeat break breaks big-beat",
    "ambient": "ambient downtempo cinematic drone",
    "dubstep": "dubstep dub grime",
    "reggaeton": "reggaeton dembow dancehall latin afrobeat",
    "funk": "funk funky soul groove groovy",
    # what plays
    "drums": "drums drum beat drumbeat drumloop",
    "kick": "kick kickdrum bassdrum",
    "snare": "snare clap",
    "hat": "hi-hat hat cymbal",
    "percussion": "percussion percussive perc shaker conga bongo tom cowbell",
    "bass": "bass bassline basslines",
    "chords": "chord chords harmony harmonic progression",
    "melody": "melody melodic tune topline",
    "tones": "tones tonal pitched instrument instruments instrumental synth synthesizer",
    "sub": "sub subbass sub-bass",
    "acid": "acid 303 squelchy",
    "reese": "reese growling growl wobble neuro",
    "fm": "fm metallic",
    "pick": "picked pick finger fingered slap",
    "pad": "pad pads",
    "strings": "strings string violin violins orchestral",
    "piano": "piano pianos grand",
    "keys": "keys keyboard epiano wurlitzer",
    "rhodes": "rhodes",
    "organ": "organ hammond",
    "brass": "brass horn horns trumpet",
    "stab": "stab stabs",
    "pluck": "pluck plucked plucks",
    "guitar": "guitar",
    "arpeggio": "arpeggio arp arpeggiated arpeggiator sequence",
    "lead": "lead",
    "bell": "bell bells glockenspiel chime vibraphone marimba",
    "flute": "flute whistle woodwind pan-flute",
    # kits
    "808": "808",
    "909": "909",
    "acoustic": "acoustic live organic",
    "dusty": "dusty lo-fi vintage vinyl old",
    "industrial": "industrial mechanical",
    "electronic": "electronic electro digital",
    # how it sounds
    "dark": "dark warm deep mellow muted muffled dull moody",
    "bright": "bright crisp shiny airy brilliant sharp",
    "hard": "hard aggressive heavy distorted driving punchy raw intense angry brutal",
    "soft": "soft gentle calm chill relaxed smooth clean quiet light laid-back chilled",
    "sparse": "sparse minimal simple stripped empty slow",
    "busy": "busy energetic fast rolling complex upbeat dense frantic",
    "spacious": "spacious dreamy atmospheric reverb ethereal wide lush hazy wet",
    "dry": "dry tight close",
    "swing": "swing swung shuffle shuffled",
    # drums that are missing; a negative prompt that names one means this
    "without-kick": "without-kick",
    "without-snare": "without-snare",
    "without-hat": "without-hat",
    "without-percussion": "without-percussion",
}
TOKENS = {meaning: FIRST_WORD + number for number, meaning in enumerate(MEANINGS)}
VOCABULARY = {
    word: TOKENS[meaning] for meaning, words in MEANINGS.items() for word in words.split()
}
VOCABULARY_SIZE = FIRST_WORD + len(MEANINGS)

PITCHED = (
    "bass", "chords", "melody", "tones", "sub", "acid", "reese", "fm", "pick", "pad", "strings",
    "piano", "keys", "rhodes", "organ", "brass", "stab", "pluck", "guitar", "arpeggio", "lead",
    "bell", "flute",
)  # fmt: skip
"""The meanings that name a pitched instrument or part."""

NO_CAPTION = 0.1
"""Share of loops trained without any words, for classifier-free guidance."""
NOTHING_PLAYS, NOTHING_PLAYS_IN_MIXES = 0.02, 0.15
"""Shares of captions that do not name what plays: `techno` alone should mostly give a full mix."""


def caption(loop: Loop, rng: Rng) -> tuple[int, ...]:
    """Draw a caption of a loop: MAX_TOKENS tokens, padded."""
    if rng.random() < NO_CAPTION:
        return (NULL,) + (PAD,) * (MAX_TOKENS - 1)
    meanings = [loop.genre] if rng.random() < 0.85 else []
    silent = NOTHING_PLAYS_IN_MIXES if loop.kind == "mix" else NOTHING_PLAYS
    if rng.random() > silent or not meanings:
        meanings += _playing(loop, rng)
    meanings += [word for word in _adjectives(loop) if rng.random() < 0.5]
    ids = [TOKENS[meaning] for meaning in dict.fromkeys(meanings)]
    if loop.parts and rng.random() < 0.75:
        ids.append(_key(loop, rng))
    ids = ids[:MAX_TOKENS]
    return (*ids, *(PAD,) * (MAX_TOKENS - len(ids)))


def _key(loop: Loop, rng: Rng) -> int:
    share = rng.random()
    root = loop.harmony.root if share < 0.95 else None
    return key_token(root, loop.harmony.minor if share < 0.8 or root is None else None)


def _playing(loop: Loop, rng: Rng) -> list[str]:
    words = _drums(loop, rng) if loop.drums else []
    for part in loop.parts:
        if part.name in BASSES:
            words += ["bass"] * (rng.random() < 0.95)
            own = {"synth": "tones"}.get(part.name, part.name)
            words += [own] * (rng.random() < (0.3 if own == "tones" else 0.75))
        else:
            words += [part.name] * (rng.random() < 0.85)
            generic = "melody" if part.name in MELODIC else "chords"
            words += [generic] * (rng.random() < 0.4)
    if loop.kind != "mix" and loop.parts and (rng.random() < 0.12 or not words):
        words += ["tones"] if rng.random() < 0.5 else ["melody", "chords", "tones"]
    return words


def _drums(loop: Loop, rng: Rng) -> list[str]:
    assert loop.drums
    words, only = list(loop.drums.only), loop.drums.only
    if not words and rng.random() < 0.1:
        words = ["percussion", "kick", "snare", "hat"]
    if only and rng.random() < 0.5:
        words = [
            f"without-{drum}" for drum in ELEMENTS if drum not in only and rng.random() < 0.7
        ] + ["drums"]
    elif not only or rng.random() < 0.4:
        words.append("drums")
    return words + ([loop.drums.kit] if rng.random() < 0.4 else [])


def _adjectives(loop: Loop) -> list[str]:
    """Return the adjectives that are true: for the lower and upper fifth of each trait."""
    drive = loop.drums.drive if loop.drums else 0.5
    traits = {
        ("dark", "bright"): loop.bright, ("soft", "hard"): drive, ("sparse", "busy"): loop.dense,
        ("dry", "spacious"): loop.space,
    }  # fmt: skip
    words = [
        low if level < 0.2 else high
        for (low, high), level in traits.items()
        if not 0.2 <= level <= 0.8
    ]
    return words + (["swing"] if loop.grid.swing > 0.08 else [])
