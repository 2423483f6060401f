"""How far a header's word about the length of a file is believed: a little less is repaired, a lot refused."""

from __future__ import annotations

from loopwright.errors import NotAudio

REPAIRED_SHARE = 0.02
"""A file that lacks more than this share of what its header promises was cut off on its way."""
REPAIRED_BYTES = 64
"""Writers count headers as audio, by so many bytes at the most."""


def check_promise(
    promised: int, found: int, unit: str, at_least: int = REPAIRED_BYTES
) -> tuple[str, ...]:
    """Compare what a header promises with what is there; return what to say of it, if anything.

    Args:
        promised: how many the header says.
        found: how many there are.
        unit: what is counted, in the plural.
        at_least: so many may always be missing.

    Raises:
        NotAudio: where more is missing than a writer's slip explains.
    """
    numbers = f"its header promises {promised:,} {unit}, {found:,} are there"
    if promised - found > max(at_least, REPAIRED_SHARE * promised):
        raise NotAudio(f"is not whole: {numbers}; send the whole file")
    return () if promised == found else (f"has a wrong length in it: {numbers}; all were used",)
