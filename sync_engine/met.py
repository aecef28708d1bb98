"""Met: what one reading of a scope met. Which records, how many, which fields were left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

DROPPED: Final = "dropped field"
"""The event of a field that was left out of some records, for it breaks a rule."""
NAMED: Final = 20
"""So many of those records it names; all are counted."""


@dataclass(slots=True)
class Problem:
    """A field that breaks a rule: in how many records, and the keys of the first."""

    count: int = 0
    keys: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Received:
    """Counts of one reading."""

    read: int = 0
    added: int = 0
    changed: int = 0
    same: int = 0
    quarantined: int = 0
    duplicates: int = 0
    missing: int = 0
    gone: int = 0
    returned: int = 0
    warnings: int = 0
    suppressed: int = 0
    shrunk: bool = False
    blocked: bool = False


class Seen:
    """Which records a reading met, a bit each: a million records take 125 kB."""

    def __init__(self) -> None:
        self._bits = bytearray()
        self._negative: set[int] = set()

    def add(self, number: int) -> bool:
        """Mark one; False if it was marked already."""
        if number < 0:
            if number in self._negative:
                return False
            self._negative.add(number)
            return True
        byte, mask = number >> 3, 1 << (number & 7)
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 1 - len(self._bits) + 4096))
        if self._bits[byte] & mask:
            return False
        self._bits[byte] |= mask
        return True

    def __len__(self) -> int:
        return int.from_bytes(self._bits, "little").bit_count() + len(self._negative)

    def __contains__(self, number: int) -> bool:
        if number < 0:
            return number in self._negative
        byte = number >> 3
        return byte < len(self._bits) and bool(self._bits[byte] & (1 << (number & 7)))


def general(path: str) -> str:
    """A path without its positions: `plaatsingen[3].leerjaar` → `plaatsingen[].leerjaar`."""
    out, inside = [], False
    for character in path:
        if character == "[":
            inside = True
            out.append("[")
        elif character == "]":
            inside = False
            out.append("]")
        elif not inside:
            out.append(character)
    return "".join(out)
