"""Tables as text: CSV as a Dutch spreadsheet opens it, with semicolons.

Cells are texts: one that a spreadsheet would take for a formula begins with an apostrophe.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from typing import Final, TextIO, TypeAlias

import msgspec

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
        return " ".join(str(part) for part in value.values() if part is not None)
    if isinstance(value, list):
        return ", ".join(map(cell, value))
    if isinstance(value, str) and value.startswith("["):  # a list field, as the core holds it
        try:
            return cell(msgspec.json.decode(value, type=list[str | int]))
        except msgspec.MsgspecError:
            return value
    return str(value)
