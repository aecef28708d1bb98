"""Tables as text: CSV as a Dutch spreadsheet opens it, with semicolons.

Cells are texts: one that a spreadsheet would take for a formula begins with an apostrophe.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TextIO, TypeAlias

import msgspec

from mappings.canonical.fields import Adres

_SHORT: Final = 20
Row: TypeAlias = Callable[[Sequence[object]], None]
"""Writes one row."""

# the signs that begin a formula, and their wide forms
_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r", "\n")


def rows(file: TextIO, columns: Sequence[str]) -> Row:
    """Takes rows and writes them under a heading."""
    written = csv.writer(file, delimiter=";")
    written.writerow(columns)
    return lambda row: written.writerow([as_text(cell(value)) for value in row])


def as_text(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    begins = text.lstrip(" \u00a0\ufeff\u200b")
    return f"'{text}" if begins.startswith(_FORMULA) else text


def cell(value: object) -> str:
    """A value in one cell; empty for none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "ja" if value else "nee"
    if isinstance(value, dict):
        if "keten" in value:
            return obtained_text(value)
        return " ".join(str(part) for _, part in as_written(value) if part is not None)
    if isinstance(value, list):
        return ", ".join(map(cell, value))
    if isinstance(value, str) and value.startswith("["):  # a list field, as the core holds it
        try:
            return cell(msgspec.json.decode(value, type=list[str | int]))
        except msgspec.MsgspecError:
            return value
    return str(value)


def as_written(value: Mapping[str, object]) -> list[tuple[str, object]]:
    """The parts of a value in the order in which people write them: of an address, as on a letter.

    The core's own form is sorted by name.
    """
    known = {name: place for place, name in enumerate(Adres.__struct_fields__)}
    return sorted(value.items(), key=lambda part: known.get(part[0], len(known)))


def obtained_text(value: Mapping[str, object]) -> str:
    """A pseudonym with where it holds and since when: of ids that are addresses only the end."""
    ids = [f"{name} {_end(str(value[name]))}" for name in ("keten", "sector") if value.get(name)]
    days = [
        f"{word} {value[name]}"
        for name, word in (("geldig_van", "van"), ("geldig_tot", "tot"))
        if value.get(name)
    ]
    return f"{value.get('waarde')} ({', '.join([*ids, *days])})"


def _end(text: str) -> str:
    return text if len(text) < _SHORT else f"…{text[-4:]}"
