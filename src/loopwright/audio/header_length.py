"""How far the length in a file's header is believed: a small error is accepted, a large one not."""

from __future__ import annotations

from loopwright.errors import NotAudio

MAX_MISSING_SHARE = 0.02
"""A file that lacks more of its audio than this was cut off on its way."""
MAX_MISSING_BYTES = 64
"""Some programs count headers as audio, which makes a length too large by up to this."""


def check_header_length(
    expected: int, found: int, unit: str, tolerance: int = MAX_MISSING_BYTES
) -> tuple[str, ...]:
    """Compare the length in a file's header with the audio that is there.

    Args:
        expected: The length in the header.
        found: The length of the audio.
        unit: What is counted, in the plural.
        tolerance: How many may be missing of any file, however short.

    Returns:
        A note where the two differ.

    Raises:
        NotAudio: More is missing than a program's mistake explains.
    """
    numbers = f"its header says {expected:,} {unit}, {found:,} are there"
    if expected - found > max(tolerance, MAX_MISSING_SHARE * expected):
        raise NotAudio(f"is incomplete: {numbers}; send the whole file")
    return () if expected == found else (f"has a wrong length: {numbers}; all were used",)
