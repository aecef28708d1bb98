"""Runs: the list, and one run with its timeline, what it changed, what it set apart; undoing it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import msgspec
from starlette.responses import Response

from sync_engine.decisions import koppeling_of_run
from sync_engine.fold import Json
from sync_engine.history import RunDetail, list_runs, look_at_run
from sync_engine.options import Kind
from sync_engine.outcome import READ_WELL, ReadingReport
from sync_engine.previews import preview_undo
from sync_engine.rights import may_undo
from sync_engine.rules import advice
from sync_engine.selection import koppelingen_of
from web.pages import labels
from web.pages.desk import Desk, Page, act
from web.pages.links import of_koppeling
from web.pages.systems import title_of
from web.texts import instant_of

_SHOWN: Final = 50
_MORE: Final = 500
_KEPT: Final = frozenset({Kind.ADOPT, Kind.REFUSE, Kind.UNDO})
"""Kinds of runs that are not undone from their page."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One resource on the timeline of a run: its scopes, in the order in which they were closed.

    Attributes:
        at: when the last of them was closed; empty where that is not known.
        broken: those that were not read whole, each with the reason and what to do.
    """

    resource: str
    at: str
    state: str
    scopes: int
    read: int
    added: int
    changed: int
    gone: int
    quarantined: int
    broken: tuple[ReadingReport, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """Something that a run reported: what it is, and its details."""

    kind: str
    facts: tuple[tuple[str, str], ...]


def runs(desk: Desk) -> Response:
    """The latest runs, of all koppelingen or of one."""
    name = desk.asked("koppeling")
    limit = _MORE if desk.asked("alle") == "1" else _SHOWN
    found = list_runs(desk.hub, koppeling=name or None, limit=limit)
    with desk.hub.store.work() as work:
        known = sorted(koppelingen_of(desk.hub, work).values())
    return desk.show(
        "runs.html",
        runs=found,
        known=known,
        chosen=name,
        full=len(found) == _SHOWN,
        labels=labels,
    )


def run(desk: Desk) -> Response:
    """One run."""
    detail = look_at_run(desk.hub, desk.number("id"), operator=desk.operator)
    view = detail.run
    started, finished = instant_of(view.started_at), instant_of(view.finished_at)
    lasted: timedelta | None = None
    if started is not None and finished is not None:
        lasted = finished - started
    system = next((s.system for s in desk.hub.sources() if s.name == view.koppeling), "")
    title = title_of(system) if system else view.koppeling
    return desk.show(
        "run.html",
        detail=detail,
        run=view,
        lasted=lasted,
        timeline=timeline(detail.readings),
        changes=changes(detail.counts.get("applied")),
        planned=changes(detail.counts.get("steps")),
        events=[told(event) for event in detail.events],
        broken=[
            (row, advice(title, str(row["field"]), str(row["rule"]))) for row in detail.quarantine
        ],
        undoable=_is_undoable(desk, detail),
        labels=labels,
        of_koppeling=of_koppeling,
    )


def _is_undoable(desk: Desk, detail: RunDetail) -> bool:
    """Whether it may be offered; whether it can be done says the engine, when asked."""
    run = detail.run
    configured = {source.name for source in desk.hub.sources()}
    done = any(changes(detail.counts.get("applied")).values())
    offered = done and run.kind not in _KEPT and run.koppeling in configured
    return offered and may_undo(desk.hub, run.koppeling, run.id)


def undo(desk: Desk) -> Response:
    """Show what undoing a run comes to: a plan, to say yes or no to."""
    run_id = desk.number("id")
    koppeling = koppeling_of_run(desk.hub, run_id)
    report = preview_undo(desk.hub, koppeling, run_id)
    if report.plan_id is None or report.error:
        return desk.show(
            "problem.html",
            status=409,
            title="Dit kan niet zo",
            says=report.advice,
            error=report.error,
        )
    return desk.go(f"/plannen/{report.plan_id}")


def timeline(readings: Sequence[ReadingReport]) -> list[Moment]:
    """Resource by resource, in the order in which they were first read."""
    by: dict[str, list[ReadingReport]] = defaultdict(list)
    for reading in readings:
        by[reading.resource].append(reading)
    found = []
    for resource, every in by.items():
        broken = tuple(r for r in every if r.state not in READ_WELL)
        state = broken[0].state if broken else every[0].state
        found.append(
            Moment(
                resource,
                max(r.finished_at for r in every),
                state,
                len(every),
                read=sum(r.read for r in every),
                added=sum(r.added for r in every),
                changed=sum(r.changed for r in every),
                gone=sum(r.gone for r in every),
                quarantined=sum(r.quarantined for r in every),
                broken=broken,
            )
        )
    return found


def changes(counts: Json | object) -> dict[str, dict[str, int]]:
    """Entity → operation → records, of counts like `leerling.create`; nothing that is zero."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    if isinstance(counts, Mapping):
        for name, count in counts.items():
            entity, _, op = str(name).partition(".")
            if isinstance(count, int) and count:
                found[entity][op] = count
    return dict(found)


def told(event: Mapping[str, Json]) -> Told:
    """An event for people; keys of records stand in the quarantine, not here."""
    detail = msgspec.json.decode(str(event["detail"]))
    if not isinstance(detail, dict):
        return Told(str(event["kind"]), ())
    facts = tuple((name, _short(value)) for name, value in detail.items() if name != "keys")
    return Told(str(event["kind"]), facts)


def _short(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}: {part}" for name, part in value.items())
    return str(value)


PAGES: Final = (
    Page("/runs", runs, "runs"),
    Page("/runs/{id:int}", run, "run show"),
    act("/runs/{id:int}/terugdraaien", undo, "run undo"),
)
