"""Cases: the list, one case with its candidates side by side, and a person's word on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from mappings.canonical.fields import Entity
from mappings.canonical.schema import fields_of
from sync_engine.case_view import CaseView, FieldPair, read_case
from sync_engine.cases import (
    KINDS,
    STATES,
    assign,
    close,
    colleagues,
    find_case,
    list_cases,
    note_look,
    write_note,
)
from sync_engine.errors import SyncError
from sync_engine.flat import SECRET
from sync_engine.fold import Json
from sync_engine.previews import choice_of, preview
from sync_engine.rights import may_touch
from sync_engine.selection import koppelingen_of, select
from sync_engine.told import plain
from web.pages import labels
from web.pages.desk import Desk, Page, act
from web.pages.links import address, of_koppeling
from web.pages.plans import MOST_WHY

_SHOWN: Final = 50
_MOST: Final = 1_000


@dataclass(frozen=True, slots=True)
class Line:
    """One field over all columns of a case: what the source says, and each candidate."""

    name: str
    source: Json
    candidates: tuple[FieldPair | None, ...]


def cases(desk: Desk) -> Response:
    """The cases that were asked for, oldest first."""
    source, school, kind = desk.asked("koppeling"), desk.asked("school"), desk.asked("soort")
    state = desk.asked("stand") if desk.asked("stand") in STATES else "open"
    mine, limit = desk.asked("mijn") == "1", _MOST if desk.asked("meer") == "1" else _SHOWN
    kind = kind if kind in KINDS else ""
    with desk.hub.store.work() as work:
        known = sorted(koppelingen_of(desk.hub, work).values())
        chosen = select(desk.hub, work, source=source or None, school=school or None)
        note_look(desk.hub, work, "cases", action="case list", operator=desk.operator)
        found, more = list_cases(
            desk.hub,
            work,
            chosen,
            kind=kind or None,
            state=state,
            assignee=desk.operator if mine else None,
            limit=limit,
        )
    asked = {
        "koppeling": source,
        "school": school,
        "soort": kind,
        "stand": "" if state == "open" else state,
        "mijn": "1" if mine else "",
    }
    return desk.show(
        "cases.html",
        cases=found,
        more=more,
        link_more=address("/zaken", asked | {"meer": "1"}),
        known=known,
        asked=asked,
        labels=labels,
    )


def case(desk: Desk) -> Response:
    """One case."""
    return _shown(desk, desk.number("id"))


def _shown(
    desk: Desk,
    number: int,
    *,
    status: int = 200,
    wrong: str = "",
    unchosen: bool = False,
    unknown: bool = False,
) -> Response:
    """A case as it stands now.

    Args:
        desk: of who looks.
        number: of the case.
        status: of the answer.
        wrong: why what he did was not done (Dutch); empty where nothing was.
        unchosen: he did not say what it is.
        unknown: he gave it to nobody whom the configuration names.
    """
    with desk.hub.store.work() as work:
        operators = colleagues(desk.hub, work, find_case(desk.hub, work, number))
        subject = f"case {number}"
        note_look(desk.hub, work, subject, action="case show", operator=desk.operator)
    view = read_case(desk.hub, number)
    return desk.show(
        "case.html",
        status=status,
        view=view,
        case=view.case,
        lines=lines(view),
        record=record(view),
        decisions=[choice for choice in view.choices if choice.verdict],
        others=[c for c in view.choices if not c.verdict and " case " not in c.command],
        touches=may_touch(desk.hub, number),
        operators=operators,
        wrong=wrong,
        unchosen=unchosen,
        unknown=unknown,
        plain=plain,
        most=MOST_WHY,
        labels=labels,
        of_koppeling=of_koppeling,
    )


def lines(view: CaseView) -> list[Line]:
    """Every field that anybody has, what differs first; of what is secret only that it is."""
    names = dict.fromkeys(pair.name for c in view.candidates for pair in c.fields)
    by = [{pair.name: pair for pair in c.fields} for c in view.candidates]
    flags, found = _flags(view), []
    for name in names:
        secret = [fields.get(flags.get(name, "")) for fields in by]
        pairs = tuple(
            None if pair is None else _discreet(pair, flag)
            for pair, flag in zip((fields.get(name) for fields in by), secret, strict=True)
        )
        source = next((pair.source for pair in pairs if pair is not None), None)
        found.append(Line(name, source, pairs))
    found.sort(key=lambda line: not _differs(line.candidates))
    return found


def record(view: CaseView) -> dict[str, Json]:
    """What the source says where there is nobody to lay it beside; the same of what is secret."""
    flags = _flags(view)
    return {
        name: SECRET
        if view.record.get(flags.get(name, "")) is True
        or (isinstance(value, dict) and value.get("geheim"))
        else value
        for name, value in view.record.items()
    }


def _flags(view: CaseView) -> dict[str, str]:
    """Field → the field that says of it that it is secret."""
    if view.case.entity not in set(Entity):  # a record that could not be read has no fields
        return {}
    every = fields_of(Entity(view.case.entity))
    return {name: field.hidden_by for name, field in every.items() if field.hidden_by}


def _discreet(pair: FieldPair, flag: FieldPair | None) -> FieldPair:
    """A pair of which neither side is told where either is secret."""
    flagged = flag is not None and True in (flag.source, flag.candidate)
    sides = (pair.source, pair.candidate)
    if not flagged and not any(isinstance(side, dict) and side.get("geheim") for side in sides):
        return pair
    source, candidate = (None if side is None else SECRET for side in sides)
    return FieldPair(pair.name, source, candidate, pair.verdict)


def _differs(pairs: Sequence[FieldPair | None]) -> bool:
    return any(pair is not None and pair.verdict == "ANDERS" for pair in pairs)


# -- acts ------------------------------------------------------------------------------------------


def decide(desk: Desk) -> Response:
    """Show what a decision comes to: a plan, to say yes or no to."""
    number = desk.number("id")
    verdict, _, keys = desk.form.get("choice", "").partition(" ")
    if not verdict:
        return _shown(desk, number, status=422, unchosen=True)
    view = read_case(desk.hub, number)
    try:
        choice = choice_of(view, verdict, tuple(keys.split()))
        report = preview(desk.hub, view, choice)
    except SyncError as error:
        if error.retryable:
            raise
        return _shown(desk, number, status=409, wrong=error.advice)
    if report.plan_id is None or report.error:
        return _shown(desk, number, status=409, wrong=report.advice or report.error)
    return desk.go(f"/plannen/{report.plan_id}")


def give(desk: Desk) -> Response:
    """Give a case to a colleague, take it, or leave it to nobody."""
    number, to = desk.number("id"), desk.form.get("to", "")
    with desk.hub.store.work() as work:
        known = colleagues(desk.hub, work, find_case(desk.hub, work, number))
    if to and to != desk.operator and to not in known:
        return _shown(desk, number, status=422, unknown=True)
    assign(desk.hub, number, to=to or None, operator=desk.operator)
    return desk.go(f"/zaken/{number}")


def write(desk: Desk) -> Response:
    """Write something down with a case."""
    number = desk.number("id")
    write_note(desk.hub, number, desk.form.get("note", ""), operator=desk.operator)
    return desk.go(f"/zaken/{number}")


def shut(desk: Desk) -> Response:
    """Close a case by hand, where it does not follow from the data."""
    number = desk.number("id")
    close(desk.hub, number, why=desk.form.get("why", "")[:MOST_WHY], operator=desk.operator)
    return desk.go("/zaken")


PAGES: Final = (
    Page("/zaken", cases, "case list"),
    Page("/zaken/{id:int}", case, "case show"),
    act("/zaken/{id:int}/beslissen", decide, "case link"),
    act("/zaken/{id:int}/geven", give, "case assign"),
    act("/zaken/{id:int}/notitie", write, "case note"),
    act("/zaken/{id:int}/sluiten", shut, "case close"),
)
