"""Erased again: whom a database that was put back holds, and the list says was erased since."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import inspect

from mappings.canonical.fields import Entity
from sync_engine.erasure.gathering import Found
from sync_engine.erasure.listing import Erasure, list_path, read_list
from sync_engine.erasure.removing import CHANGED, Eraser
from sync_engine.erasure.telling import ErasureReport
from sync_engine.errors import RunActiveError, StoreError
from sync_engine.hub import Hub
from sync_engine.hubkeys import key_number
from sync_engine.store.engine import Store
from sync_engine.store.locks import lease, tenant_lock
from sync_engine.store.work import Work
from sync_engine.suppression import PERSONS, Mark, digest, identifier_parts, key_parts

AGAIN: Final = "stond op de lijst van wissingen, en hier nog niet"
"""Why somebody is erased whom the database does not know of: it was put back, or broken off."""
LIFTED: Final = "stond op de lijst van wissingen als opgeheven"
_BUSY: Final = (
    "Er loopt iets van dit bestuur: {name}. Wissen kan alleen als er niets gelezen, toegepast of "
    "verstuurd wordt. Wacht tot het klaar is (`koppelhub status`) en geef deze opdracht opnieuw."
)

_OTHER_LIST: Final = (
    "De lijst van wissingen hoort niet bij deze back-up, of is ouder: wie na de back-up gewist is "
    "zou terugkomen. Zet de lijst die naast het sleutelbestand stond terug en probeer het weer. Is "
    "zij echt verloren, zoek dan in het logboek wie er gewist is, geef `--without-erasures`, en "
    "wis hen opnieuw."
)


@contextmanager
def alone(hub: Hub, work: Work, tenant_id: int) -> Iterator[None]:
    """Nothing of the tenant is read, applied or delivered meanwhile. Raises: RunActiveError."""
    names = {
        f"{what}-{number}": name
        for number, name in work.execute(
            "SELECT id, name FROM koppeling WHERE tenant_id = ? ORDER BY id", (tenant_id,)
        )
        for what in ("koppeling", "outbox")
    }
    with ExitStack() as held:
        for lock, name in sorted(names.items()):
            try:
                held.enter_context(lease(hub.store, lock, on=work))
            except RunActiveError as error:
                raise RunActiveError(str(error), advice=_BUSY.format(name=name)) from error
        held.enter_context(tenant_lock(hub.store, tenant_id, on=work))
        yield


def catch_up(hub: Hub, work: Work, tenant_id: int, *, operator: str) -> int:
    """Erase again whom the list says was erased and this database does not know of; how many.

    A database that was put back holds them; an erasure that was broken off before it began is one
    too. No lock of the tenant is held yet.
    Raises: RunActiveError if anything of the tenant is under way; ConfigurationError if the list
        cannot be read.
    """
    hub = hub.whole
    if not work.execute("SELECT 1 FROM koppeling WHERE tenant_id = ? LIMIT 1", (tenant_id,)):
        return 0  # it left, or has nothing yet
    if not any(_behind(hub, work, tenant_id)):
        return 0
    with alone(hub, work, tenant_id):
        one = Eraser(hub, work, tenant_id, operator=operator)
        lines, lifted = _behind(hub, work, tenant_id)  # another process may have been first
        for erasure in lifted:
            with work.transaction():
                one.lift(erasure, why=LIFTED)
        for line in lines:
            found = _met(one, line)
            report = ErasureReport("", line.entity, "", dry=False)
            with work.transaction():
                one.carry_out(found, line.erasure, why=AGAIN, report=report)
    work.forget_freed({*one.removal.rows, *CHANGED})
    return len(lines)


def _behind(hub: Hub, work: Work, tenant_id: int) -> tuple[list[Erasure], list[str]]:
    """Lines that this database does not know of, and what it does not know to be lifted."""
    listed = read_list(list_path(hub.settings.keys.file))
    if tenant_id not in listed.tenants:  # nor is it asked for keys then
        return [], []
    erased, lifted = listed.of(tenant_id, hub.cipher(tenant_id).suppression_key)
    known = {
        row[0]: bool(row[1])
        for row in work.execute(
            "SELECT erasure, MAX(CASE WHEN lifted_at IS NULL THEN 1 ELSE 0 END) FROM suppression "
            "WHERE tenant_id = ? GROUP BY erasure",
            (tenant_id,),
        )
    }
    lines = [e for name, e in erased.items() if name not in known and name not in lifted]
    return lines, sorted(name for name in lifted if known.get(name))


def _met(one: Eraser, line: Erasure) -> Found:
    """Whom a line of the list speaks of, among those who stand in the core now."""
    told: dict[bytes, Mark] = {mark.digest: mark for mark, _ in line.each()}
    work, key = one.work, one.cipher.suppression_key
    met: dict[Entity, set[int]] = defaultdict(set)
    named = {mark.digest: key_ for mark, key_ in line.each()}
    guardians: dict[int, str] = {}
    for entity in PERSONS:
        for koppeling_id, source_key, core_id in work.rows(
            "SELECT l.koppeling_id, l.source_key, l.core_id FROM link l "
            "JOIN koppeling k ON k.id = l.koppeling_id WHERE k.tenant_id = ? AND l.entity = ?",
            (one.tenant_id, str(entity)),
        ):
            mark = told.get(digest(key, *key_parts(entity, koppeling_id, source_key)))
            if mark is not None and mark.along:  # with the pupil, where nobody else has him
                guardians[core_id] = named[mark.digest]
            elif mark is not None:
                met[entity].add(core_id)
        if entity is not Entity.VERZORGER:
            met[entity] |= _met_by_number(one, entity, told)
    found = Found()
    for entity, cores in met.items():
        if not cores:
            continue
        part = one.gatherer.gather(entity, sorted(cores))
        for name, ids in part.cores.items():
            found.cores[name] |= ids
        found.along |= part.along
        found.marks.update(part.marks)
        found.records |= part.records
    needed = {key_ for core_id, key_ in guardians.items() if core_id not in found.along}
    have = {mark.digest for marks in found.marks.values() for mark in marks}
    for mark, key_ in line.each():
        if mark.digest not in have and key_ not in needed:
            found.marks[key_number(key_) or 0][mark] = None
    return found


def _met_by_number(one: Eraser, entity: Entity, told: dict[bytes, Mark]) -> set[int]:
    key = one.cipher.suppression_key
    ids = [
        row[0]
        for row in one.work.execute(
            f"SELECT id FROM {entity} WHERE tenant_id = ? ORDER BY id", (one.tenant_id,)
        )
    ]
    return {
        core_id
        for core_id in ids
        for form, issuer in one.gatherer.identifiers(entity, core_id)
        for parts in identifier_parts(entity, form, issuer)
        if digest(key, *parts) in told
    }


def catch_up_all(hub: Hub, *, operator: str) -> int:
    """As `catch_up`, of every tenant."""
    hub = hub.whole
    with hub.store.work() as work:
        tenants = list(hub.tenants(work))
        return sum(catch_up(hub, work, number, operator=operator) for number in tenants)


def check_list(store: Store, path: Path) -> None:
    """Do nothing where the list knows every erasure that this database knows, of any release.

    Raises: StoreError if it does not: it is another list, or an older one, and who was erased
        after the backup would come back.
    """
    columns = {column["name"] for column in inspect(store.engine).get_columns("suppression")}
    if "erasure" not in columns:
        return
    names = read_list(path).names
    with store.work() as work:
        unknown = [
            row[0]
            for row in work.execute("SELECT DISTINCT erasure FROM suppression ORDER BY erasure")
            if row[0] not in names
        ]
    if unknown:
        raise StoreError(
            f"{path}: does not know {len(unknown)} erasures of this backup", advice=_OTHER_LIST
        )
