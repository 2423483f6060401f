"""Prompts as the embedded model reads them: a few known words and a key.

Words of one meaning share a token. Words outside the vocabulary are left out, and listed. The tempo
is no word: the model gets it as a number.

Knows: which words there are. Does not know: tensors; how keys and tempi are spelled (``music``).
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
"""Tokens that are no words: padding, and the absence of a prompt."""
ROOTS = 12
FIRST_KEY = 2
"""First token of the keys: twelve in major, from C, twelve in minor, twelve without a mode, then
major and minor without a root."""
FIRST_WORD = FIRST_KEY + 3 * ROOTS + 2

_MODE_ALONE = re.compile(r"(?<![^\W_])(minor|major|min|maj)(?![^\W_])")
_PHRASES = {
    "hip hop": "hip-hop",
    "hiphop": "hip-hop",
    "lo fi": "lo-fi",
    "lofi": "lo-fi",
    "drum and bass": "dnb",
    "drum & bass": "dnb",
    "drum n bass": "dnb",
    "drum'n'bass": "dnb",
    "d&b": "dnb",
    "boom bap": "boom-bap",
    "hi hat": "hi-hat",
    "hihat": "hi-hat",
    "electric piano": "keys",
    "electric bass": "picked",
    "laid back": "laid-back",
    "four on the floor": "house",
    "break beat": "breakbeat",
}
"""Spellings of several words, or without the hyphen, and the word they stand for."""
_STOP_WORDS = frozenset([
    "a", "an", "and", "at", "bar", "bars", "beats", "bpm", "for", "from", "in", "key", "loop",
    "loopable", "loops", "made", "music", "of", "on", "one", "or", "sample", "seamless", "some",
    "sound", "sounds", "style", "that", "the", "to", "track", "vibe", "vibes", "with",
])  # fmt: skip
"""Words that are neither used nor reported as unknown; nor are numbers."""

_MARK = "\u0300"
"""Stands for what is joined to the character before it: accents, variation selectors."""
_SYMBOL = "\ue000"
"""Stands for an emoji, or another symbol that is no punctuation."""
_ANY_PHRASE = "|".join(re.escape(phrase).replace(r"\ ", r"\s+") for phrase in _PHRASES)
_PHRASE = re.compile(rf"(?<![a-z0-9])(?:{_ANY_PHRASE})(?=s?(?![a-z0-9]))")
_LATIN = rf"[a-z0-9\u00df-\u024f#&'{_MARK}-]"
_OTHER = rf"[^\W_a-z0-9\u00df-\u024f]{_MARK}*"
_WORD = re.compile(rf"(?:{_PHRASE.pattern}|{_LATIN})+|(?:{_OTHER}['-]?)+|(?:{_SYMBOL}{_MARK}*)+")
"""A word of Latin letters with its phrases, one of other letters, or symbols."""
_JOINTS = re.compile("[-&'\u2019]")


@dataclass(frozen=True)
class Tokens:
    """A prompt as the model reads it.

    Attributes:
        ids: MAX_TOKENS tokens, padded.
        words: Each word that means something, as it was written, with its token; None where the
            vocabulary does not have it.
    """

    ids: tuple[int, ...]
    words: tuple[tuple[str, int | None], ...] = ()

    @property
    def ignored(self) -> tuple[str, ...]:
        """The words without effect: unknown ones, and those for which there is no room."""
        return tuple(dict.fromkeys(word for word, token in self.words if token not in self.ids))

    def with_ids(self, ids: Iterable[int]) -> Tokens:
        """Return these tokens after others; the last ones are dropped where there is no room."""
        own = (token for token in self.ids if token not in (PAD, NULL))
        return replace(self, ids=_pad((*ids, *own)))

    def without_ids(self, ids: Collection[int]) -> Tokens:
        """Return these tokens without the given ones."""
        own = (token for token in self.ids if token not in (PAD, NULL))
        return replace(self, ids=_pad(token for token in own if token not in ids))


NO_PROMPT = Tokens((NULL,) + (PAD,) * (MAX_TOKENS - 1))


def tokenize(prompt: str, vocabulary: Mapping[str, int]) -> Tokens:
    """Return the tokens of a prompt's key and words, each once, as far as there is room."""
    prompt = without_tempi(prompt)
    # folding keeps positions, so that words can be reported as they were written
    text = "".join(map(_fold_character, plain(prompt).replace("\u2019", "'")))
    words: list[tuple[str, int | None]] = []
    key: tuple[int, int, int] | None = None
    if (named := find_key(prompt)) is not None:
        # a root alone is major, as musicians write it
        token = key_token(named.key.root, named.key.mode == "minor")
        key = named.start, named.stop, token
    elif (mode := _MODE_ALONE.search(text)) is not None:
        key = mode.start(), mode.end(), key_token(None, mode[1].startswith("min"))
    if key is not None:
        start, stop, token = key
        words.append((prompt[start:stop].strip(), token))
        # commas in the key's place: the words around it must not become a phrase
        text = text[:start] + "," * (stop - start) + text[stop:]
    for found in _WORD.finditer(text):
        written = prompt[found.start() : found.end()]
        words += _tokens_of_word(found[0], written, vocabulary)
    return Tokens(_pad(token for _, token in words if token is not None), tuple(words))


