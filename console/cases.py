"""How cases are shown to people, and listed in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from console.output import Output
from console.sheet import cell, sheet
from sync_engine.cases import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sync_engine.case_view import Candidate, CaseView
    from sync_engine.cases import CaseRow

COLUMNS: Final = (
    *("zaak", "soort", "koppeling", "entiteit", "bronsleutel", "staat", "regel", "sinds"),
    *("van", "notities"),
)


def show_cases(out: Output, found: Sequence[CaseRow], more: int) -> None:
    """Cases, oldest first."""
    if out.data({"cases": found, "more": more}):
        return
    out.table(COLUMNS, [_row(case) for case in found])
    if more:
        out.line(f"... en nog {more}; zie --limit, --kind, --source en --school")
    out.line("Bekijk er een met `koppelhub case show ID`." if found else "Er zijn geen zaken.")


def write_cases(out: Output, every: Iterable[CaseRow], *, csv: str) -> None:
    """All of them in a file, one after another."""
    count = 0
    with sheet(csv, COLUMNS) as write:
        for case in every:
            count += 1
            if write is not None:
                write(_row(case))
    if csv != "-" and not out.data({"cases": count, "csv": csv}):
        out.line(f"{count} zaken in {csv}")


def _row(case: CaseRow) -> tuple[object, ...]:
    return (
        *(case.id, KINDS.get(case.kind, case.kind), case.koppeling, case.entity, case.source_key),
        *(case.state, case.rule, case.since[:10], case.assignee or "", case.notes or ""),
    )


def show_case(out: Output, view: CaseView) -> None:
    """One case: what it is, side by side, notes, and what each decision would mean."""
    if out.data(view):
        return
    case = view.case
    out.title(f"Zaak {case.id}: {case.entity} {case.source_key} van {case.koppeling}")
    closed = f", gesloten {out.moment(case.closed_at)}" if case.state != "open" else ""
    out.line(f"{KINDS.get(case.kind, case.kind)}: {case.rule}{closed}")
    out.line(f"open sinds {out.moment(case.since)}, van {case.assignee or 'niemand'}")
    for fact in view.facts:
        out.line(f"  {fact}")
    for candidate in view.candidates:
        _show_candidate(out, candidate)
    if not view.candidates and view.record:
        out.table(("veld", "waarde"), [(n, _told(v)) for n, v in view.record.items()])
    for note in view.notes:
        out.line(f"Notitie van {note.operator}, {out.moment(note.at)}: {note.text}")
    if case.state == "open":
        out.title("Wat u kunt doen")
        for choice in view.choices:
            out.line(f"- {choice.meaning}")
            out.line(f"    {choice.command}")


def _show_candidate(out: Output, candidate: Candidate) -> None:
    marks = ", al gekoppeld" * candidate.is_linked + ", afgesloten" * candidate.closed
    out.title(f"Kandidaat {candidate.key} {candidate.name} ({candidate.why}{marks})")
    out.table(
        ("veld", "bron zegt", "kandidaat heeft", ""),
        [(p.name, _told(p.source), _told(p.candidate), p.verdict) for p in candidate.fields],
    )
    for label, lines in (
        ("bekend bij", candidate.known_by),
        ("groepen", candidate.groups),
        ("inschrijvingen", candidate.enrolments),
    ):
        if lines:
            out.line(f"{label}: {'; '.join(lines)}")


def _told(value: object) -> str:
    """A value for the screen of who decides; what is secret is marked as such."""
    if isinstance(value, dict):
        plain = {name: part for name, part in value.items() if name not in {"geheim", "index"}}
        return cell(plain) + (" (geheim)" if value.get("geheim") else "")
    return cell(value)
