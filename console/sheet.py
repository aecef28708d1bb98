"""Tables as files, or on standard output; their form is that of sync_engine/cells.py."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TextIO

from config.errors import ConfigurationError
from sync_engine.cells import Row, as_text, cell, rows

__all__ = ["Row", "as_text", "cell", "sheet"]


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
            yield rows(spool, columns)
            spool.seek(0)
            while text := spool.read(1 << 16):
                sys.stdout.write(text)
        return
    with _private(Path(target)) as file:
        yield rows(file, columns)


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
