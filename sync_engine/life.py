"""The life of one record: everything that ever happened to it, in order of time.

Steps of applied plans, links and merges, cases, decisions, pins, refusals, purges, and who looked:
all that the store still holds. Of a leerling also what is his: inschrijvingen, relaties, results,
and the groepen that he came into and left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import msgspec

from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from sync_engine.audit import note
from sync_engine.context import Context
from sync_engine.errors import SyncError
from sync_engine.explain import veiled
from sync_engine.find import hub_key
from sync_engine.flat import discreet, field_of, is_flag_alone
from sync_engine.fold import Json
from sync_engine.hub import Hub
from sync_engine.plans import labels_of
from sync_engine.store.values import instant
from sync_engine.view import store_context


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened.

    Attributes:
        at: ISO instant, UTC.
        kind: create, change, close, reopen, member, link, merge, case, note, decision, pin, refuse,
            look, or purge.
        subject: hub key of the record that it happened to: its own, or that of what is his.
        source: koppeling, where one brought it.
        text: in Dutch; names of fields, no values.
        why: the reason that a person gave for it, in his own words.
        changes: canonical field → [before, after], personal numbers by their end, what is secret
            left out.
    """

    at: str
    kind: str
    entity: str
    subject: str
    run_id: int | None
    operator: str
    source: str
    text: str
    changes: dict[str, list[Json]] = field(default_factory=dict)
    why: str = ""


@dataclass(slots=True)
class Life:
    """A page of a record's life; `more` is how many happenings come after it."""

    entity: str
    key: str
    total: int
    happenings: list[Happening]
    more: int


def life_of(
    hub: Hub,
    entity: Entity,
    core_id: int,
    *,
    operator: str,
    limit: int,
    page: int = 1,
) -> Life:
    """Everything that happened to one record, oldest first, a page of it; the look is audited.

    Args:
        hub: to look in.
        entity: of the record.
        core_id: of the record, or of one that was merged into another.
        operator: who looks.
        limit: happenings on a page.
        page: from 1.

    Raises: SyncError if nothing is known of it.
    """
    with hub.store.work() as work:
        tenant_id = _tenant(work.execute, entity, core_id)
        note(hub, work, operator=operator, action="history", subject=hub_key(core_id))
    with store_context(hub, tenant_id) as context:
        every = sorted(_Teller(context, entity, core_id).everything(), key=lambda h: h.at)
    start = (page - 1) * limit
    shown = every[start : start + limit]
    more = max(0, len(every) - start - len(shown))
    return Life(str(entity), hub_key(core_id), len(every), shown, more)


def _tenant(execute: Any, entity: Entity, core_id: int) -> int:
    for sql, params in (
        (f"SELECT tenant_id FROM {entity} WHERE id = ?", (core_id,)),
        (
            "SELECT p.tenant_id FROM step s JOIN plan p ON p.id = s.plan_id WHERE s.core_id = ? "
            "AND s.entity = ? LIMIT 1",
            (core_id, str(entity)),
        ),
    ):
        rows = execute(sql, params)
        if rows:
            return int(rows[0][0])
    raise SyncError(
        f"nothing is known of that {entity}",
        advice="Controleer de sleutel, of zoek met --find -.",
    )


