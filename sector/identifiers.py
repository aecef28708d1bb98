"""Identifier types of the sector: checked when made, never shown whole.

(The base class stands here; the types follow.)
"""

from __future__ import annotations

from typing import ClassVar


class InvalidIdentifierError(ValueError):
    """A text is not a valid identifier; `rule` says why, without the text itself."""

    def __init__(self, name: str, rule: str) -> None:
        super().__init__(f"{name}: {rule}")
        self.name = name
        self.rule = rule


class Identifier:
    """One identifier as a value: equal by value, hashable, masked in `repr`, `str` and format."""

    __slots__ = ("_value",)
    name: ClassVar[str] = "identifier"

    def __init__(self, text: str) -> None:
        self._value = self.check(text)

    @classmethod
    def check(cls, text: str) -> str:
        """The normalised text. Raises: InvalidIdentifierError."""
        return text

    def reveal(self) -> str:
        """The whole identifier, for where it is really needed."""
        return self._value


class Bsn(Identifier):
    """Burgerservicenummer."""


class Onderwijsnummer(Identifier):
    """Onderwijsnummer."""


class EckId(Identifier):
    """ECK iD."""


class Leerlingnummer(Identifier):
    """Leerlingnummer."""
