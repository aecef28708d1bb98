"""Pins for people: a value as it is typed, what a pin would do, doing it at once, and the list."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import msgspec

from config.clock import local_date
from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from mappings.mapping import Strength
from sync_engine import correlate
from sync_engine.audit import note
from sync_engine.claims import gather
from sync_engine.context import Context, chunks
from sync_engine.errors import RunActiveError, SyncError
from sync_engine.explain import check_field, shown, veiled
from sync_engine.find import hub_key
from sync_engine.fold import Claim, Json, fold
from sync_engine.hub import Hub
from sync_engine.options import Kind as RunKind
from sync_engine.options import Options
from sync_engine.outcome import RunReport
from sync_engine.pins import checked
from sync_engine.runs import run
from sync_engine.search import matches_of
from sync_engine.store.values import instant
from sync_engine.view import store_context

_DUTCH_DAY: Final = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})")
_ADDRESS: Final = re.compile(
    r"(?P<straat>.+?)\s+(?P<huisnummer>\d+)\s*(?P<toevoeging>[^,]*?)\s*,\s*"
    r"(?P<postcode>\d{4}\s?[A-Za-z]{2})\s+(?P<woonplaats>.+)"
)
_YES_OR_NO: Final = {"ja": True, "j": True, "true": True, "nee": False, "n": False, "false": False}


@dataclass(frozen=True, slots=True)
class Preview:
    """What a pin would do to one field.

    Attributes:
        now: the value in the core.
        new: the value that would be fixed.
        sources: koppeling → what it says; that stays visible.
        insisted_by: the koppeling whose strong mapping would go before the pin, or ''.
    """

    entity: str
    key: str
    field: str
    now: Json
    new: Json
    sources: dict[str, Json]
    insisted_by: str = ""


@dataclass(frozen=True, slots=True)
class PinRow:
    """One pin in force.

    Attributes:
        name: what people call the record.
        sources: koppeling → what it says of the field now.
        until: last day, or ''.
        idle: without the pin the core would have the same value.
        counts: the value in the core is the pin's.
        secret: the value may not leave the school.
        schools: BRINs and vestigingsnummers of the record.
    """

    id: int
    entity: str
    key: str
    name: str
    field: str
    value: Json
    sources: dict[str, Json]
    until: str
    reason: str
    operator: str
    since: str
    idle: bool
    counts: bool
    secret: bool = False
    schools: tuple[str, ...] = ()


def read_value(entity: Entity, name: str, text: str) -> Json:
    """What a person typed as the value of a field; empty pins the field as empty.

    A date may be 4-3-2012, a switch ja or nee, a list has commas, an address is `Straat 1a, 1234 AB
    Plaats`.

    Raises: SyncError if there is no such field; ConfigurationError if it cannot have that value.
    """
    check_field(entity, name)
    text = text.strip()
    kind = fields_of(entity)[name].kind
    return checked(entity, name, _value(kind, text) if text else None)


def _value(kind: Kind, text: str) -> Json:
    if kind is Kind.DATE:
        match = _DUTCH_DAY.fullmatch(text)
        return f"{match[3]}-{match[2]:0>2}-{match[1]:0>2}" if match else text
    if kind is Kind.BOOLEAN:
        return _YES_OR_NO.get(text.lower(), text)
    if kind is Kind.INTEGER and text.removeprefix("-").isdecimal():
        return int(text)
    if kind is Kind.NUMBER:
        try:
            return float(text.replace(",", "."))
        except ValueError:
            return text
    if kind is Kind.LIST:
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind is Kind.ADDRESS:
        match = _ADDRESS.fullmatch(text)
        return {n: v for n, v in match.groupdict().items() if v} if match else {"regels": text}
    return text


def preview(
    hub: Hub, entity: Entity, core_id: int, *, field: str, value: Json, operator: str
) -> Preview:
    """What fixing a field would do; the look is audited.

    Raises: SyncError if there is no such record or field.
    """
    name = field
    check_field(entity, name)
    with hub.store.work() as work:
        rows = work.execute(f"SELECT tenant_id FROM {entity} WHERE id = ?", (core_id,))
    if not rows:
        raise SyncError(
            f"there is no {entity} with that key", advice="Zoek het record met --find -."
        )
    with hub.store.work() as work:
        note(hub, work, operator=operator, action="pin preview", subject=hub_key(core_id))
    with store_context(hub, rows[0][0]) as context:
        correlate.prepare(context)
        said = gather(context, entity, [core_id], accepted_only=True)
        claims = said.claims.get(core_id, [])
        if not claims:
            raise SyncError(
                f"no source has said anything of this {entity}",
                advice="Alleen wat een koppeling levert kan worden vastgezet.",
            )
        rules = context.rules()
        now = fold(entity, claims, pins=said.pins.get(core_id, {}), rules=rules)
        plain = fold(entity, claims, pins={}, rules=rules)
        winner = plain.winners.get(name)
        strong = ""
        if winner is not None and winner.claim is not None and winner.claim.form[name]:
            said_by = winner.claim.koppeling
            strong = (
                said_by if rules.strength(str(entity), name, said_by) is Strength.STRONG else ""
            )
        return Preview(
            str(entity),
            hub_key(core_id),
            name,
            veiled(entity, name, shown(now.values.get(name))),
            veiled(entity, name, value),
            _said(entity, name, claims),
            strong,
        )


def _said(entity: Entity, name: str, claims: Sequence[Claim]) -> dict[str, Json]:
    return {
        claim.koppeling: veiled(entity, name, claim.form[name])
        for claim in sorted(claims, key=lambda c: (c.koppeling, -c.rank))
        if name in claim.form and not claim.gone
    }


def carry_out(hub: Hub, entity: Entity, core_id: int, *, operator: str) -> RunReport | None:
    """Fold one record again, at once and without reading any source; its change is a plan.

    Returns: what the run did; None where another run is under way, which will do it: the record is
        marked.
    """
    with hub.store.work() as work:
        rows = work.execute(
            "SELECT k.name FROM link l JOIN koppeling k ON k.id = l.koppeling_id "
            "WHERE l.core_id = ? AND l.entity = ? ORDER BY k.name",
            (core_id, str(entity)),
        )
    configured = {source.name for source in hub.sources()}
    names = [row[0] for row in rows if row[0] in configured]
    if not names:
        return None
    options = Options(kind=RunKind.REFOLD, cores=(core_id,), operator=operator)
    try:
        return run(hub, names[0], options)
    except RunActiveError:
        return None


# -- the list --------------------------------------------------------------------------------------


def list_pins(
    hub: Hub,
    *,
    operator: str,
    school: str = "",
    expiring: int | None = None,
    idle: bool = False,
) -> list[PinRow]:
    """The pins in force, those that end first in front; the look is audited.

    Args:
        hub: to look in.
        operator: who looks.
        school: only records of this BRIN or vestigingsnummer.
        expiring: only those that end within so many days.
        idle: only those that no longer differ from the source.
    """
    today = local_date(hub.clock.now(), hub.settings.timezone)
    last = None if expiring is None else (today + timedelta(days=expiring)).isoformat()
    found = [
        row
        for row in in_force(hub)
        if (not school or any(number.startswith(school.upper()) for number in row.schools))
        and (last is None or (row.until and row.until <= last))
        and (not idle or row.idle)
    ]
    with hub.store.work() as work:
        note(hub, work, operator=operator, action="pin list", subject=f"{len(found)} pins")
    return sorted(found, key=lambda row: (row.until or "9999", row.id))


def in_force(hub: Hub, *, koppeling: str = "") -> list[PinRow]:
    """Every pin that holds today, or of the records alone that one koppeling has."""
    today = local_date(hub.clock.now(), hub.settings.timezone).isoformat()
    with hub.store.work() as work:
        pinned = {row[0] for row in work.execute("SELECT DISTINCT tenant_id FROM pin")}
        tenants = pinned & set(hub.tenants(work))
    found: list[PinRow] = []
    for tenant_id in sorted(tenants):
        with store_context(hub, tenant_id) as context:
            correlate.prepare(context)
            found += _of_tenant(hub, context, koppeling)
    return [row for row in found if not row.until or row.until >= today]


def _of_tenant(hub: Hub, context: Context, koppeling: str) -> list[PinRow]:
    rows = context.work.execute(
        "SELECT p.id, p.core_id, COALESCE(a.survivor_id, p.core_id), p.entity, p.field, p.value, "
        "p.reason, p.operator, p.created_at, p.until, s.salt FROM pin p "
        "LEFT JOIN alias a ON a.core_id = p.core_id JOIN core_salt s ON s.core_id = p.core_id "
        "WHERE p.lifted_at IS NULL AND p.tenant_id = ? ORDER BY p.id",
        (context.koppeling.tenant_id,),
    )
    by_entity: dict[Entity, list[tuple[object, ...]]] = defaultdict(list)
    for row in rows:
        by_entity[Entity(row[3])].append(row)
    found = []
    for entity, some in by_entity.items():
        for part in chunks(some):
            found += _of_entity(hub, context, entity, part, koppeling)
    return found


def _of_entity(
    hub: Hub,
    context: Context,
    entity: Entity,
    rows: Sequence[tuple[object, ...]],
    koppeling: str,
) -> list[PinRow]:
    cores = sorted({int(str(row[2])) for row in rows})
    said = gather(context, entity, cores, accepted_only=True)
    names = {m.core_id: m.name for m in matches_of(hub, context.work, entity, cores)}
    found = []
    for pin_id, core_id, owner, _, name, value, reason, operator, since, until, salt in rows:
        claims = said.claims.get(int(str(owner)), [])
        if koppeling and koppeling not in {claim.koppeling for claim in claims}:
            continue
        if not isinstance(salt, bytes) or not isinstance(value, bytes) or not claims:
            continue
        plain = context.cipher.person(salt).decrypt(value, b"pin|%d" % int(str(core_id)))
        fixed: Json = msgspec.json.decode(plain)
        rules = context.rules()
        without = fold(entity, claims, pins={}, rules=rules)
        within = fold(entity, claims, pins=said.pins.get(int(str(owner)), {}), rules=rules)
        winner = within.winners.get(str(name))
        found.append(
            PinRow(
                int(str(pin_id)),
                str(entity),
                hub_key(int(str(owner))),
                names.get(int(str(owner)), ""),
                str(name),
                veiled(entity, str(name), fixed),
                _said(entity, str(name), claims),
                "" if until is None else str(until),
                str(reason),
                str(operator),
                instant(str(since)).isoformat(),
                without.values.get(str(name)) == fixed,
                winner is not None and winner.pin_id == pin_id,
                bool(within.values.get(fields_of(entity)[str(name)].hidden_by)),
                _schools(context, claims),
            )
        )
    return found


def _schools(context: Context, claims: Sequence[Claim]) -> tuple[str, ...]:
    wanted = {(claim.koppeling_id, claim.scope) for claim in claims}
    found = {
        brin
        for number, scope in context.scopes.items()
        if (context.scope_koppeling[number], f"{scope.resource}/{scope.key}") in wanted
        for brin in scope.brins
    }
    return tuple(sorted(found))
