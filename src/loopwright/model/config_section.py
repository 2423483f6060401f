"""Reading a nested mapping field by field, with errors that name the field by its whole path.

Knows: types of JSON. Does not know: which fields there are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from loopwright.errors import shown

_REQUIRED = object()


@dataclass(frozen=True)
class Section:
    """A JSON object. path: where it is in the file, as ``model.diffusion.config`` (the whole file: empty)."""

    path: str
    values: Mapping[str, object]

    def get(self, name: str, default: object = None) -> object:
        """A field of any type. Raises ValueError when it is missing and has no default."""
        value = self.values.get(name, default)
        if value is _REQUIRED:
            raise ValueError(f"{self._path(name)} is missing")
        return value

    def integer(self, name: str, default: object = _REQUIRED) -> int:
        """A whole number above 0 (or 0, if that is the default)."""
        value = self.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self.unsupported(name, "a whole number of at least 1")
        return value

    def number(self, name: str, default: float) -> float:
        """A number."""
        value = self.get(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.unsupported(name, "a number")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self.get(name, default)
        if not isinstance(value, bool):
            raise self.unsupported(name, "true or false")
        return value

    def text(self, name: str, default: object = _REQUIRED) -> str:
        """A string."""
        value = self.get(name, default)
        if not isinstance(value, str):
            raise self.unsupported(name, "a string")
        return value

    def integers(self, name: str) -> tuple[int, ...]:
        """A list of whole numbers above 0, at least one."""
        value = self.get(name, _REQUIRED)
        if (
            not isinstance(value, list)
            or not value
            or not all(type(one) is int and one > 0 for one in value)
        ):
            raise self.unsupported(name, "a list of whole numbers of at least 1")
        return tuple(value)

    def names(self, name: str, known: Collection[str]) -> tuple[str, ...]:
        """A list of names, at least one, all of them known."""
        value = self.get(name, _REQUIRED)
        if not isinstance(value, list) or not value or not all(one in known for one in value):
            raise self.unsupported(name, f"a list of some of {', '.join(sorted(known))}")
        return tuple(value)

    def section(self, name: str, default: object = _REQUIRED) -> Section:
        """An object inside this one."""
        value = self.get(name, default)
        if not isinstance(value, Mapping):
            raise self.unsupported(name, "an object")
        return Section(self._path(name), value)

    def sections(self, name: str) -> list[Section]:
        """A list of objects."""
        value = self.get(name, _REQUIRED)
        if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
            raise self.unsupported(name, "a list of objects")
        return [Section(f"{self._path(name)}[{i}]", one) for i, one in enumerate(value)]

    def only(self, name: str, allowed: object, default: object = _REQUIRED) -> None:
        """Check a field of which one value is supported."""
        if self.get(name, default) != allowed:
            raise self.unsupported(name, shown(allowed), default)

    def only_these(self, options: Mapping[str, object], fields: Collection[str]) -> None:
        """Check that there is nothing but ``fields``, and ``options`` with the one value each can have."""
        for name in self.values:
            if name in options:
                self.only(name, options[name])
            elif name not in fields:
                raise ValueError(
                    f"{self._path(name)} is not a known field, got {shown(self.values[name])}"
                )

    def equal(self, name: str, value: int, bound: int, what: str) -> None:
        """Check that a value agrees with another."""
        if value != bound:
            raise ValueError(f"{self._path(name)} must be {bound} ({what}), got {value}")

    def unsupported(self, name: str, allowed: str, default: object = None) -> ValueError:
        """The error for a field's value."""
        return ValueError(
            f"{self._path(name)} must be {allowed}, got {shown(self.values.get(name, default))}"
        )

    def _path(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name
