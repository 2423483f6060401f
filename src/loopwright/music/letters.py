"""Letters, digits and signs that can be written in more than one way."""

from __future__ import annotations

import unicodedata


def plain(text: str) -> str:
    """Return a text with full-width and similar characters replaced by plain ones (NFKC).

    The result is as long as the text: what is found in it is at the same place in the text.
    """
    folded = (unicodedata.normalize("NFKC", character) for character in text)
    return "".join(new if len(new) == 1 else old for new, old in zip(folded, text, strict=True))
