"""How one record is shown: why it is so, what happened to it, and what it was."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING, Final

from console.output import Output
from console.sheet import as_text
from console.views import cell, told_member

if TYPE_CHECKING:
    from sync_engine.explain import Explanation, FieldReason
    from sync_engine.fold import Json
    from sync_engine.life import Life
    from sync_engine.past import Moment


_SITUATIONS: Final = {
    "linked": "gekoppeld",
    "unlinked": "herkend, en gekoppeld in de laatste run",
    "unmatched": "nieuw, gemaakt in de laatste run",
    "disputed": "betwist: er is een zaak (`koppelhub case list`)",
    "gone": "staat niet meer in de bron",
    "quarantined": "in quarantaine: breekt een regel",
}


_FIRST: Final = 10
"""So many members of a groep are named where more than one field is explained."""


def show_explanation(out: Output, answers: list[tuple[str, Explanation]]) -> None:
    """Why a record is as it is."""
    if out.data([{"key": key, "explanation": explanation} for key, explanation in answers]):
        return
    for key, explanation in answers:
        out.title(f"{explanation.entity} {key}{' (afgesloten)' if explanation.closed else ''}")
        for source, situation in explanation.situation.items():
            out.line(f"  {source}: {_SITUATIONS.get(situation, situation)}")
        for waiting in explanation.waiting:
            gone = "" if waiting.state == "quarantined" else "heeft dit record niet meer: "
            out.line(f"  {waiting.koppeling}: {gone}{waiting.why}")
        out.table(
            ("veld", "waarde", "door", "regel", "run", "anderen zeggen"),
            [_reason(reason) for reason in explanation.fields],
        )
        alone = len(explanation.fields) == 1
        more = f"koppelhub explain {explanation.entity} {key} --field"
        for reason in explanation.fields:
            _show_others(out, reason, more="" if alone else f"{more} {reason.name}")
            _show_reason(out, reason, whole=alone)


def _show_others(out: Output, reason: FieldReason, *, more: str) -> None:
    """Who is in it and who came and went, a line each: the first, and what to type for all.

    Args:
        out: where to.
        reason: of a field; nothing is told of one that names one record or none.
        more: what to type; empty to show all.
    """
    value = reason.value if isinstance(reason.value, list) else []
    since = reason.history[0].run_id if reason.history else None
    moved = [c for c in reason.history if c.who and c.run_id != since]
    named = [f"    {_called(reason, key)}" for key in value] if reason.labels else []
    told = [
        f"    {told_member(c.who, c.before, c.after)} in run {c.run_id} ({out.moment(c.at)})"
        for c in moved
    ]
    for title, lines in (("nu", named), ("sinds het begin", told)):
        if lines:
            out.line(f"  {reason.name}, {title}: {len(lines)}")
        for line in lines[: _FIRST if more else len(lines)]:
            out.line(line)
        if more and len(lines) > _FIRST:
            out.line(f"    ... en nog {len(lines) - _FIRST}; zie `{more}`")


def _called(reason: FieldReason, value: Json) -> str:
    """Another record by its name and hub key; how many, where there are more than one."""
    if isinstance(value, list) and reason.labels:
        return str(len(value)) if len(value) > 1 else ", ".join(_called(reason, v) for v in value)
    return reason.labels.get(value, value) if isinstance(value, str) else _text(value)


def _show_reason(out: Output, reason: FieldReason, *, whole: bool) -> None:
    for change in reason.history[1:]:
        if change.who:  # told already
            continue
        out.line(
            f"  {reason.name}: {_text(change.before)} werd {_text(change.after)} "
            f"in run {change.run_id} ({out.moment(change.at)})"
        )
    pin = reason.pin
    if pin is not None:
        until = f" tot en met {pin.until}" if pin.until else ""
        out.line(
            f"  {reason.name}: pin {pin.id} op {_called(reason, pin.value)}{until}, "
            f"door {pin.operator} op {out.day(pin.since)}: {pin.reason}"
        )
    for each in reason.waiting:
        out.line(
            f"  {reason.name}: {each.koppeling} zegt {_called(reason, each.value)}, {each.why}"
        )
    if whole or pin is not None or reason.waiting:
        out.line(f"  {reason.name}: {reason.changes_when}")


def _reason(reason: FieldReason) -> tuple[object, ...]:
    others = [
        f"{claim.koppeling}: {_called(reason, claim.value)} ({claim.state})"
        for claim in reason.claims
        if claim.value != reason.value or claim.koppeling != reason.koppeling
    ]
    by = f"vastgezet ({reason.pin_id})" if reason.pin_id is not None else reason.koppeling
    rule = _RULES.get(reason.rule, reason.rule)
    return (reason.name, _called(reason, reason.value), by, rule, reason.run_id, "; ".join(others))


_RULES: Final = {
    "only source": "enige bron",
    "authority": "gaat voor",
    "weak mapping fills an empty field": "vult een leeg veld aan",
}


# -- what happened ---------------------------------------------------------------------------------


def show_life(out: Output, life: Life, *, page: int) -> None:
    """What happened to a record, a line each, oldest first."""
    if out.data(life):
        return
    out.title(f"{life.entity} {life.key}: {life.total} gebeurtenissen")
    for happening in life.happenings:
        run = "" if happening.run_id is None else f"run {happening.run_id}"
        about = ", ".join(filter(None, (run, happening.source, happening.operator)))
        why = f": {happening.why}" if happening.why else ""
        out.line(f"{out.moment(happening.at) or 'onbekend':16}  {happening.text}  ({about}){why}")
        for name, (before, after) in happening.changes.items():
            if before is None:
                out.line(f"{'':18}{name}: {_text(after)}")
            else:
                out.line(f"{'':18}{name}: {_text(before)} -> {_text(after)}")
    if life.more:
        out.line(f"... en nog {life.more}: --page {page + 1}, of alles als CSV met --csv")


LIFE_COLUMNS: Final = (
    "moment",
    "soort",
    "entiteit",
    "hubsleutel",
    "run",
    "koppeling",
    "door",
    "gebeurtenis",
    "veld",
    "voor",
    "na",
    "waarom",
)


def write_life(life: Life) -> None:
    """What happened as CSV on standard output: a line for each changed field."""
    rows = csv.writer(sys.stdout, delimiter=";")
    rows.writerow(LIFE_COLUMNS)
    for h in life.happenings:
        head = [h.at, h.kind, h.entity, h.subject, h.run_id, h.source, h.operator, h.text]
        changes: dict[str, list[Json]] = h.changes or {"": [None, None]}
        for name, (before, after) in changes.items():
            cells = [
                *head,
                name,
                *("" if side is None else _text(side) for side in (before, after)),
                h.why,
            ]
            rows.writerow([as_text("" if part is None else str(part)) for part in cells])


# -- what was --------------------------------------------------------------------------------------


def show_moment(out: Output, moments: list[Moment]) -> None:
    """A record as it was."""
    if out.data(moments):
        return
    for told in moments:
        when = ", ".join(
            filter(
                None,
                (
                    told.on and f"op {told.on}",
                    told.as_known and f"zoals bekend op {told.as_known}",
                ),
            )
        )
        out.title(f"{told.entity} {told.key}" + (f" {when}" if when else ""))
        if not told.known:
            out.line("De hub kende dit record toen niet.")
            continue
        if not told.holds:
            out.line("Dit record gold die dag niet: de dag valt buiten zijn periode.")
        out.table(("veld", "waarde"), [(name, _text(value)) for name, value in told.values.items()])
        out.table(
            ("groep", "sleutel", "als", "van", "tot en met"),
            [(m.groep, m.key, m.role, m.first, m.last) for m in told.groepen],
        )
        for other in told.others:
            values = ", ".join(f"{name} {_text(value)}" for name, value in other.values.items())
            out.line(f"{other.entity} {other.key}: {values}")


def _text(value: Json) -> str:
    """One value in words; a dash for none."""
    return {True: "ja", False: "nee"}[value] if isinstance(value, bool) else cell(value)
