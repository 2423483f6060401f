"""Prompts as the embedded model reads them: a few known words and a key.

Knows: which words there are. Does not know: tensors; how keys and tempi are spelled (``music``).
Words of one meaning are one token. Words outside the vocabulary are left out, and named. A tempo is
no word: the model is told it as a number.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from loopwright.music.key import find_key
from loopwright.music.letters import plain
from loopwright.music.tempo import without_tempi

MAX_TOKENS = 16
PAD, NULL = 0, 1
"""Tokens that are no words: nothing, and no prompt at all."""
FIRST_KEY = 2
"""Twelve keys in major, from C, twelve in minor, twelve without a mode, then major and minor without a root."""
NO_ROOT = 12
FIRST_WORD = FIRST_KEY + 3 * NO_ROOT + 2

_MODE_ALONE = re.compile(r"(?<![^\W_])(minor|major|min|maj)(?![^\W_])")
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

_MARK = "\u0300"
"""Stands for what is joined to the character before it: accents, variation selectors."""
_SYMBOL = "\ue000"
"""Stands for an emoji, or another symbol that is no punctuation."""
_ANY_PHRASE = "|".join(re.escape(one).replace(r"\ ", r"\s+") for one in _PHRASES)
_PHRASE = re.compile(rf"(?<![a-z0-9])(?:{_ANY_PHRASE})(?=s?(?![a-z0-9]))")
_LATIN = rf"[a-z0-9\u00df-\u024f#&'{_MARK}-]"
_OTHER = rf"[^\W_a-z0-9\u00df-\u024f]{_MARK}*"
_WORD = re.compile(rf"(?:{_PHRASE.pattern}|{_LATIN})+|(?:{_OTHER}['-]?)+|(?:{_SYMBOL}{_MARK}*)+")
"""A word of Latin letters with its phrases, one of other letters, or symbols."""
_JOINTS = re.compile("[-&'\u2019]")


@dataclass(frozen=True)
class Tokens:
    """What the model reads of a prompt.

    ids: MAX_TOKENS tokens, padded.
    words: each word that says something, as it was written, with its token; None: never seen.
    """

    ids: tuple[int, ...]
    words: tuple[tuple[str, int | None], ...] = ()

    @property
    def ignored(self) -> tuple[str, ...]:
        """The words without effect: those never seen, and those for which there is no room."""
        return tuple(dict.fromkeys(word for word, token in self.words if token not in self.ids))

    def with_ids(self, ids: Iterable[int]) -> Tokens:
        """Return these with some before their own, which are dropped where there is no room."""
        own = (one for one in self.ids if one not in (PAD, NULL))
        return replace(self, ids=_padded((*ids, *own)))

    def without_ids(self, ids: Collection[int]) -> Tokens:
        """Return these without some of their own."""
        return replace(
            self, ids=_padded(one for one in self.ids if one not in ids and one not in (PAD, NULL))
        )


NOTHING = Tokens((NULL,) + (PAD,) * (MAX_TOKENS - 1))
"""No prompt."""


def tokenize(prompt: str, vocabulary: Mapping[str, int]) -> Tokens:
    """Return the prompt's key and words as tokens, each once, as many as there is room for."""
    prompt = without_tempi(prompt)
    text = _folded(prompt)
    key = _key_in(text, prompt)
    words: list[tuple[str, int | None]] = []
    if key is not None:
        start, stop, token = key
        words.append((prompt[start:stop].strip(), token))
        text = text[:start] + "," * (stop - start) + text[stop:]
    for found in _WORD.finditer(text):
        words += _read(found[0], prompt[found.start() : found.end()], vocabulary)
    return Tokens(_padded(token for _, token in words if token is not None), tuple(words))


def key_token(root: int | None, minor: bool | None) -> int:
    """The token of a key. root: semitones above C. Not both may be unknown."""
    if root is None:
        return FIRST_KEY + 3 * NO_ROOT + int(bool(minor))
    return FIRST_KEY + root + NO_ROOT * (2 if minor is None else int(minor))


def _padded(ids: Iterable[int]) -> tuple[int, ...]:
    """Each once, the first MAX_TOKENS of them; NULL if there are none."""
    few = tuple(dict.fromkeys(ids))[:MAX_TOKENS] or (NULL,)
    return (*few, *(PAD,) * (MAX_TOKENS - len(few)))


def _folded(text: str) -> str:
    """Return the text in small letters without accents, a character for a character."""
    return "".join(map(_folded_character, plain(text).replace("\u2019", "'")))


def _folded_character(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] == "M" or category == "Cf":
        return _MARK
    if (category == "So" and character >= "\u2190") or "\U0001f3fb" <= character <= "\U0001f3ff":
        return _SYMBOL
    decomposed = unicodedata.normalize("NFKD", character)
    base = "".join(one for one in decomposed if not unicodedata.combining(one))
    small = (base if len(base) == 1 else character).lower()
    return small if len(small) == 1 else character


def _key_in(text: str, prompt: str) -> tuple[int, int, int] | None:
    """Return where a prompt names its key, and the key's token. text: the prompt, folded.

    A root alone is major, as musicians write it; a mode may stand alone.
    """
    if (named := find_key(prompt)) is not None:
        return named.start, named.stop, key_token(named.key.root, named.key.mode == "minor")
    if (mode := _MODE_ALONE.search(text)) is not None:
        return mode.start(), mode.end(), key_token(None, mode[1].startswith("min"))
    return None


def _read(
    word: str, written: str, vocabulary: Mapping[str, int]
) -> Iterator[tuple[str, int | None]]:
    """Yield a word with its token or, where it has none, the parts that hyphens join with theirs.

    word: folded; written: as it stands in the prompt. Parts that say nothing are left out; a word
    of which the model knows no part is given whole.
    """
    word = word.replace(_MARK, "")
    word = _PHRASE.sub(lambda found: _PHRASES[re.sub(r"\s+", " ", found[0])], word)
    if (token := _looked_up(word, vocabulary)) is not None:
        yield written, token
        return
    parts = _JOINTS.split(word)
    names = _JOINTS.split(written)
    if len(names) != len(parts):  # a phrase was among them
        names = [written] * len(parts)
    tokens = [_looked_up(part, vocabulary) for part in parts]
    if any(token is not None for token in tokens):
        for part, name, token in zip(parts, names, tokens, strict=True):
            if token is not None or (len(part) > 1 and not _says_nothing(part)):  # no s of "kick's"
                yield name, token
    elif not all(map(_says_nothing, parts)):
        yield written.strip("-&'\u2019"), None


def _says_nothing(word: str) -> bool:
    return word in _SILENT or word.isdigit() or len(word.strip("#")) == 0


def _looked_up(word: str, vocabulary: Mapping[str, int]) -> int | None:
    """A word's token, or that of which it is the plural."""
    if word in vocabulary:
        return vocabulary[word]
    return vocabulary.get(word[:-1]) if word.endswith("s") and len(word) > 3 else None
