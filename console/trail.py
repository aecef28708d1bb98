"""How the audit trail is shown to people, and written to a file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from console.output import Output
from console.sheet import sheet
from sync_engine.outcome import ExitCode

if TYPE_CHECKING:
    from sync_engine.audit import Line, Verdict

COLUMNS: Final = ("regel", "tijdstip (UTC)", "wie", "wat", "waarvan", "waarom", "vanaf")


def show_trail(out: Output, lines: Iterable[Line], *, csv: str | None) -> None:
    """Lines of the trail; in a file where one is asked."""
    if csv is not None:
        count = 0
        with sheet(csv, COLUMNS) as write:
            for line in lines:
                count += 1
                if write is not None:
                    write(_row(line))
        if csv != "-" and not out.data({"lines": count, "csv": csv}):
            out.line(f"{count} regels in {csv}")
        return
    found = list(lines)
    if out.data(found):
        return
    out.table(COLUMNS, [_row(line) for line in found])
    if not found:
        out.line("Geen regels gevonden.")


def _row(line: Line) -> tuple[object, ...]:
    at, origin = line.at[:19], line.origin or ""
    return (line.id, at, line.operator, line.action, line.subject, line.why, origin)


def show_verdict(out: Output, verdict: Verdict) -> ExitCode:
    """Whether the trail is whole; the code is 2 when it is not."""
    code = ExitCode.DONE if verdict.is_whole else ExitCode.FAILED
    if out.data(verdict):
        return code
    if verdict.is_whole:
        out.line(f"Het logboek is heel: {verdict.lines} regels, laatste {verdict.head}")
        out.line("Bewaar die laatste regel elders; later toetst --witness of hij er nog staat.")
        return code
    where = "Het einde" if verdict.broken is None else f"Regel {verdict.broken}"
    out.line(f"Het logboek is NIET heel. {where}: {verdict.what}.")
    out.line(f"Daarvóór zijn {verdict.lines} regels goed, tot en met {verdict.head}.")
    out.line(
        "Verander niets aan de database. Leg deze melding vast, vergelijk met de laatste goede "
        "back-up en meld het bij de beheerder en de functionaris gegevensbescherming."
    )
    return code
