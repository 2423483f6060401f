"""The types of request fields, and the sentences that say what each may hold.

Knows: how clients spell numbers, words, bars and keys. Does not know: which request has which
field.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from loopwright.music.key import Key, parse_key

MAX_PROMPT_CHARACTERS = 2000
MAX_KEY_CHARACTERS = 40
MAX_STEPS = 10_000
MAX_TAKES = 8
"""Most loops that one request may ask for."""

KEY_ALLOWED = "a musical key such as A, F#m, Bb major or gsharp"
STEPS_ALLOWED = f"a whole number from 1 to {MAX_STEPS:,}"
BARS_ALLOWED = "`auto`, 1, 2, 4 or 8"
LOOP_TYPES_ALLOWED = "`drums`, `instruments` or `auto`"
STRENGTH_ALLOWED = "a number from 0.1 to 1.0"

_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""Characters without meaning in a prompt; NUL would end the text early in the tags of a file."""


def field(default: Any, allowed: str, description: str, **bounds: Any) -> Any:
    """Return a field of a request.

    Args:
        default: The value where none is sent; ``...``: the field must be sent.
        allowed: What a value may be. An error says ``<name> must be <allowed>``.
        description: What the field does, for OpenAPI and ``--help``.
        bounds: Limits that pydantic checks, such as ``ge`` and ``max_length``.
    """
    return Field(default, description=description, json_schema_extra={"allowed": allowed}, **bounds)


def _refuse_booleans(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a boolean is not a number")
    return value


def _clean_text(value: object) -> object:
    if not isinstance(value, str):
        return value
    value.encode()  # a lone surrogate could not be sent back in any reply
    return _CONTROL_CHARACTERS.sub(" ", value).strip()


def _lowercase(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _whole_number(value: object) -> object:
    """Return the number that a form's text spells; pydantic's literals take no text for it."""
    number = _refuse_booleans(value)
    is_short_text = isinstance(number, str) and number.strip().isdecimal() and len(number) < 10
    return int(str(number)) if is_short_text else number


def _read_bars(value: object) -> object:
    bars = _lowercase(_refuse_booleans(value))
    if bars == "auto" or not isinstance(bars, str):
        return bars
    number = float(bars)
    return int(number) if number.is_integer() else bars


def _read_key(value: object) -> Key:
    if isinstance(value, Key):
        return value
    key = parse_key(value) if isinstance(value, str) and len(value) <= MAX_KEY_CHARACTERS else None
    if key is None:
        raise ValueError("it is no key")
    return key


Number = BeforeValidator(_refuse_booleans)
WholeNumber = BeforeValidator(_whole_number)
Word = BeforeValidator(_lowercase)
Text = Annotated[str, BeforeValidator(_clean_text)]
Bars = Annotated[Literal["auto", 1, 2, 4, 8], BeforeValidator(_read_bars)]
KeyField = Annotated[
    Key,
    BeforeValidator(_read_key),
    PlainSerializer(lambda key: key.written, return_type=str),
    WithJsonSchema({"type": "string", "maxLength": MAX_KEY_CHARACTERS}),
]
