"""Warnings as a header: JSON in ASCII, no longer than proxies and clients take."""

from __future__ import annotations

import json
from collections.abc import Sequence

MAX_HEADER_CHARACTERS = 3000
"""nginx's default buffer for all headers of a reply is 4 kB."""
MAX_WARNING_CHARACTERS = 400


def warnings_header(warnings: Sequence[str]) -> str:
    """Return the value of ``X-Warnings``: a list; where there is no room for all, its end says how many more."""
    cut = [
        text if len(text) <= MAX_WARNING_CHARACTERS else f"{text[:MAX_WARNING_CHARACTERS]}…"
        for text in warnings
    ]
    for count in range(len(cut), -1, -1):
        more = [] if count == len(cut) else [f"{len(cut) - count} more in the metadata"]
        value = json.dumps([*cut[:count], *more])
        if len(value) <= MAX_HEADER_CHARACTERS:
            break
    return value
