"""Which record a person means: by its key, or by what a school says, asked out of sight.

What is typed after a command stands in the list of processes and in the history of the shell; so
names and personal numbers are read from standard input, or asked without echo.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from getpass import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from console.arguments import typed_keys

if TYPE_CHECKING:
    from mappings.canonical.fields import Entity
    from sync_engine.hub import Hub
    from sync_engine.search import Match

Key = Annotated[
    str | None,
    typer.Argument(
        help="Hub key (K-...), koppeling:key, leerlingnummer, or name of a groep; - reads it from "
        "stdin.",
    ),
]
Find = Annotated[
    str | None,
    typer.Option(
        "--find",
        metavar="-",
        help="Search by what a school says (name and birth date, BSN, ECK iD, e-mail), read from "
        "stdin or asked; always written as --find -.",
    ),
]


def said(question: str) -> str:
    """One line of standard input; at a terminal asked without echo."""
    if sys.stdin.isatty():
        return getpass(f"{question}: ", stream=sys.stderr).strip()
    return sys.stdin.readline().strip()


def checked(key: str | None, find: str | None) -> None:
    """Refuse a command line that says not or twice who is meant, before anything is opened."""
    if find is not None and find != "-":
        raise typer.BadParameter(
            "write --find - and give what you search by on standard input: here others can read it"
        )
    if (key is None) == (find is None):
        raise typer.BadParameter("give a key, or --find -")


def chosen(
    hub: Hub, entity: Entity, key: str | None, find: str | None, *, operator: str
) -> list[Match]:
    """The records that are meant: what a key has, or the one that was picked from what was found.

    Several that a key has are all meant (a groep of that name in two vestigingen). That a number is
    an old one is said on standard error.
    Raises: SyncError if there is none, or nobody says which.
    """
    from sync_engine.search import by_key, hinted, matches_of, search

    if find is None:
        text = said("Sleutel") if key == "-" and sys.stdin.isatty() else _typed(str(key))
        with hub.store.work() as work:
            found = matches_of(hub, work, entity, by_key(hub, work, entity, text))
            return _told(hinted(hub, work, entity, text, found))
    found = search(hub, entity, said("Zoek op"), operator=operator)
    return _told(found if len(found) == 1 else [_picked(found)])


def _told(found: list[Match]) -> list[Match]:
    for hint in dict.fromkeys(match.hint for match in found if match.hint):
        sys.stderr.write(f"{hint}\n")
    return found


def hints(found: Sequence[Match]) -> dict[str, str]:
    """Hub key → what is said with it, for `Output`."""
    return {match.key: match.hint for match in found}


def _typed(key: str) -> str:
    text, *more = typed_keys([key])
    if more:
        raise typer.BadParameter("standard input holds more than one key")
    return text


def chosen_one(
    hub: Hub, entity: Entity, key: str | None, find: str | None, *, operator: str
) -> Match:
    """As `chosen`, one record only. Raises: SyncError also where a key has several."""
    found = chosen(hub, entity, key, find, operator=operator)
    return found[0] if len(found) == 1 else _picked(found)


def described(match: Match) -> str:
    """Who or what it is, for the person who typed its key: for standard error alone."""
    about = ", ".join(filter(None, (match.born, match.klas, match.place)))
    closed = " (afgesloten)" if match.closed else ""
    return f"{match.name or '-'}  {about}  {match.key}{closed}"


def _picked(found: list[Match]) -> Match:
    """Show a numbered list beside the answer and ask which."""
    from sync_engine.errors import SyncError

    for number, match in enumerate(found, start=1):
        sys.stderr.write(f"{number:3}. {described(match)}\n")
    if sys.stdin.isatty():
        sys.stderr.write(f"Welke? [1-{len(found)}] ")
        sys.stderr.flush()
    answer = sys.stdin.readline().strip()
    if not answer.isdigit() or not 1 <= int(answer) <= len(found):
        keys = ", ".join(match.key for match in found)
        raise SyncError(
            f"{len(found)} records fit, and nobody said which",
            advice=f"Geef het nummer uit de lijst, of een van deze sleutels: {keys}.",
        )
    return found[int(answer) - 1]
