"""One way to print: a table or a paragraph for people, one JSON object for scripts."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from config.clock import AMSTERDAM
from console.moments import day, moment

if TYPE_CHECKING:
    from rich.console import Console

    from sync_engine.runs import Progress


_WIDE = 160
"""Columns where there is no terminal: wide enough that no table breaks its words."""


def _plain(value: object) -> object:
    return str(value)


_INSTANT = re.compile(rb'(?<!\\)"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d{6})"')
"""A whole text that is an instant as the store writes it."""


def to_json(value: object) -> str:
    """The value as JSON: dataclasses and enumerations too; dates and instants in ISO 8601, UTC."""
    plain = msgspec.to_builtins(value, enc_hook=_plain, str_keys=True)
    body = _INSTANT.sub(rb'"\1T\2Z"', msgspec.json.encode(plain))
    return msgspec.json.format(body).decode()


@dataclass(slots=True)
class Output:
    """Where a command prints to.

    Attributes:
        json: one JSON object on standard output, nothing else.
        hints: hub key → what was said of how the record was found; beside the `key` of each in
            JSON, or in the object as a whole.
        zone: by whose clock people read an instant; JSON keeps UTC.
    """

    json: bool = False
    hints: Mapping[str, str] = field(default_factory=dict)
    zone: str = AMSTERDAM

    @property
    def console(self) -> Console:
        """Rich on a terminal, plain text elsewhere."""
        from rich.console import Console

        terminal = sys.stdout.isatty()
        return Console(highlight=False, soft_wrap=True, width=None if terminal else _WIDE)

    def data(self, value: object) -> bool:
        """Print as JSON where asked; True when that was all."""
        if self.json:
            sys.stdout.write(to_json(self._hinted(value) if self.hints else value) + "\n")
        return self.json

    def _hinted(self, value: object) -> object:
        plain = msgspec.to_builtins(value, enc_hook=_plain, str_keys=True)
        if isinstance(plain, dict):
            return plain | {"hint": " ".join(filter(None, dict.fromkeys(self.hints.values())))}
        return [one | {"hint": self.hints.get(one["key"], "")} for one in plain]

    def moment(self, value: datetime | str | None) -> str:
        """An instant for people, to the minute; nothing for none."""
        return moment(value, self.zone)

    def day(self, value: datetime | str | None) -> str:
        """The day of an instant for people; nothing for none."""
        return day(value, self.zone)

    def line(self, text: str = "") -> None:
        """One line for people; on standard error when standard output is for JSON."""
        if self.json:
            sys.stderr.write(text + "\n")
        else:
            self.console.print(text, markup=False)

    def title(self, text: str) -> None:
        """A heading."""
        if not self.json:
            self.console.print(f"\n[bold]{_escape(text)}[/bold]")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table; on no terminal, columns of plain text."""
        if self.json or not rows:
            return
        if not sys.stdout.isatty():
            _plain_table([columns, *rows])
            return
        from rich.box import SIMPLE_HEAD
        from rich.table import Table

        table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(_escape("" if cell is None else str(cell)) for cell in row))
        self.console.print(table)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """A bar on a terminal, nothing elsewhere."""
        if self.json or not sys.stderr.isatty():
            yield lambda *_: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        with bar:
            tasks: dict[tuple[str, str], object] = {}

            def show(phase: str, what: str, count: int) -> None:
                key = (phase, what)
                if key not in tasks:
                    tasks[key] = bar.add_task(f"{_PHASES.get(phase, phase)} {what}", total=None)
                bar.update(tasks[key], advance=count)  # type: ignore[arg-type] # rich's TaskID

            yield show


_PHASES = {
    "read": "lezen",
    "plan": "plan maken",
    "apply": "toepassen",
    "keys": "versleutelen",
    "verify": "navragen",
}


def _plain_table(rows: Sequence[Sequence[object]]) -> None:
    """Columns of text with two spaces between, one line a row however long: for pipes and files."""
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write(" ".join(line.rstrip().splitlines()) + "\n")


def pairs(counts: Mapping[str, int]) -> str:
    """`leerling.create 12, groep.change 3`."""
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
