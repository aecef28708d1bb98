"""How alerts are shown, and the records of a weekly report written for the school to mend."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from console.output import Output, pairs
from console.sheet import sheet
from sync_engine.condition import State
from sync_engine.outcome import ExitCode

if TYPE_CHECKING:
    from sync_engine.alerts.incidents import Incident
    from sync_engine.alerts.notices import Notice
    from sync_engine.alerts.watch import Watched
    from sync_engine.alerts.weekly import Line

_STATES: Final = {
    "pending": "wacht",
    "refused": "geweigerd; wordt opnieuw geprobeerd",
    "sent": "verstuurd",
    "failed": "opgegeven",
    "dropped": "vervallen",
}
_EVENTS: Final = {
    "opened": "nieuw",
    "worsened": "erger",
    "reminder": "herinnering",
    "recovered": "hersteld",
    "passed": "kwam en ging",
}


_GRAVITY: Final = {State.GOOD: "goed", State.WARNING: "let op", State.CRITICAL: "kritiek"}


def _over(one: Incident, zone: str) -> str:
    """When it was over; of one that still has to be told so, since when nothing is wrong."""
    from sync_engine.alerts.messages import local

    if one.closed_at is not None:
        return local(one.closed_at, zone)
    return "" if one.gone_since is None else f"niets meer sinds {local(one.gone_since, zone)}"


def show_alerts(
    out: Output, incidents: list[Incident], messages: list[Notice], *, zone: str
) -> ExitCode:
    """Incidents and messages; the code is 1 where a message is not delivered."""
    from sync_engine.alerts.messages import CAUSES, local, subject

    late = any(one.state in {"failed", "refused"} or (one.waits and one.error) for one in messages)
    code = ExitCode.PARTIAL if late else ExitCode.DONE
    if out.data({"incidents": incidents, "notifications": messages}):
        return code
    if not incidents:
        out.line("Er is geen incident.")
    out.table(
        ("nr", "regel", "wat", "ernst", "sinds", "verteld", "hersteld"),
        [
            (
                *(one.id, one.rule, f"{subject(one)}: {CAUSES[one.cause]}", _GRAVITY[one.state]),
                local(one.first_at, zone),
                "" if one.told_at is None else local(one.told_at, zone),
                _over(one, zone),
            )
            for one in incidents
        ],
    )
    out.table(
        ("kanaal", "bericht", "gemaakt", "stand", "pogingen", "waarom niet"),
        [
            (
                *(one.channel, one.title, local(one.created_at, zone)),
                *(_STATES[one.state], one.attempts, one.error),
            )
            for one in messages
        ],
    )
    if late:
        out.line("Niet alles is aangekomen. Los de oorzaak op, dan: koppelhub alerts retry")
    return code


def show_watched(out: Output, done: Watched) -> ExitCode:
    """What one look did; the code is 1 where something is still to be delivered."""
    code = ExitCode.PARTIAL if done.delivered.waiting else ExitCode.DONE
    if out.data(done):
        return code
    told = pairs({_EVENTS[kind]: count for kind, count in done.events.items()})
    out.line(f"incidenten: {done.going_on} lopen; {told or 'niets nieuws'}")
    out.line(f"berichten: {done.delivered.sent} verstuurd, {done.delivered.waiting} wachten")
    if done.delivered.error:
        out.line(f"{done.delivered.error}\n{done.delivered.advice}")
    return code


def write_lines(target: str, lines: Iterable[Line]) -> int:
    """Write the records that a school can mend, with its own numbers; how many."""
    from sync_engine.alerts.weekly import COLUMNS

    count = 0
    with sheet(target, COLUMNS) as write:
        for line in lines:
            count += 1
            if write is not None:
                write(line.cells)
    return count