class _Teller:
    """Collects what is known of one record."""

    def __init__(self, context: Context, entity: Entity, core_id: int) -> None:
        self._context, self._work = context, context.work
        self._entity, self._core = entity, core_id
        rows = self._work.execute("SELECT core_id FROM alias WHERE survivor_id = ?", (core_id,))
        self._cores = [core_id, *(row[0] for row in rows)]
        self._runs: dict[int, tuple[str, str, str, str]] = {}

    def everything(self) -> Iterator[Happening]:
        """All of it, in no order."""
        yield from self._steps(self._entity, self._cores, "")
        for entity, cores in self._belongings():
            yield from self._steps(entity, cores, f"{entity}: ")
        yield from self._members()
        yield from self._links()
        yield from self._cases()
        yield from self._decisions()
        yield from self._pins()
        yield from self._refusals()
        yield from self._audited()

    # -- runs ------------------------------------------------------------------------------------

    def _run(self, run_id: int) -> tuple[str, str, str, str]:
        """(instant, operator, koppeling, why) of a run; empty where it is no longer kept.

        Why it was done stands with the plan of an act; elsewhere a plan says why it was refused.
        """
        if run_id not in self._runs:
            rows = self._work.execute(
                "SELECT r.started_at, r.operator, k.name, p.decided_why FROM run r "
                "JOIN koppeling k ON k.id = r.koppeling_id LEFT JOIN plan p ON p.run_id = r.id "
                "AND r.kind IN ('undo', 'decide') WHERE r.id = ?",
                (run_id,),
            )
            self._runs[run_id] = (
                (instant(rows[0][0]).isoformat(), rows[0][1], rows[0][2], rows[0][3] or "")
                if rows
                else ("", "", "", "")
            )
        return self._runs[run_id]

    def _happened(
        self,
        kind: str,
        text: str,
        *,
        run_id: int | None = None,
        at: str = "",
        operator: str = "",
        source: str = "",
        entity: Entity | None = None,
        core_id: int | None = None,
        changes: dict[str, list[Json]] | None = None,
        why: str | None = None,
    ) -> Happening:
        when, who, where, because = ("", "", "", "") if run_id is None else self._run(run_id)
        return Happening(
            at or when,
            kind,
            str(entity or self._entity),
            hub_key(self._core if core_id is None else core_id),
            run_id,
            operator or who,
            source or where,
            text,
            changes or {},
            because if why is None else why,
        )

    # -- what runs did ---------------------------------------------------------------------------

    def _steps(self, entity: Entity, cores: Sequence[int], prefix: str) -> Iterator[Happening]:
        work = self._work
        for core_id, run_id, op, digest, salt, change in work.execute(
            "SELECT s.core_id, s.run_id, s.op, s.digest, s.salt, s.change FROM step s "
            "JOIN plan p ON p.id = s.plan_id WHERE s.state = 'planned' AND p.applied "
            f"AND {work.many('s.core_id')} ORDER BY s.id",
            (work.values(list(cores)),),
        ):
            if salt is None:
                yield self._happened(
                    op, f"{prefix}{_OPS.get(op, op)} (inhoud gewist)", run_id=run_id, entity=entity
                )
                continue
            plain = self._context.cipher.person(salt).decrypt(change, b"step|%s" % digest)
            changed = msgspec.json.decode(plain, type=dict[str, list[Any]])
            told = self._told(entity, op, changed)
            text = f"{prefix}{_OPS.get(op, op)}"
            if told and op != "create":
                text = f"{text}: {', '.join(told)}"
            yield self._happened(
                op, text, run_id=run_id, entity=entity, core_id=core_id, changes=told
            )

    def _told(
        self, entity: Entity, op: str, changed: dict[str, list[Any]]
    ) -> dict[str, list[Json]]:
        labels = labels_of(self._work, entity, changed)
        told: dict[str, list[Json]] = {}
        for key, pair in changed.items():
            name = field_of(entity, key) or key
            if op == "create" and pair[1] in (None, False, [], "[]"):
                continue
            if is_flag_alone(pair):
                continue
            if key.startswith("groepsdeelname/"):
                who = labels.get(key.rpartition("/")[2], key.rpartition("/")[2])
                told[f"{name} {who}"] = [_span(pair[0]), _span(pair[1])]
            elif key.endswith("_id"):
                told[name] = [labels.get(str(side), side) for side in pair]
            else:
                told[name] = [_part(side) for side in discreet(key, pair)]
        return told

    def _belongings(self) -> Iterator[tuple[Entity, list[int]]]:
        """Records that are of this one, and of nobody without it."""
        if self._entity not in {Entity.LEERLING, Entity.VERZORGER}:
            return
        for entity in Entity:
            for name, description in fields_of(entity).items():
                if (
                    description.kind is not Kind.REFERENCE
                    or description.target is not self._entity
                    or not description.required
                ):
                    continue
                rows = self._work.execute(
                    f"SELECT id FROM {entity} WHERE {name}_id = ? ORDER BY id", (self._core,)
                )
                if rows:
                    yield entity, [row[0] for row in rows]

    def _members(self) -> Iterator[Happening]:
        """The groepen that a person came into and left."""
        if self._entity not in {Entity.LEERLING, Entity.MEDEWERKER}:
            return
        roles = "= 'leerling'" if self._entity is Entity.LEERLING else "<> 'leerling'"
        work = self._work
        for member_id, group, name, role, start, end, ended, run_id in work.execute(
            "SELECT d.id, d.groep_id, g.naam, d.rol, d.geldig_van, d.geldig_tot, d.beeindigd, "
            "d.run_id FROM groepsdeelname d LEFT JOIN groep g ON g.id = d.groep_id "
            f"WHERE d.rol {roles} AND {work.many('d.persoon_id')} ORDER BY d.id",
            (work.values(self._cores),),
        ):
            former = work.execute(
                "SELECT MIN(since_run) FROM former_member WHERE member_id = ?", (member_id,)
            )
            first = former[0][0] or run_id
            called = f"{name or hub_key(group)} als {role}"
            text = f"in groep {called}, vanaf {start or '?'}"
            yield self._happened("member", text, run_id=first, entity=Entity.GROEP, core_id=group)
            if ended:
                text = f"uit groep {called}, tot en met {_last(end)}"
                yield self._happened(
                    "member", text, run_id=run_id, entity=Entity.GROEP, core_id=group
                )

    def _links(self) -> Iterator[Happening]:
        work = self._work
        ids = work.values(self._cores)
        for table, since in (("former_link", "since_run"), ("link", "run_id")):
            for name, key, rule, run_id in work.execute(
                f"SELECT k.name, l.source_key, l.rule, l.{since} FROM {table} l "
                "JOIN koppeling k ON k.id = l.koppeling_id "
                f"WHERE l.entity = ? AND {work.many('l.core_id')} ORDER BY k.name, l.source_key",
                (str(self._entity), ids),
            ):
                text = f"gekoppeld aan {name}:{key} ({rule})"
                yield self._happened("link", text, run_id=run_id, source=name)
        for core_id, survivor, run_id in work.execute(
            f"SELECT core_id, survivor_id, run_id FROM alias WHERE {work.many('core_id')} "
            "OR survivor_id = ?",
            (ids, self._core),
        ):
            text = f"{hub_key(core_id)} is samengevoegd met {hub_key(survivor)}"
            yield self._happened("merge", text, run_id=run_id)

    # -- what people did -------------------------------------------------------------------------

    def _keys(self) -> list[tuple[int, str]]:
        """(koppeling, source key) of every link that it has or had."""
        work = self._work
        found: list[tuple[int, str]] = []
        for table in ("link", "former_link"):
            found += [
                (row[0], row[1])
                for row in work.execute(
                    f"SELECT koppeling_id, source_key FROM {table} WHERE entity = ? "
                    f"AND {work.many('core_id')}",
                    (str(self._entity), work.values(self._cores)),
                )
            ]
        return sorted(set(found))

    def _cases(self) -> Iterator[Happening]:
        work = self._work
        numbers: set[int] = set()
        for koppeling_id, key in self._keys():
            rows = work.execute(
                "SELECT id FROM zaak WHERE koppeling_id = ? AND entity = ? AND source_key = ?",
                (koppeling_id, str(self._entity), key),
            )
            numbers.update(row[0] for row in rows)
        for core_id in self._cores:
            rows = work.execute(
                "SELECT id FROM zaak WHERE tenant_id = ? AND entity = ? "
                "AND (detail LIKE ? OR detail LIKE ?)",
                (
                    self._context.koppeling.tenant_id,
                    str(self._entity),
                    f'%"core_id":{core_id},%',
                    f'%"core_id":{core_id}}}%',
                ),
            )
            numbers.update(row[0] for row in rows)
        for number, kind, rule, opened, closed, by, closed_at in work.execute(
            "SELECT id, kind, rule, opened_run, closed_run, closed_by, closed_at FROM zaak "
            f"WHERE {work.many('id')} ORDER BY id",
            (work.values(sorted(numbers)),),
        ):
            yield self._happened("case", f"zaak {number} geopend: {kind}, {rule}", run_id=opened)
            if closed is not None or closed_at is not None:
                yield self._happened(
                    "case",
                    f"zaak {number} gesloten",
                    run_id=closed,
                    at=_instant(closed_at),
                    operator=by or "",
                )
            for at, operator in work.execute(
                "SELECT at, operator FROM zaak_notitie WHERE case_id = ? ORDER BY id", (number,)
            ):
                yield self._happened(
                    "note", f"notitie bij zaak {number}", at=_instant(at), operator=operator
                )

    def _decisions(self) -> Iterator[Happening]:
        work = self._work
        keys = set(self._keys())
        for number, kind, koppeling_id, key, core_id, operator, why, at, lifted, by in work.execute(
            "SELECT id, kind, koppeling_id, source_key, core_id, operator, why, created_at, "
            "lifted_at, lifted_by FROM decision WHERE entity = ? ORDER BY id",
            (str(self._entity),),
        ):
            if core_id not in self._cores and (koppeling_id, key) not in keys:
                continue
            source = self._context.koppelingen.get(koppeling_id, "")
            text = f"besluit {number}: {kind} {source}:{key}"
            yield self._happened(
                "decision", text, at=_instant(at), operator=operator, source=source, why=why
            )
            if lifted is not None:
                text = f"besluit {number} teruggenomen"
                yield self._happened(
                    "decision", text, at=_instant(lifted), operator=by or "", source=source
                )

    def _pins(self) -> Iterator[Happening]:
        work = self._work
        for number, core_id, name, value, why, operator, at, until, lifted, salt in work.execute(
            "SELECT p.id, p.core_id, p.field, p.value, p.reason, p.operator, p.created_at, "
            "p.until, p.lifted_at, s.salt FROM pin p "
            "LEFT JOIN core_salt s ON s.core_id = p.core_id "
            f"WHERE {work.many('p.core_id')} ORDER BY p.id",
            (work.values(self._cores),),
        ):
            changes: dict[str, list[Json]] = {}
            if salt is not None:
                plain = self._context.cipher.person(salt).decrypt(value, b"pin|%d" % core_id)
                shown = veiled(self._entity, name, msgspec.json.decode(plain))
                changes = {name: [None, shown]}
            text = f"{name} vastgezet (pin {number})" + (f" tot en met {until}" if until else "")
            yield self._happened(
                "pin", text, at=_instant(at), operator=operator, changes=changes, why=why
            )
            if lifted is not None:
                yield self._happened("pin", f"pin {number} op {name} los", at=_instant(lifted))

    def _refusals(self) -> Iterator[Happening]:
        work = self._work
        for name, key, run_id in work.execute(
            "SELECT DISTINCT k.name, s.source_key, s.refused_run FROM link l JOIN shadow s "
            "ON s.koppeling_id = l.koppeling_id AND s.entity = l.entity "
            "AND s.source_key = l.source_key JOIN koppeling k ON k.id = s.koppeling_id "
            f"WHERE l.entity = ? AND s.refused_run IS NOT NULL AND {work.many('l.core_id')} "
            "ORDER BY k.name, s.source_key",
            (str(self._entity), work.values(self._cores)),
        ):
            text = f"wat {name} zei van {key} is geweigerd of ongedaan gemaakt"
            yield self._happened("refuse", text, run_id=run_id, source=name)
        for plan_id, by, at, why, run_id in work.execute(
            "SELECT DISTINCT p.id, p.decided_by, p.decided_at, p.decided_why, p.run_id FROM step s "
            "JOIN plan p ON p.id = s.plan_id WHERE p.state = 'refused' "
            "AND p.decided_by IS NOT NULL "  # not what the refusal itself planned once more
            f"AND {work.many('s.core_id')} ORDER BY p.id",
            (work.values(self._cores),),
        ):
            yield self._happened(
                "refuse",
                f"plan {plan_id} geweigerd",
                run_id=run_id,
                at=_instant(at),
                operator=by or "",
                why=why or "",
            )

    def _audited(self) -> Iterator[Happening]:
        """Who looked at it and what was removed of it; pins and lifts are told above."""
        work = self._work
        subjects = [hub_key(core_id) for core_id in self._cores]
        for at, operator, action, origin in work.execute(
            "SELECT at, operator, action, origin FROM audit "
            f"WHERE {work.many('subject')} AND action NOT IN ('pin', 'lift') ORDER BY id",
            (work.values(subjects),),
        ):
            kind = "purge" if action.startswith(("purge", "erase")) else "look"
            where = f" vanaf {origin}" if origin else ""
            yield self._happened(kind, f"{action}{where}", at=_instant(at), operator=operator)


_OPS = {
    "create": "gemaakt",
    "change": "gewijzigd",
    "close": "afgesloten",
    "reopen": "heropend",
    "remove": "verwijderd (ongedaan gemaakt)",
}


def _instant(value: str | None) -> str:
    return "" if value is None else instant(value).isoformat()


def _part(side: Json) -> Json:
    if isinstance(side, dict):
        return {name: part for name, part in side.items() if name not in {"geheim", "index"}}
    return side


def _span(side: Json) -> Json:
    """A membership as people say it: its first and last day."""
    if not isinstance(side, list):
        return None
    ended = f" t/m {_last(side[1])}" if len(side) > 3 else ""
    return f"vanaf {side[0]}{ended}"


def _last(end: Any) -> str:
    """People say the last day; the core holds the first day after."""
    return "?" if end is None else (date.fromisoformat(str(end)) - timedelta(days=1)).isoformat()
