"""Scopes and delivery contracts in the store: what is read, and under which terms."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from config.errors import ConfigurationError
from connectors.base import DeliveryContract, Scope
from mappings.canonical.fields import Entity
from sync_engine import herinrichtingen
from sync_engine.context import Context, ScopeRow, chunks
from sync_engine.store.values import instant
from sync_engine.store.work import Work


class _Terms(msgspec.Struct):
    """A delivery contract as it is kept."""

    fields: dict[str, bool] = {}
    version: str = ""


def load_scopes(context: Context) -> None:
    """Every koppeling and scope of the tenant as they stand now, those of the past included.

    Other koppelingen make and end scopes while this one reads: what is planned under the lock of
    the tenant is planned after loading again under it.
    """
    tenant, koppeling = context.koppeling.tenant_id, context.work.real("koppeling")
    koppelingen = context.work.execute(
        f"SELECT id, name, adds FROM {koppeling} WHERE tenant_id = ?", (tenant,)
    )
    context.koppelingen = {row[0]: row[1] for row in koppelingen}
    context.adding = _adding(context, {row[0] for row in koppelingen if row[2]})
    rows = context.work.execute(
        "SELECT s.id, s.koppeling_id, s.resource, s.key, s.rank, s.schooljaar, s.label, s.brins, "
        f"s.ended_run, s.numbers_of, s.adopted FROM {context.work.real('scope')} s "
        f"JOIN {koppeling} k ON k.id = s.koppeling_id WHERE k.tenant_id = ?",
        (tenant,),
    )
    left = [n for n, k in context.scope_koppeling.items() if k not in context.koppelingen]
    for number in left:  # its koppeling went to another tenant meanwhile
        del context.scopes[number], context.scope_koppeling[number]
    context.ended_scopes = {row[0] for row in rows if row[8] is not None}
    context.adopted_scopes |= {row[0] for row in rows if row[10]}
    for number, koppeling_id, resource, key, rank, year, label, brins, _, numbers_of, _ in rows:
        context.scopes[number] = Scope(
            resource, key, rank, tuple(msgspec.json.decode(brins)), year, label, numbers_of
        )
        context.scope_koppeling[number] = koppeling_id
    herinrichtingen.load(context)


def _adding(context: Context, known: set[int]) -> frozenset[int]:
    """Which koppelingen only add; a run writes it down of its own, for when it is not there."""
    own = context.koppeling.id
    if context.reader is not None and context.reader.manifest.adds != (own in known):
        known ^= {own}
        if not context.dry:
            with context.work.transaction():
                context.work.execute(
                    "UPDATE koppeling SET adds = ? WHERE id = ?", (own in known, own)
                )
    return frozenset(known)


def open_scope(context: Context, scope: Scope) -> ScopeRow:
    """The row of a scope that is about to be read; made where it is new.

    Raises: ConfigurationError if its numbers are of a koppeling that the tenant has not.
    """
    if scope.numbers_of and scope.numbers_of not in context.koppelingen.values():
        known = ", ".join(sorted(context.koppelingen.values()))
        raise ConfigurationError(
            f"numbers_of: this tenant has no koppeling {scope.numbers_of!r}",
            advice=f"Kies een van: {known}.",
        )
    work, own = context.work, context.koppeling.id
    rows = work.execute(
        "SELECT id, contract_fp, complete_at FROM scope "
        "WHERE koppeling_id = ? AND resource = ? AND key = ?",
        (own, scope.resource, scope.key),
    )
    if rows:
        number, contract_fp, complete_at = rows[0]
        _refresh(context, number, scope)
    else:
        number, contract_fp, complete_at = _create(context, scope), None, None
    context.scopes[number] = scope
    context.scope_koppeling[number] = own
    return ScopeRow(
        number,
        scope,
        None if contract_fp is None else bytes(contract_fp),
        None if complete_at is None else instant(complete_at),
    )


def _create(context: Context, scope: Scope) -> int:
    if context.dry:
        return context.ids.take("scope", 1)[0]
    with context.work.transaction():
        rows = context.work.execute(
            "INSERT INTO scope (koppeling_id, resource, key, rank, schooljaar, label, brins, "
            "numbers_of, complete_count) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0) RETURNING id",
            (
                context.koppeling.id,
                scope.resource,
                scope.key,
                scope.rank,
                scope.schooljaar,
                scope.label,
                _json(scope.brins),
                scope.numbers_of,
            ),
        )
    return int(rows[0][0])


def _refresh(context: Context, number: int, scope: Scope) -> None:
    known = context.scopes.get(number)
    if context.dry or known == scope:
        return
    with context.work.transaction():
        context.work.execute(
            "UPDATE scope SET rank = ?, schooljaar = ?, label = ?, brins = ?, numbers_of = ? "
            "WHERE id = ?",
            (
                scope.rank,
                scope.schooljaar,
                scope.label,
                _json(scope.brins),
                scope.numbers_of,
                number,
            ),
        )
        if known is not None and known.numbers_of != scope.numbers_of:
            context.work.execute(  # the keys that its records bring are others now
                "UPDATE shadow SET pending = true WHERE scope_id = ? AND accepted_fp IS NOT NULL "
                "AND refused_fp IS NULL",
                (number,),
            )


def end_vanished(context: Context, listed: Collection[Scope]) -> None:
    """End the scopes of this koppeling that the source lists no longer; take back those it does.

    A scope that is ended proves nothing any more; what leaned on it is folded again. Only under the
    lock of the tenant, after `load_scopes`: whoever drains the refold table must know the scopes
    that its rows stand for. A dry run ends them for itself alone.

    Args:
        context: of the run.
        listed: every scope that the source listed, selected or not.
    """
    names = {(scope.resource, scope.key) for scope in listed}
    for scope_id, scope in list(context.scopes.items()):
        if context.scope_koppeling[scope_id] != context.koppeling.id:
            continue
        ended = (scope.resource, scope.key) not in names
        if ended != (scope_id in context.ended_scopes):
            end_scope(context, scope_id, ended=ended)


def end_scope(context: Context, scope_id: int, *, ended: bool) -> None:
    """End a scope, or take it back; what leaned on it is folded again."""
    with context.work.transaction():
        if not context.dry:
            context.work.execute(
                "UPDATE scope SET ended_run = ? WHERE id = ?",
                (context.run_id if ended else None, scope_id),
            )
        context.work.execute(
            f"INSERT INTO {context.marks} (core_id, tenant_id, entity, reason) "
            # CROSS JOIN keeps the order: shadows are found by their records, and not one by one
            "SELECT DISTINCT l.core_id, ?, l.entity, 'scope' FROM source_record r "
            "CROSS JOIN shadow s CROSS JOIN link l WHERE s.record_id = r.id "
            "AND l.koppeling_id = s.koppeling_id AND l.entity = s.entity "
            "AND l.source_key = s.source_key AND r.scope_id = ? "
            "ON CONFLICT (core_id) DO NOTHING",
            (context.koppeling.tenant_id, scope_id),
        )
    if ended:
        context.ended_scopes.add(scope_id)
    else:
        context.ended_scopes.discard(scope_id)


def remember_contract(
    context: Context, row: ScopeRow, contract: DeliveryContract, fingerprint: bytes
) -> None:
    """Keep the terms of this reading; a change of them is an event for the administrator."""
    if row.contract_fp == fingerprint:
        return
    work = context.work
    if row.contract_fp is not None:
        before = work.execute(
            "SELECT terms FROM contract WHERE scope_id = ? AND fingerprint = ?",
            (row.id, row.contract_fp),
        )
        old = msgspec.json.decode(before[0][0], type=_Terms) if before else _Terms()
        had = {name for name, given in old.fields.items() if given}
        has = {name for name, given in contract.fields.items() if given}
        detail: dict[str, object] = {
            "resource": row.scope.resource,
            "scope": row.scope.label or row.scope.key,
            "no longer": sorted(had - has),
            "now also": sorted(has - had),
            "version": [old.version, contract.version],
        }
        context.events.append((row.id, "contract changed", detail))
    if context.dry:
        return
    with work.transaction():
        keep_terms(context, row, contract, fingerprint)
        work.execute("UPDATE scope SET contract_fp = ? WHERE id = ?", (fingerprint, row.id))
    row.contract_fp = fingerprint


def keep_terms(
    context: Context, row: ScopeRow, contract: DeliveryContract, fingerprint: bytes
) -> None:
    """Keep the terms under which records are about to be written; says nothing of the scope.

    What is archived can be mapped again only under its own terms, so they are there before it,
    also where the reading never comes to its end.
    """
    if context.dry or row.contract_fp == fingerprint:
        return
    terms = {"fields": dict(contract.fields), "version": contract.version}
    context.work.execute(
        "INSERT INTO contract (scope_id, fingerprint, terms, first_run) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (scope_id, fingerprint) DO NOTHING",
        (row.id, fingerprint, _json(terms), context.run_id),
    )


def kept_terms(work: Work, scope_id: int) -> dict[bytes, DeliveryContract]:
    """Fingerprint → terms of every delivery contract that a scope was ever read under."""
    return {
        bytes(fingerprint): DeliveryContract(terms.fields, terms.version)
        for fingerprint, text in work.execute(
            "SELECT fingerprint, terms FROM contract WHERE scope_id = ? ORDER BY id", (scope_id,)
        )
        for terms in (msgspec.json.decode(text, type=_Terms),)
    }


def of_former_years(context: Context, row: ScopeRow, records: Sequence[int]) -> int:
    """How many of these records of a scope belong to schooljaren before the one it is read for.

    A scope that moves on with the schooljaar holds other groepen from 1 August on: that last year's
    are missing there says nothing of how much the source delivers.
    """
    if row.scope.schooljaar is None:
        return 0
    work = context.work
    found: set[int] = set()
    schooljaar = f"{row.scope.schooljaar}/{row.scope.schooljaar + 1}"
    for part in chunks(records):
        for entity in _YEARLY:
            found.update(
                record
                for (record,) in work.execute(
                    "SELECT s.record_id FROM shadow s JOIN link l "
                    "ON l.koppeling_id = s.koppeling_id AND l.entity = s.entity "
                    f"AND l.source_key = s.source_key JOIN {entity} c ON c.id = l.core_id "
                    f"WHERE s.entity = ? AND c.schooljaar < ? AND {work.many('s.record_id')} "
                    # a leerling who was placed last year is not of last year himself
                    "AND NOT EXISTS (SELECT 1 FROM shadow o WHERE o.record_id = s.record_id "
                    "AND o.entity = 'leerling')",
                    (str(entity), schooljaar, work.values(part)),
                )
            )
    return len(found)


def under_another_key(
    context: Context, row: ScopeRow, records: Sequence[int]
) -> set[tuple[int, int]]:
    """Those of these records of a scope that are linked with what another one there is linked with.

    A source may give its records other keys (UWLR: an ECK iD for a key of its own): who is linked
    with a record that is there is not lost. Gives pairs: the record, and the other one.
    """
    work = context.work
    return {
        (record, other)
        for part in chunks(records)
        for record, other in work.execute(
            "SELECT s.record_id, n.record_id FROM shadow s JOIN link l "
            "ON l.koppeling_id = s.koppeling_id AND l.entity = s.entity "
            "AND l.source_key = s.source_key JOIN link o ON o.core_id = l.core_id "
            "AND o.koppeling_id = l.koppeling_id AND o.entity = l.entity "
            "AND o.source_key <> l.source_key JOIN shadow n ON n.koppeling_id = o.koppeling_id "
            "AND n.entity = o.entity AND n.source_key = o.source_key "
            f"WHERE n.scope_id = ? AND {work.many('s.record_id')}",
            (row.id, work.values(part)),
        )
    }


_YEARLY = (Entity.GROEP, Entity.INSCHRIJVING)
"""Entities that belong to one schooljaar each, by their column of that name."""


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
