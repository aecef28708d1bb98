"""What `explain` says besides who gave a value: what waits, is pinned, would change it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec

from mappings.canonical.fields import Entity
from mappings.canonical.schema import fields_of
from sync_engine.context import Context
from sync_engine.explain import Explanation, FieldReason, PinReason, Waiting, shown, veiled
from sync_engine.fold import Json, kept_of_each
from sync_engine.renumbering import HERINRICHTING
from sync_engine.store.values import instant

_ABSENT = object()


def add_reasons(context: Context, told: Explanation) -> None:
    """Add to every field of an explanation what waits, its pin, and what would change it."""
    waiting = _waiting(context, told)
    pins = _pins(context, told)
    told.waiting = [
        Waiting(form.koppeling, form.scope, form.state, None, form.number, form.why)
        for form in waiting
        if form.goes
    ]
    told.waiting += _quarantined(context, told)
    for reason in told.fields:
        reason.waiting = [
            each
            for form in waiting
            if (each := _of_field(told.entity, reason.name, form)) is not None
        ]
        reason.pin = pins.get(reason.name)
        reason.changes_when = _changes_when(context, told, reason)


def undelivered(told: Explanation, name: str) -> FieldReason:
    """Of a field that nobody delivers and nobody fixed: that it is so, and what may be why."""
    reason = FieldReason(name, None, "not delivered", "", None, None)
    parts = ["geen koppeling levert dit veld nu; verandert zodra er een het levert"]
    reason.changes_when = "; ".join(filter(None, (*parts, _hidden(told, reason))))
    return reason


# -- what waits ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Form:
    """A received form that the core does not use, and why not."""

    koppeling: str
    scope: str
    received: dict[str, Json]
    accepted: dict[str, Json]
    state: str
    number: int | None
    why: str
    goes: bool


def _waiting(context: Context, told: Explanation) -> list[_Form]:
    found = []
    for row in context.work.execute(
        "SELECT s.id, s.koppeling_id, s.scope_id, s.source_key, s.pending, s.situation, "
        "s.refused_run, s.refused_fp, s.received_fp, s.received, s.accepted, s.salt, "
        "s.accepted_fp, s.received_gone, s.accepted_gone "
        "FROM link l JOIN v_shadow s ON s.koppeling_id = l.koppeling_id AND s.entity = l.entity "
        "AND s.source_key = l.source_key WHERE l.core_id = ? AND l.entity = ? ORDER BY s.id",
        (told.core_id, str(told.entity)),
    ):
        number, koppeling_id, scope_id, key, pending, situation, refused_run = row[:7]
        refused_fp, received_fp, received, accepted, salt, accepted_fp = row[7:13]
        refused = refused_fp is not None and bytes(refused_fp) == bytes(received_fp)
        if salt is None or not (pending or refused):
            continue
        person, where = context.cipher.person(salt), b"shadow|%d" % number
        scope = context.scopes[scope_id]
        if refused:
            state = ("refused", refused_run, f"geweigerd of ongedaan gemaakt in run {refused_run}")
        elif situation == "disputed":
            state = _case(context, koppeling_id, told.entity, key)
        else:
            state = _held(context, told.core_id)
        found.append(
            _Form(
                context.koppelingen[koppeling_id],
                f"{scope.resource}/{scope.key}",
                msgspec.json.decode(person.decrypt(received, where)),
                {}
                if accepted_fp is None
                else msgspec.json.decode(person.decrypt(accepted or received, where)),
                *state,
                bool(row[13]) and not row[14],
            )
        )
    return found


def _quarantined(context: Context, told: Explanation) -> list[Waiting]:
    """The source's newest form of a record that breaks a rule: the core keeps the one before."""
    rows = context.work.execute(
        "SELECT DISTINCT l.koppeling_id, q.scope_id, q.path, q.rule, q.first_run FROM link l "
        "JOIN v_shadow s ON s.koppeling_id = l.koppeling_id AND s.entity = l.entity "
        "AND s.source_key = l.source_key JOIN v_record r ON r.id = s.record_id "
        "JOIN quarantine q ON q.scope_id = r.scope_id AND q.source_key = r.source_key "
        "WHERE l.core_id = ? AND l.entity = ? ORDER BY q.scope_id, q.path",
        (told.core_id, str(told.entity)),
    )
    return [
        Waiting(
            context.koppelingen[koppeling_id],
            f"{context.scopes[scope_id].resource}/{context.scopes[scope_id].key}",
            "quarantined",
            None,
            run_id,
            f"wat de bron nu levert staat in quarantaine sinds run {run_id}: {path} {rule}",
        )
        for koppeling_id, scope_id, path, rule, run_id in rows
    ]


def _held(context: Context, core_id: int) -> tuple[str, int | None, str]:
    rows = context.work.execute(
        "SELECT s.plan_id, s.held_for FROM step s JOIN plan p ON p.id = s.plan_id "
        "WHERE s.core_id = ? AND s.state = 'held' AND p.state IN ('held', 'open') "
        "ORDER BY s.id DESC LIMIT 1",
        (core_id,),
    )
    if rows:
        return "held", rows[0][0], f"vastgehouden in plan {rows[0][0]}: {rows[0][1]}"
    return "pending", None, "wacht op de volgende run"


