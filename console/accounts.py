"""Local accounts, as the command line asks for their passwords and shows them."""

from __future__ import annotations

import sys
from getpass import getpass
from typing import TYPE_CHECKING

import typer

from console.output import Output
from sync_engine.outcome import ExitCode

if TYPE_CHECKING:
    from sync_engine.accounts import LocalAccount

_LONGEST_LINE = 5_000


def new_password(name: str) -> str:
    """A password: asked twice without echo, or one line of standard input. Never an argument.

    Raises: BadParameter if the two are not the same.
    """
    if not sys.stdin.isatty():
        return sys.stdin.readline(_LONGEST_LINE).removesuffix("\n").removesuffix("\r")
    typed = getpass(f"Wachtwoord voor {name}: ", stream=sys.stderr)
    if getpass("Nog eens: ", stream=sys.stderr) != typed:
        raise typer.BadParameter("the two passwords are not the same")
    return typed


def show_added(out: Output, name: str, *, known: bool) -> ExitCode:
    """What became of a new account; the code is 1 where it opens nothing yet."""
    code = ExitCode.DONE if known else ExitCode.PARTIAL
    if out.data({"account": name, "operator": known}):
        return code
    out.line(f"Account {name} is gemaakt.")
    if not known:
        out.line(
            "Het geeft nog geen toegang: neem in koppelhub.toml een tabel [[operator]] op met "
            f'name = "{name}" en een role, en herstart `koppelhub serve`.'
        )
    return code


def show_ended(out: Output, said: str, *, sessions: int) -> None:
    """What was done, and how many sessions ended by it."""
    if not out.data({"sessions": sessions}):
        out.line(f"{said} Sessies beëindigd: {sessions}.")


def show_accounts(out: Output, found: list[LocalAccount]) -> None:
    """The accounts, a line each."""
    if out.data(found):
        return
    out.table(
        ("account", "rol", "stand", "wachtwoord van", "sessies"),
        [
            (
                each.name,
                each.role or "geen: niet in [[operator]]",
                "in gebruik" if each.disabled_at is None else "uitgezet",
                out.day(each.changed_at),
                each.sessions,
            )
            for each in found
        ],
    )
    if not found:
        out.line("Er zijn geen accounts. Maak er een met `koppelhub account add NAAM`.")
