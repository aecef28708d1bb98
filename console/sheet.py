"""Tables as files: CSV as a Dutch spreadsheet opens it, semicolons and UTF-8 with a mark.

Cells are texts: one that a spreadsheet would take for a formula begins with an apostrophe.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final, TextIO, TypeAlias

import msgspec

from config.errors import ConfigurationError

Row: TypeAlias = Callable[[Sequence[object]], None]
"""Writes one row."""

# the signs that begin a formula, and their wide forms
_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r", "\n")


@contextmanager
def sheet(target: str | None, columns: Sequence[str]) -> Iterator[Row | None]:
    """Takes rows and writes them under a heading; None where no file is asked.

    Args:
        target: a path, made with mode 0600, or `-` for standard output, once all is there.
        columns: the heading.

    Raises: ConfigurationError if the file cannot be made.
    """
    if target is None:
        yield None
        return
    if target == "-":
        with TemporaryFile("w+", encoding="utf-8", newline="") as spool:
            yield _rows(spool, columns)
            spool.seek(0)
            while text := spool.read(1 << 16):
                sys.stdout.write(text)
        return
    with _private(Path(target)) as file:
        yield _rows(file, columns)


def _private(path: Path) -> TextIO:
    """A new or emptied file that its owner alone can read."""
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.fchmod(number, 0o600)
    except OSError as exc:
        raise ConfigurationError(
            f"the file cannot be written: {exc.strerror}",
            advice="Noem met --csv een bestand in een map waarin u mag schrijven.",
        ) from None
    return os.fdopen(number, "w", encoding="utf-8-sig", newline="")


def _rows(file: TextIO, columns: Sequence[str]) -> Row:
    rows = csv.writer(file, delimiter=";")
    rows.writerow(columns)
    return lambda row: rows.writerow([as_text(cell(value)) for value in row])


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
