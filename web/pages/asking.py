"""Runs that a person asks for on a page, and pages that wait for them."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from starlette.responses import Response

from sync_engine.audit import note
from sync_engine.decisions import koppeling_of_act, list_decisions
from sync_engine.errors import SyncError
from sync_engine.history import RunView, list_runs
from sync_engine.options import Kind, Options
from sync_engine.quarantine import counts
from sync_engine.runs import run
from sync_engine.schedule.asking import ask
from sync_engine.selection import select
from web.pages import labels
from web.pages.desk import Desk, Page, act
from web.pages.links import of_koppeling

AGAIN: Final = timedelta(seconds=4)
"""How often a page that waits renews itself."""
_LONGEST: Final = 10
_MOST: Final = 200


def queued(desk: Desk, name: str, options: Options) -> int:
    """Hand a run to who carries it out; the newest run of the koppeling before it.

    Raises: SyncError where this process has nobody who does; ConfigurationError where the koppeling
        lacks something; StoreError.
    """
    if desk.house.dispatcher is None:
        raise SyncError(
            "this process carries out no runs",
            advice=f"Geef de opdracht zelf: `koppelhub sync --source {name}`.",
        )
    desk.hub.connect(desk.hub.source(name), desk.hub.clock).close()  # what it lacks is told here
    runs = list_runs(desk.hub, koppeling=name, limit=1)
    subject = f"koppeling {name}"
    ask(desk.hub, desk.house.dispatcher, [(name, options)], action="sync", subject=subject)
    return runs[0].id if runs else 0


def waits(desk: Desk, newest: RunView | None) -> bool:
    """Whether the run that was asked for on the page before (`?na=12`) is not over."""
    asked = desk.asked("na")
    if not asked.isdecimal() or len(asked) > _LONGEST:
        return False
    return newest is None or newest.state == "running" or newest.id <= int(asked)


def read_now(desk: Desk) -> Response:
    """Read a koppeling as soon as somebody can."""
    name = desk.name("koppeling")
    newest = queued(desk, name, Options(operator=desk.operator))
    return desk.go(f"{of_koppeling(name)}?na={newest}")


def retry(desk: Desk) -> Response:
    """Map again what quarantine keeps, then plan and apply; the source is not asked."""
    name = desk.name("koppeling")
    desk.hub.koppeling(name)
    with desk.hub.store.work() as work:
        held = counts(work, select(desk.hub, work, source=name, school=None)).get(name, 0)
        if held:
            subject = f"koppeling {name}"
            note(desk.hub, work, operator=desk.operator, action="quarantine retry", subject=subject)
    if not held:
        raise SyncError("there is nothing in quarantine", advice="Er staat niets in quarantaine.")
    options = Options(kind=Kind.REPLAY, quarantine=True, operator=desk.operator)
    return desk.go(f"/runs/{run(desk.hub, name, options).run_id}")


def decisions(desk: Desk) -> Response:
    """What persons decided, the newest first."""
    everything = desk.asked("alle") == "1"
    found = list_decisions(desk.hub, everything=everything, limit=_MOST)
    return desk.show(
        "decisions.html",
        decisions=found,
        everything=everything,
        labels=labels,
        of_koppeling=of_koppeling,
    )


def lift(desk: Desk) -> Response:
    """Show what taking a decision back comes to; nothing is taken back yet."""
    number = desk.number("id")
    name = koppeling_of_act(desk.hub, number)
    options = Options(kind=Kind.DECIDE, lifted=number, operator=desk.operator, plan_only=True)
    report = run(desk.hub, name, options)
    if report.error or report.plan_id is None:
        raise SyncError(report.error or "nothing to take back", advice=report.advice or None)
    return desk.go(f"/plannen/{report.plan_id}")


PAGES: Final = (
    Page("/besluiten", decisions, "case decisions"),
    act("/besluiten/{id:int}/terugnemen", lift, "case lift"),
    act("/koppelingen/{koppeling}/lees", read_now, "sync"),
    act("/koppelingen/{koppeling}/quarantaine", retry, "quarantine retry"),
)
