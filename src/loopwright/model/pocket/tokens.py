"""Prompts as the embedded model reads them: a few known words, a key and a tempo.

Knows: the spelling of words and keys. Does not know: tensors. Words of one meaning are one token. Words outside the
vocabulary are left out, and named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from loopwright.music.key import KEYS, parse_key

MAX_TOKENS = 16
PAD, NULL = 0, 1
"""Tokens that are no words: nothing, and no prompt at all."""
FIRST_KEY = 2
"""Twelve keys in major, from C, twelve in minor, twelve without a mode, then major and minor without a root."""
NO_ROOT = 12
FIRST_WORD = FIRST_KEY + 3 * NO_ROOT + 2

DEFAULT_BPM = 120.0

_TEMPO = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)\s*bpm")
_WORD = re.compile(r"[a-z0-9#\-&]+")
_ROOT = r"([a-g](?:[\s_-]?(?:sharp|flat|#|♯|♭|b))?)"
_MODE = r"(minor|major|min|maj)\b"
_KEY_WITH_MODE = re.compile(rf"\b{_ROOT}\s*{_MODE}")
_MINOR_BY_ONE_LETTER = re.compile(rf"\b(?:in|key of|key)\s+{_ROOT}m\b")
_KEY_ALONE = re.compile(rf"\b(?:in|key of|key)\s+{_ROOT}(?=\s*$|\s*[,.;]|\s+\d|\s+with\b)")
_MODE_ALONE = re.compile(rf"\b{_MODE}")
_PHRASES = {
    "hip hop": "hip-hop", "hiphop": "hip-hop", "lo fi": "lo-fi", "lofi": "lo-fi", "drum and bass": "dnb",
    "drum & bass": "dnb", "drum n bass": "dnb", "drum'n'bass": "dnb", "d&b": "dnb", "boom bap": "boom-bap",
    "hi hat": "hi-hat", "hihat": "hi-hat", "electric piano": "keys", "electric bass": "picked", "laid back": "laid-back",
    "four on the floor": "house", "break beat": "breakbeat",
}  # fmt: skip
_SILENT = frozenset([
    "a", "an", "and", "at", "bar", "bars", "beats", "bpm", "for", "from", "in", "key", "loop", "loopable", "loops",
    "made", "music", "of", "on", "one", "or", "sample", "seamless", "some", "sound", "sounds", "style", "that", "the",
    "to", "track", "vibe", "vibes", "with",
])  # fmt: skip
"""Words that say nothing here, and are not missed; nor are numbers."""


@dataclass(frozen=True)
class Tokens:
    """A prompt's tokens, MAX_TOKENS of them, padded; its tempo, if it names one; the words the model has never seen."""

    ids: tuple[int, ...]
    bpm: float | None
    unknown: tuple[str, ...]

    def with_ids(self, ids: Iterable[int]) -> Tokens:
        """These before its own, which are dropped where there is no room."""
        own = (one for one in self.ids if one not in (PAD, NULL))
        return replace(self, ids=_padded((*ids, *own)))


NOTHING = Tokens((NULL,) + (PAD,) * (MAX_TOKENS - 1), None, ())
"""No prompt."""


def tokenize(prompt: str, vocabulary: Mapping[str, int]) -> Tokens:
    """The prompt's key and words as tokens, each once; words beyond MAX_TOKENS are dropped."""
    text = prompt.lower()
    tempo = _TEMPO.search(text)
    text, key = _without_key(_with_phrases_joined(_TEMPO.sub(" ", text)))
    words = [part for word in _WORD.findall(text) for part in _parts(word, vocabulary)]
    known = [found for word in words if (found := _looked_up(word, vocabulary)) is not None]
    return Tokens(
        ids=_padded(([] if key is None else [key]) + known),
        bpm=float(tempo.group(1)) if tempo else None,
        unknown=tuple(dict.fromkeys(word for word in words if _looked_up(word, vocabulary) is None)),
    )


def key_token(root: int | None, minor: bool | None) -> int:
    """The token of a key. root: semitones above C. Not both may be unknown."""
    if root is None:
        return FIRST_KEY + 3 * NO_ROOT + int(bool(minor))
    return FIRST_KEY + root + NO_ROOT * (2 if minor is None else int(minor))


def _padded(ids: Iterable[int]) -> tuple[int, ...]:
    """Each once, the first MAX_TOKENS of them; NULL if there are none."""
    few = tuple(dict.fromkeys(ids))[:MAX_TOKENS] or (NULL,)
    return (*few, *(PAD,) * (MAX_TOKENS - len(few)))


def _parts(word: str, vocabulary: Mapping[str, int]) -> list[str]:
    """The word, or where it is none that is known the parts that hyphens join; without those that say nothing."""
    parts = [word] if _looked_up(word, vocabulary) is not None else re.split(r"[-&]", word)
    return [part for part in parts if _looked_up(part, vocabulary) is not None or not _says_nothing(part)]


def _says_nothing(word: str) -> bool:
    return word in _SILENT or word.isdigit() or not word.strip("#")


def _looked_up(word: str, vocabulary: Mapping[str, int]) -> int | None:
    """A word's token, or that of which it is the plural."""
    if word in vocabulary:
        return vocabulary[word]
    return vocabulary.get(word[:-1]) if word.endswith("s") and len(word) > 3 else None


def _with_phrases_joined(text: str) -> str:
    text = re.sub(r"\s+", " ", text)
    for phrase, word in _PHRASES.items():
        text = text.replace(phrase, word)
    return text


def _without_key(text: str) -> tuple[str, int | None]:
    """The text without the key it names, and the key's token. A root alone is major, as musicians write it."""
    if found := _KEY_WITH_MODE.search(text):
        root, minor = _root(found[1]), found[2].startswith("min")
    elif found := _MINOR_BY_ONE_LETTER.search(text):
        root, minor = _root(found[1]), True
    elif found := _KEY_ALONE.search(text):
        root, minor = _root(found[1]), False
    elif found := _MODE_ALONE.search(text):
        root, minor = None, found[1].startswith("min")
    else:
        return text, None
    return text[: found.start()] + " " + text[found.end() :], key_token(root, minor)


def _root(spelled: str) -> int:
    key = parse_key(spelled)
    assert key is not None, spelled
    return KEYS.index(key)