def _case(
    context: Context, koppeling_id: int, entity: Entity, key: str
) -> tuple[str, int | None, str]:
    rows = context.work.execute(  # of itself, else of whom it stands in one record with
        "SELECT z.id, z.rule FROM v_shadow s CROSS JOIN v_shadow d CROSS JOIN zaak z "
        "WHERE s.koppeling_id = ? AND s.entity = ? AND s.source_key = ? "
        "AND d.record_id = s.record_id AND z.koppeling_id = d.koppeling_id "
        "AND z.entity = d.entity AND z.source_key = d.source_key AND z.state = 'open' "
        "ORDER BY d.entity = s.entity AND d.source_key = s.source_key DESC, z.id DESC LIMIT 1",
        (koppeling_id, str(entity), key),
    )
    if rows:
        return "disputed", rows[0][0], f"in twijfel: zaak {rows[0][0]} ({rows[0][1]})"
    return "disputed", None, "in twijfel"


def _of_field(entity: Entity, name: str, form: _Form) -> Waiting | None:
    new = form.received.get(name, _ABSENT)
    if new is _ABSENT or new == form.accepted.get(name, _ABSENT):
        return None
    value = veiled(entity, name, shown(new))
    return Waiting(form.koppeling, form.scope, form.state, value, form.number, form.why)


# -- pins ------------------------------------------------------------------------------------------


def _pins(context: Context, told: Explanation) -> dict[str, PinReason]:
    """Field → the newest pin on it that is in force."""
    found: dict[str, PinReason] = {}
    for pin_id, core_id, name, value, reason, operator, since, until, salt in context.work.execute(
        "SELECT p.id, p.core_id, p.field, p.value, p.reason, p.operator, p.created_at, p.until, "
        "s.salt FROM pin p JOIN core_salt s ON s.core_id = p.core_id WHERE p.lifted_at IS NULL "
        "AND (p.core_id = ? OR p.core_id IN (SELECT core_id FROM alias WHERE survivor_id = ?)) "
        "ORDER BY p.id",
        (told.core_id, told.core_id),
    ):
        if salt is None:
            continue
        plain = context.cipher.person(salt).decrypt(value, b"pin|%d" % core_id)
        found[name] = PinReason(
            pin_id,
            veiled(told.entity, name, msgspec.json.decode(plain)),
            reason,
            operator,
            _iso(since),
            "" if until is None else _day(until),
        )
    return found


def _iso(value: Any) -> str:
    return instant(value).isoformat()


def _day(value: date | str) -> str:
    return value if isinstance(value, str) else value.isoformat()


# -- what would change it --------------------------------------------------------------------------


def _changes_when(context: Context, told: Explanation, reason: FieldReason) -> str:
    parts = [_pinned(reason)] if reason.pin is not None else []
    if reason.pin_id is None:
        parts.append(_by_sources(context, told, reason))
    hidden = _hidden(told, reason)
    if hidden:
        parts.append(hidden)
    parts += [f"{each.koppeling} zegt al iets anders: {each.why}" for each in reason.waiting]
    return "; ".join(filter(None, parts))


def _pinned(reason: FieldReason) -> str:
    pin = reason.pin
    if pin is None:
        return ""
    if reason.pin_id is None:
        return (
            f"de vastgezette waarde (pin {pin.id}) telt niet: {reason.koppeling} staat op zijn veld"
        )
    until = f"tot en met {pin.until}" if pin.until else "zonder einddatum"
    lift = f"los te maken met `koppelhub pin lift {pin.id}`"
    after = f"; daarna geldt wat {reason.koppeling} zegt" if reason.koppeling else ""
    return f"vastgezet {until} door {pin.operator}, {lift}{after}"


def _by_sources(context: Context, told: Explanation, reason: FieldReason) -> str:
    winner = reason.koppeling
    if reason.rule == HERINRICHTING:
        return "het nummer van de dag, door een herinrichting: `koppelhub herinrichting list`"
    if told.closed:
        return f"het record is afgesloten: verandert als {winner} het weer levert"
    claims = {claim.koppeling: claim for claim in reason.claims}
    others = [name for name in claims if name != winner]
    said = f"verandert als {winner} iets anders levert"
    state = claims[winner].state if winner in claims else ""
    if state == "retained":
        said = f"{winner} levert dit veld niet meer; verandert als een koppeling het weer levert"
    if reason.rule.startswith("weak"):
        return f"{said}, of zodra {_listed(others)} het zelf invult"
    if not others:
        return said
    if kept_of_each(fields_of(told.entity)[reason.name]):
        return f"{said}; wat {_listed(others)} zegt staat ernaast"
    if any(_rank(context, told, reason, o) < _rank(context, told, reason, winner) for o in others):
        return f"{said}, of als {_listed(others)} het (weer) levert"
    return f"{said}; {_listed(others)} telt pas als {winner} dit veld niet meer heeft"


def _rank(context: Context, told: Explanation, reason: FieldReason, koppeling: str) -> int:
    return context.policy.authority.rank(str(told.entity), reason.name, koppeling)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "een ander"


def _hidden(told: Explanation, reason: FieldReason) -> str:
    """Which field makes this one secret, and who says so."""
    flag = fields_of(told.entity)[reason.name].hidden_by
    by = next((r for r in told.fields if r.name == flag and r.value is True), None)
    if by is None:
        return ""
    who = f"pin {by.pin_id}" if by.pin_id is not None else by.koppeling
    return f"geheim door {flag} ({who}): mag de school niet uit"
