"""Warnings as a header: JSON in ASCII, no longer than proxies and clients accept."""

from __future__ import annotations

import json
from collections.abc import Sequence

MAX_HEADER_CHARACTERS = 3000
"""nginx's default buffer for all headers of a reply is 4 kB."""

MAX_WARNING_CHARACTERS = 400


def warnings_header(warnings: Sequence[str]) -> str:
    """Return the value of ``X-Warnings``, a JSON list of sentences.

    Long sentences are cut. Where there is no room for all, the last says how many more there are.
    """
    shortened = list[str]()
    for text in warnings:
        is_long = len(text) > MAX_WARNING_CHARACTERS
        shortened.append(f"{text[:MAX_WARNING_CHARACTERS]}…" if is_long else text)
    # one fewer at a time: how long JSON is shows only when it is made, since it escapes characters
    for count in range(len(shortened), -1, -1):
        left_out = len(shortened) - count
        note = [f"{left_out} more in the metadata"] if left_out else []
        value = json.dumps([*shortened[:count], *note])
        if len(value) <= MAX_HEADER_CHARACTERS:
            break
    return value
