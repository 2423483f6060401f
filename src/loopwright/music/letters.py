"""Letters, digits and signs that are written in more than one way. Standard library only."""

from __future__ import annotations

import unicodedata


def plain(text: str) -> str:
    """Return the text with full-width and the like as plain characters (NFKC), each in its place.

    The answer is as long as the text, so what is found in it stands at the same place in the text.
    """
    folded = (unicodedata.normalize("NFKC", character) for character in text)
    return "".join(new if len(new) == 1 else old for new, old in zip(folded, text, strict=True))
