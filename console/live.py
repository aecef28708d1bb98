"""The live view of `koppelhub status`: drawn anew every few seconds, until q or Ctrl-C."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from config.clock import Clock
from console.health import COLUMNS, WORDS, by_need, headline, row
from console.output import Output
from sync_engine.condition import Health, Problem, State
from sync_engine.errors import StoreError
from sync_engine.health import without_database

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.text import Text

_STYLES: Final = {State.GOOD: "green", State.WARNING: "yellow", State.CRITICAL: "bold red"}
_SIGNS: Final = {State.GOOD: "●", State.WARNING: "▲", State.CRITICAL: "✖"}
"""A shape beside the colour: not everybody sees the colours."""
_STEP: Final = 0.2
_LEAVES: Final = frozenset(b"qQ\x04")
"""q, or the end of what is typed."""


def is_terminal() -> bool:
    """Whether somebody looks on and can press a key."""
    return sys.stdout.isatty() and sys.stdin.isatty()


def watch(out: Output, look: Callable[[], Health], *, clock: Clock, pause: timedelta) -> None:
    """Show what `look` finds, again and again, with a pause between two looks.

    A database that does not answer for a while is shown as such; the next look may find it back.
    """
    from rich.live import Live

    console = out.console
    with _keys() as pressed, Live(console=console, screen=True, auto_refresh=False) as live:
        try:
            while True:
                live.update(_drawn(_looked(look, clock), console.size.height), refresh=True)
                until = clock.monotonic() + pause.total_seconds()
                while clock.monotonic() < until:
                    if _LEAVES & set(pressed()):
                        return
        except KeyboardInterrupt:
            return


def _looked(look: Callable[[], Health], clock: Clock) -> Health:
    try:
        return look()
    except StoreError as error:
        return without_database(error, at=clock.now())


@contextmanager
def _keys() -> Iterator[Callable[[], bytes]]:
    """A function that waits a moment for keys; the terminal becomes as it was."""
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    try:
        tty.setcbreak(number)
        yield lambda: os.read(number, 64) if select.select([number], [], [], _STEP)[0] else b""
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def _drawn(health: Health, height: int) -> Group:
    """As many koppelingen as fit, the worst first; beneath each what is wrong with it."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    title = Text(
        f"{_SIGNS[health.state]} {headline(health)}   {health.at.astimezone():%H:%M:%S}",
        style=_STYLES[health.state],
    )
    parts: list[RenderableType] = [title]
    parts += _problems("", health.problems)
    koppelingen = by_need(health)
    shown = koppelingen[: max(3, (height - len(parts) - 4) // 2)]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, expand=True)
    for column in COLUMNS:
        table.add_column(column, overflow="ellipsis", no_wrap=True)
    for one in shown:
        cells = [Text(cell) for cell in row(one, health.at)]
        cells[2] = Text(f"{_SIGNS[one.state]} {WORDS[one.state]}", style=_STYLES[one.state])
        table.add_row(*cells)
    parts += [table, Text()]
    room = height - len(parts) - len(shown) - 4
    lines = [line for one in shown for line in _problems(one.name, one.problems)]
    parts += lines[: max(0, room)]
    left = len(koppelingen) - len(shown)
    more = f"nog {left} koppelingen; " if left else ""
    parts.append(Text(f"{more}q: stoppen", style="dim"))
    return Group(*parts)


def _problems(name: str, problems: Sequence[Problem]) -> list[Text]:
    """A line for each: what it is about, why, and what to type."""
    from rich.text import Text

    before = f"{name}: " if name else ""
    return [
        Text(
            f"{_SIGNS[one.state]} {before}{one.text}  [{one.command}]",
            style=_STYLES[one.state],
            no_wrap=True,
            overflow="ellipsis",
        )
        for one in problems
    ]