def key_token(root: int | None, minor: bool | None) -> int:
    """Return the token of a key.

    Args:
        root: Semitones above C; None if unknown.
        minor: The mode; None if unknown. One of both must be known.
    """
    if root is None:
        return FIRST_KEY + 3 * ROOTS + int(bool(minor))
    mode = 2 if minor is None else int(minor)
    return FIRST_KEY + root + ROOTS * mode


def _pad(ids: Iterable[int]) -> tuple[int, ...]:
    """Return the first MAX_TOKENS distinct tokens, padded; NULL if there are none."""
    distinct = tuple(dict.fromkeys(ids))[:MAX_TOKENS] or (NULL,)
    return (*distinct, *(PAD,) * (MAX_TOKENS - len(distinct)))


def _fold_character(character: str) -> str:
    """Return the character in lower case without accents: always one character for one."""
    category = unicodedata.category(character)
    if category[0] == "M" or category == "Cf":
        return _MARK
    if (category == "So" and character >= "\u2190") or "\U0001f3fb" <= character <= "\U0001f3ff":
        return _SYMBOL
    decomposed = unicodedata.normalize("NFKD", character)
    base = "".join(part for part in decomposed if not unicodedata.combining(part))
    lower = (base if len(base) == 1 else character).lower()
    return lower if len(lower) == 1 else character


def _tokens_of_word(
    word: str, written: str, vocabulary: Mapping[str, int]
) -> Iterator[tuple[str, int | None]]:
    """Yield a word with its token, or else the parts that hyphens join with theirs.

    Parts without meaning are left out. A word of which the vocabulary has no part is given whole.

    Args:
        word: The word, folded.
        written: The word as it stands in the prompt.
        vocabulary: The token of each word.
    """
    word = word.replace(_MARK, "")
    word = _PHRASE.sub(lambda found: _PHRASES[re.sub(r"\s+", " ", found[0])], word)
    if (token := _look_up(word, vocabulary)) is not None:
        yield written, token
        return
    parts = _JOINTS.split(word)
    names = _JOINTS.split(written)
    # a phrase became one word: the parts no longer match the text as it was written
    if len(names) != len(parts):
        names = [written] * len(parts)
    tokens = [_look_up(part, vocabulary) for part in parts]
    if any(token is not None for token in tokens):
        for part, name, token in zip(parts, names, tokens, strict=True):
            # a single letter is the s of "kick's", not a word to report
            if token is not None or (len(part) > 1 and not _is_stop_word(part)):
                yield name, token
    elif not all(map(_is_stop_word, parts)):
        yield written.strip("-&'\u2019"), None


def _is_stop_word(word: str) -> bool:
    return word in _STOP_WORDS or word.isdigit() or len(word.strip("#")) == 0


def _look_up(word: str, vocabulary: Mapping[str, int]) -> int | None:
    """Return a word's token, or that of its singular; None if the vocabulary has neither."""
    if word in vocabulary:
        return vocabulary[word]
    # in shorter words the s belongs to the word: "gas", "bus"
    is_plural = word.endswith("s") and len(word) > 3
    return vocabulary.get(word[:-1]) if is_plural else None
