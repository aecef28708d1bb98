"""What an actor may see who may act for some schools of a tenant only: laid over every Work of his.

Each table is hidden by a temporary view of its name that shows what belongs to his schools, so that
whatever reads the store reads no more than that, and a record of another school is as if it did not
exist. What writes, and every run, works on the whole store (`Hub.whole`) after it was judged.

A record belongs to a school where it stands in a scope of that school; where a scope lists other
schools too, by its place in the core. A record of two schools belongs to both, whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

import msgspec

from config.settings import Settings
from config.sources import Source
from mappings.canonical.fields import Entity
from sync_engine.context import chunks
from sync_engine.herinrichtingen import in_force
from sync_engine.renumbering import Renumbering, places
from sync_engine.store.dialect import Dialect
from sync_engine.store.work import Work

_SCOPES: Final = "(SELECT id FROM reach_scope)"
_SOURCES: Final = "(SELECT id FROM reach_koppeling)"
_BY_SCOPE: Final = ("contract", "source_cursor", "reading", "quarantine")
_BY_CORE: Final = ("former_number", "former_link", "match_key", "core_salt", "refold", "pin")
_BY_OWNER: Final = ("identificatie", "contactgegeven", "adres")
_BY_SOURCE: Final = ("run", "koppeling_state", "koppeling_total", "schedule_state")
_BY_NODE: Final = ("open_reference", "decision")
_OPEN: Final = frozenset(
    {"account", "alembic_version", "audit", "audit_anchor", "fold_input", "former_form"}
    | {"herinrichting", "id_block", "incident", "key_check", "known_expiry", "notification"}
    | {"process_heartbeat", "shadow_form", "shared_state", "sign_in_attempt", "tenant_key"}
    | {"web_session", "zaak_notitie"}
)
"""Tables that lie open: of the installation, or asked only by the number of what is hidden."""
_QUEUE: Final = "procrastinate"
"""What the tables of the workers' queue begin with: names of koppelingen and numbers."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Tenants and schools, as they select what there is.

    Attributes:
        tenants: names of those that are his whole.
        schools: BRINs and vestigingsnummers besides, under each of their names.
    """

    tenants: frozenset[str]
    schools: frozenset[str]

    def covers(self, number: str) -> bool:
        """Whether a BRIN or vestigingsnummer is of one of his schools."""
        return any(number.startswith(school) for school in self.schools)

    def touches(self, number: str) -> bool:
        """Whether something of a BRIN or vestigingsnummer is his."""
        return self.covers(number) or any(school.startswith(number) for school in self.schools)

    def has_school(self, tenant: str, number: str) -> bool:
        """Whether a school of a tenant is his, or a part of it."""
        return tenant in self.tenants or self.touches(number)

    def has_scope(self, numbers: Collection[str]) -> bool:
        """Whether all that a scope says it is of is his."""
        return bool(numbers) and all(self.covers(number) for number in places(list(numbers)))

    def shares(self, numbers: Iterable[str]) -> bool:
        """Whether a part of what a scope says it is of is his."""
        return any(self.touches(number) for number in numbers)

    def has_source(self, settings: Settings, source: Source) -> bool:
        """Whether a koppeling serves one of his schools."""
        return source.tenant in self.tenants or self.shares(served(settings, source))

    def has_whole(self, settings: Settings, source: Source) -> bool:
        """Whether all that a koppeling serves is his."""
        return source.tenant in self.tenants or self.has_scope(served(settings, source))

    def tenant_names(self, settings: Settings) -> frozenset[str]:
        """The tenants of which something is his."""
        found = {
            tenant.name
            for tenant in settings.tenant
            if any(self.touches(school.brin.reveal()) for school in tenant.school)
        }
        return self.tenants | found


def served(settings: Settings, source: Source) -> tuple[str, ...]:
    """The vestigingsnummers that a koppeling reads; the BRINs of its tenant where it reads all."""
    if source.vestigingen is not None:
        return tuple(number.reveal() for number in source.vestigingen)
    return tuple(
        school.brin.reveal()
        for tenant in settings.tenant
        if tenant.name == source.tenant
        for school in tenant.school
    )


def reach_of(work: Work, *, tenants: frozenset[str], schools: frozenset[str], on: date) -> Reach:
    """What is his on a day: a school that changed its number is known by each of them."""
    changed = work.execute("SELECT DISTINCT tenant_id FROM herinrichting WHERE lifted_at IS NULL")
    names = {*schools}
    for (number,) in changed:
        renumbering = Renumbering(in_force(work, [number]), on=on)
        names |= {name for school in schools for name in renumbering.names(school)}
    return Reach(tenants, frozenset(names))


ELSEWHERE: Final = "van een andere school"
"""What is told of a record that one of his refers to and that is not his."""


def seen_among(work: Work, cores: Iterable[int]) -> set[int]:
    """Of these core ids those that are seen: all of them on a Work that is not limited."""
    wanted = sorted(set(cores))
    if not work.is_limited:
        return set(wanted)
    found: set[int] = set()
    for part in chunks(wanted):
        rows = work.execute(
            f"SELECT core_id FROM link WHERE {work.many('core_id')}", (work.values(part),)
        )
        found.update(row[0] for row in rows)
    return found


# -- over a Work -----------------------------------------------------------------------------------


def lay(
    work: Work,
    settings: Settings,
    *,
    tenants: frozenset[str],
    schools: frozenset[str],
    on: date,
    operator: str,
) -> None:
    """Lay what is his over a Work on which nothing stands yet.

    Args:
        work: of one person alone.
        settings: say which koppeling serves whom.
        tenants: names of those that are his whole.
        schools: BRINs and vestigingsnummers besides.
        on: today.
        operator: his name: what his own runs show him is of no other school.
    """
    work.temp_table("reach_me", "name TEXT")
    work.execute("INSERT INTO reach_me (name) VALUES (?)", (operator,))
    reach = reach_of(work, tenants=tenants, schools=schools, on=on)
    for name in ("reach_koppeling", "reach_scope", "reach_core", "reach_tenant"):
        work.temp_table(name, "id BIGINT PRIMARY KEY")
    shared = _fill(work, settings, reach)
    _place(work, reach, deep=shared)
    for name, query in _views(work).items():
        work.temp_view(name, query)


def _fill(work: Work, settings: Settings, reach: Reach) -> bool:
    """Write down which tenants, koppelingen and scopes are his; whether a scope is his in part."""
    names = reach.tenant_names(settings)
    sources = {source.name: source for source in settings.source}
    tenants = {
        number: name
        for number, name in work.execute(f"SELECT id, name FROM {work.real('tenant')}")
        if name in names
    }
    mine, whole, every = set[int](), set[int](), set[int]()  # in part, all served, of a tenant
    for number, tenant, name in work.execute(
        f"SELECT id, tenant_id, name FROM {work.real('koppeling')} WHERE {work.many('tenant_id')}",
        (work.values(list(tenants)),),
    ):
        source = sources.get(name)
        if tenants[tenant] in reach.tenants:
            every.add(number)
        elif source is not None and reach.has_source(settings, source):
            mine.add(number)
            whole |= {number} if reach.has_whole(settings, source) else set()
    scopes, shared = set[int](), False
    for number, koppeling, listed in work.execute(
        f"SELECT s.id, s.koppeling_id, s.brins FROM {work.real('scope')} s "
        f"JOIN {work.real('koppeling')} k ON k.id = s.koppeling_id "
        f"WHERE {work.many('k.tenant_id')}",
        (work.values(list(tenants)),),
    ):
        brins = msgspec.json.decode(listed, type=list[str])
        unsaid = koppeling in whole and not brins
        if koppeling in every or unsaid or reach.has_scope(brins):
            scopes.add(number)
            mine.add(koppeling)  # one of the past too
        elif reach.shares(brins):
            shared = True
    _keep(work, "reach_tenant", "tenant", tenants)
    _keep(work, "reach_koppeling", "koppeling", mine | every)
    _keep(work, "reach_scope", "scope", scopes)
    return shared


def _keep(work: Work, table: str, real: str, numbers: Iterable[int]) -> None:
    work.execute(
        f"INSERT INTO {table} SELECT id FROM {work.real(real)} WHERE {work.many('id')}",
        (work.values(sorted(numbers)),),
    )


def _place(work: Work, reach: Reach, *, deep: bool) -> None:
    """Write down the schools of the core that are his, and whoever the core places there."""
    where = "tenant_id IN (SELECT id FROM reach_tenant)"
    for entity, column in ((Entity.VESTIGING, "vestigingsnummer"), (Entity.INSTELLING, "brin")):
        rows = work.execute(
            f"SELECT id, {column} FROM {work.real(entity)} WHERE {where} AND {column} IS NOT NULL"
        )
        _keep(work, "reach_core", entity, [n for n, number in rows if reach.covers(number)])
    if not deep:
        return
    real, here = work.real, "(SELECT id FROM reach_core)"
    for query in (
        f"SELECT id FROM {real('groep')} WHERE vestiging_id IN {here}",
        f"SELECT id FROM {real('inschrijving')} WHERE vestiging_id IN {here}",
        *(
            f"SELECT {column} FROM {real('inschrijving')} WHERE id IN {here} "
            f"AND {column} IS NOT NULL"
            for column in ("leerling_id", "mentor_id", "opleiding_id")
        ),
        f"SELECT persoon_id FROM {real('groepsdeelname')} WHERE groep_id IN {here}",
        f"SELECT vak_id FROM {real('groep')} WHERE id IN {here} AND vak_id IS NOT NULL",
        *(
            f"SELECT id FROM {real(name)} WHERE leerling_id IN {here}"
            for name in ("verzorger_relatie", "advies", "uitstroom", "toetsresultaat")
        ),
        f"SELECT verzorger_id FROM {real('verzorger_relatie')} WHERE id IN {here}",
    ):
        work.execute(f"INSERT INTO reach_core {query} ON CONFLICT DO NOTHING")


def _views(work: Work) -> dict[str, str]:
    """Table → what of it is seen."""
    real = work.real

    def core(column: str) -> str:
        return (
            f"({column} IN (SELECT id FROM reach_core) OR EXISTS (SELECT 1 FROM {real('link')} rl "
            f"JOIN {real('shadow')} rs ON rs.koppeling_id = rl.koppeling_id "
            "AND rs.entity = rl.entity AND rs.source_key = rl.source_key "
            f"WHERE rl.core_id = {column} AND rs.scope_id IN {_SCOPES}))"
        )

    def joined(column: str) -> str:
        return (
            f"({core(column)} OR EXISTS (SELECT 1 FROM {real('alias')} ra "
            f"WHERE ra.core_id = {column} AND {core('ra.survivor_id')}))"
        )

    def node(table: str) -> str:
        same = (
            f"{{0}}.koppeling_id = {table}.koppeling_id AND {{0}}.entity = {table}.entity "
            f"AND {{0}}.source_key = {table}.source_key"
        )
        return (
            f"(EXISTS (SELECT 1 FROM {real('shadow')} ns WHERE {same.format('ns')} "
            f"AND ns.scope_id IN {_SCOPES}) OR EXISTS (SELECT 1 FROM {real('link')} nl "
            f"WHERE {same.format('nl')} AND {core('nl.core_id')}))"
        )

    def seen(table: str, where: str) -> str:
        return f"SELECT t.* FROM {real(table)} t WHERE {where}"

    found = {
        "tenant": seen("tenant", "t.id IN (SELECT id FROM reach_tenant)"),
        "koppeling": seen("koppeling", f"t.id IN {_SOURCES}"),
        "scope": seen("scope", f"t.id IN {_SCOPES}"),
        "shadow": seen("shadow", node("t")),
        "link": seen("link", core("t.core_id")),
        "alias": seen("alias", core("t.survivor_id")),
        "groepsdeelname": seen(
            "groepsdeelname", f"{core('t.groep_id')} AND {core('t.persoon_id')}"
        ),
        "event": seen(
            "event",
            f"t.koppeling_id IN {_SOURCES} AND (t.scope_id IS NULL OR t.scope_id IN {_SCOPES})",
        ),
        "zaak": seen("zaak", f"({node('t')} OR {_held(work)})"),
        "step": _steps(work, joined("t.core_id")),
        "plan": _plans(work),
    }
    found |= {str(entity): seen(entity, core("t.id")) for entity in Entity}
    found |= {name: seen(name, f"t.scope_id IN {_SCOPES}") for name in _BY_SCOPE}
    found |= {name: seen(name, joined("t.core_id")) for name in _BY_CORE}
    found |= {name: seen(name, core("t.eigenaar_id")) for name in _BY_OWNER}
    found |= {name: seen(name, f"t.koppeling_id IN {_SOURCES}") for name in _BY_SOURCE}
    found |= {name: seen(name, node("t")) for name in _BY_NODE}
    found["former_member"] = seen("former_member", core("t.groep_id"))
    found["outbox"] = seen("outbox", core("t.core_id"))
    records = "SELECT 1 FROM shadow vs WHERE vs.record_id = t.id"
    found["source_record"] = seen(
        "source_record", f"(t.scope_id IN {_SCOPES} OR EXISTS ({records}))"
    )
    found["raw_payload"] = seen(
        "raw_payload", "EXISTS (SELECT 1 FROM source_record vr WHERE vr.id = t.record_id)"
    )
    for name in _tables(work):  # what nobody thought of here is nobody's
        if name not in found and name not in _OPEN and not name.startswith(_QUEUE):
            found[name] = seen(name, "false")
    return found


def _tables(work: Work) -> list[str]:
    """Every real table."""
    if work.dialect is Dialect.SQLITE:
        query = (
            "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        )
    else:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
    return sorted(row[0] for row in work.execute(query))


def _held(work: Work) -> str:
    """Whether case `t` is of a record in quarantine in one of his scopes."""
    return (
        f"(t.kind = 'quarantine' AND EXISTS (SELECT 1 FROM {work.real('scope')} qs "
        f"JOIN {work.real('quarantine')} q ON q.scope_id = qs.id "
        "WHERE qs.koppeling_id = t.koppeling_id AND qs.resource = t.entity "
        f"AND q.source_key = t.source_key AND qs.id IN {_SCOPES}))"
    )


def _steps(work: Work, core: str) -> str:
    """Steps of his records; one that has no number yet is known by its koppeling and source key."""
    named = (
        f"SELECT 1 FROM {work.real('koppeling')} k JOIN {work.real('shadow')} s "
        "ON s.koppeling_id = k.id AND s.entity = t.entity "
        "AND s.source_key = substr(t.source, length(k.name) + 2) "
        f"WHERE k.id IN {_SOURCES} AND substr(t.source, 1, length(k.name) + 1) = k.name || '/' "
        f"AND s.scope_id IN {_SCOPES}"
    )
    tried = (  # what a dry run would make stands nowhere else: he asked for it, apart from others
        f"t.op = 'create' AND EXISTS (SELECT 1 FROM {work.real('run')} r WHERE r.id = t.run_id "
        "AND r.operator IN (SELECT name FROM reach_me) AND r.options LIKE '%\"apart\":true%')"
    )
    return f"SELECT t.* FROM {work.real('step')} t WHERE ({core} OR EXISTS ({named}) OR ({tried}))"


def _plans(work: Work) -> str:
    """Plans that have a step of his, or none at all, of koppelingen that serve his schools."""
    return (
        f"SELECT t.* FROM {work.real('plan')} t WHERE "
        f"EXISTS (SELECT 1 FROM {work.real('run')} r WHERE r.id = t.run_id "
        f"AND r.koppeling_id IN {_SOURCES}) AND (EXISTS (SELECT 1 FROM step ps "
        f"WHERE ps.plan_id = t.id) OR NOT EXISTS (SELECT 1 FROM {work.real('step')} rs "
        "WHERE rs.plan_id = t.id))"
    )
