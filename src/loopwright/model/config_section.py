"""A nested mapping read field by field, with errors that name the field by its whole path.

Knows: types of JSON. Does not know: which fields there are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from loopwright.errors import shown

_REQUIRED = object()


@dataclass(frozen=True)
class Section:
    """A JSON object inside a file.

    Its methods raise ValueError for a field that is missing and has no default, and for a value
    that is not what they return.

    Attributes:
        path: Where it is in the file, such as ``model.diffusion.config``; empty: the whole file.
        values: Its fields.
    """

    path: str
    values: Mapping[str, object]

    def get(self, name: str, default: object = None) -> object:
        """Return a field of any type."""
        value = self.values.get(name, default)
        if value is _REQUIRED:
            raise ValueError(f"{self._path(name)} is missing")
        return value

    def integer(self, name: str, default: object = _REQUIRED) -> int:
        """Return a whole number of at least 1."""
        value = self.get(name, default)
        # true and false are integers to isinstance
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self.unsupported(name, "a whole number of at least 1")
        return value

    def number(self, name: str, default: float) -> float:
        """Return a number."""
        value = self.get(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.unsupported(name, "a number")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """Return true or false."""
        value = self.get(name, default)
        if not isinstance(value, bool):
            raise self.unsupported(name, "true or false")
        return value

    def text(self, name: str, default: object = _REQUIRED) -> str:
        """Return a string."""
        value = self.get(name, default)
        if not isinstance(value, str):
            raise self.unsupported(name, "a string")
        return value

    def integers(self, name: str) -> tuple[int, ...]:
        """Return a list of whole numbers above 0, at least one."""
        values = self.get(name, _REQUIRED)
        if (
            not isinstance(values, list)
            or not values
            or not all(type(value) is int and value > 0 for value in values)
        ):
            raise self.unsupported(name, "a list of whole numbers of at least 1")
        return tuple(values)

    def names(self, name: str, known: Collection[str]) -> tuple[str, ...]:
        """Return a list of names, at least one, all of them known."""
        values = self.get(name, _REQUIRED)
        if (
            not isinstance(values, list)
            or not values
            or not all(value in known for value in values)
        ):
            raise self.unsupported(name, f"a list of some of {', '.join(sorted(known))}")
        return tuple(values)

    def section(self, name: str, default: object = _REQUIRED) -> Section:
        """Return an object inside this one."""
        value = self.get(name, default)
        if not isinstance(value, Mapping):
            raise self.unsupported(name, "an object")
        return Section(self._path(name), value)

    def sections(self, name: str) -> list[Section]:
        """Return a list of objects."""
        values = self.get(name, _REQUIRED)
        if not isinstance(values, list) or not all(isinstance(value, Mapping) for value in values):
            raise self.unsupported(name, "a list of objects")
        return [Section(f"{self._path(name)}[{i}]", value) for i, value in enumerate(values)]

    def check_value(self, name: str, supported: object, default: object = _REQUIRED) -> None:
        """Check a field of which one value is supported."""
        if self.get(name, default) != supported:
            raise self.unsupported(name, shown(supported), default)

    def check_fields(self, options: Mapping[str, object], fields: Collection[str]) -> None:
        """Check that there are no other fields than these.

        Args:
            options: The one value that each of these can have.
            fields: Those that can have other values.
        """
        for name in self.values:
            if name in options:
                self.check_value(name, options[name])
            elif name not in fields:
                value = shown(self.values[name])
                raise ValueError(f"{self._path(name)} is not a known field, got {value}")

    def check_equal(self, name: str, value: int, expected: int, what: str) -> None:
        """Check that a value agrees with another one, of which ``what`` says what it is."""
        if value != expected:
            raise ValueError(f"{self._path(name)} must be {expected} ({what}), got {value}")

    def unsupported(self, name: str, allowed: str, default: object = None) -> ValueError:
        """Make the error for a field's value."""
        value = shown(self.values.get(name, default))
        return ValueError(f"{self._path(name)} must be {allowed}, got {value}")

    def _path(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name
