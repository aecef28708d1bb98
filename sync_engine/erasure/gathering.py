"""Who goes when one person is erased, and what each of them is recognised by afterwards."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from mappings.canonical.fields import Entity
from mappings.canonical.schema import fields_of
from sync_engine.erasure.listing import Erasure
from sync_engine.fold import Json
from sync_engine.hub import Hub
from sync_engine.hubkeys import hub_key
from sync_engine.project import required_references
from sync_engine.rows import identifier_context
from sync_engine.store.cipher import TenantCipher
from sync_engine.store.work import Work
from sync_engine.suppression import (
    KEY,
    PERSONS,
    RAW,
    Mark,
    digest,
    identifier_parts,
    issuers_of,
    key_parts,
    raw_parts,
)


@dataclass(slots=True)
class Found:
    """Who goes, and what he is recognised by.

    Attributes:
        cores: entity → core ids, of persons and of what is theirs.
        along: guardians who go with a pupil; `stay`: those who do not.
        marks: what each is recognised by.
        records: raw records that hold a person: (koppeling, resource, key).
    """

    cores: dict[Entity, set[int]] = field(default_factory=lambda: defaultdict(set))
    along: set[int] = field(default_factory=set)
    stay: set[int] = field(default_factory=set)
    marks: dict[int, dict[Mark, None]] = field(default_factory=lambda: defaultdict(dict))
    records: set[tuple[int, str, str]] = field(default_factory=set)

    def all_ids(self) -> list[int]:
        """Every core record that goes."""
        return sorted({number for numbers in self.cores.values() for number in numbers})


class Gatherer:
    """Finds out who goes with a person of one tenant; its lock is held."""

    def __init__(self, hub: Hub, work: Work, tenant_id: int) -> None:
        self.hub, self.work, self.tenant_id = hub, work, tenant_id
        self.cipher: TenantCipher = hub.cipher(tenant_id)
        self.issuers = issuers_of(work, tenant_id)

    # -- who goes --------------------------------------------------------------------------------

    def gather(self, entity: Entity, cores: Sequence[int]) -> Found:
        """Everybody and everything that goes with these persons of one entity."""
        found, work = Found(), self.work
        self._add(found, entity, cores)
        if entity is Entity.LEERLING:
            guardians = self._related("verzorger_relatie", "verzorger_id", "leerling_id", cores)
            pupils = work.values(list(cores))
            shared = {
                row[0]
                for row in work.execute(
                    "SELECT DISTINCT verzorger_id FROM verzorger_relatie WHERE "
                    f"{work.many('verzorger_id')} AND NOT ({work.many('leerling_id')})",
                    (work.values(sorted(guardians)), pupils),
                )
            }
            found.stay, found.along = guardians & shared, guardians - shared
            self._add(found, Entity.VERZORGER, sorted(found.along))
        for person in PERSONS:
            for core_id in sorted(found.cores.get(person, ())):
                self._recognise(found, person, core_id)
        return found

    def _related(self, table: str, wanted: str, column: str, cores: Sequence[int]) -> set[int]:
        rows = self.work.execute(
            f"SELECT {wanted} FROM {table} WHERE {self.work.many(column)}",
            (self.work.values(list(cores)),),
        )
        return {row[0] for row in rows if row[0] is not None}

    def _add(self, found: Found, entity: Entity, cores: Sequence[int]) -> None:
        """These records, and what cannot be without them."""
        fresh = sorted(set(cores) - found.cores[entity])
        if not fresh:
            return
        found.cores[entity].update(fresh)
        for holder in Entity:
            for name in required_references(holder):
                if fields_of(holder)[name].target is entity:
                    theirs = self._related(str(holder), "id", f"{name}_id", fresh)
                    self._add(found, holder, sorted(theirs))

    def _recognise(self, found: Found, entity: Entity, core_id: int) -> None:
        """What one person is recognised by: keys, and identifiers as core and sources have them."""
        work, along = self.work, core_id in found.along
        marks = found.marks[core_id]

        def add(kind: str, parts: Sequence[str]) -> None:
            digest_ = digest(self.cipher.suppression_key, *parts)
            marks[Mark(kind, str(entity), digest_, along)] = None

        names = (core_id, *self._merged(core_id))
        for koppeling_id, key in work.execute(
            f"SELECT koppeling_id, source_key FROM link WHERE entity = ? AND "
            f"{work.many('core_id')} ORDER BY koppeling_id, source_key",
            (str(entity), work.values(list(names))),
        ):
            for number in (koppeling_id, *self._same_keys(entity, koppeling_id)):
                add(KEY, key_parts(entity, number, key))
        for form, issuer, where in self._forms(entity, names):
            found.records.add(where)
            add(RAW, raw_parts(where[1], where[0], where[2]))
            for parts in identifier_parts(entity, form, issuer):
                add(parts[0].partition("/")[2], parts)
        for form, issuer in self.identifiers(entity, core_id):
            for parts in identifier_parts(entity, form, issuer):
                add(parts[0].partition("/")[2], parts)

    def _same_keys(self, entity: Entity, koppeling_id: int) -> list[int]:
        """The koppelingen whose persons have the keys of this one's."""
        if entity is Entity.VERZORGER:
            return []
        every = self.hub.koppelingen(self.tenant_id)
        named = {source.name: source for source in self.hub.settings.source}
        source = named.get(every.get(koppeling_id, ""))
        same = () if source is None else self.hub.settings.same_keys(source)
        return [number for number, name in every.items() if name in same]

    def _merged(self, core_id: int) -> list[int]:
        rows = self.work.execute("SELECT core_id FROM alias WHERE survivor_id = ?", (core_id,))
        return [row[0] for row in rows]

    def _forms(
        self, entity: Entity, names: Sequence[int]
    ) -> Iterator[tuple[dict[str, Json], int, tuple[int, str, str]]]:
        """(form, who issued its numbers, raw record) of everything that sources said of him."""
        for number, scope_id, koppeling_id, resource, key, salt, *blobs in self.work.execute(
            "SELECT s.id, s.scope_id, s.koppeling_id, p.resource, r.source_key, r.salt, "
            "f.received, f.accepted FROM link l JOIN shadow s ON s.koppeling_id = l.koppeling_id "
            "AND s.entity = l.entity AND s.source_key = l.source_key "
            "JOIN shadow_form f ON f.shadow_id = s.id JOIN source_record r ON r.id = s.record_id "
            f"JOIN scope p ON p.id = s.scope_id WHERE l.entity = ? AND "
            f"{self.work.many('l.core_id')} ORDER BY s.id",
            (str(entity), self.work.values(list(names))),
        ):
            issuer: int = self.issuers.get(scope_id) or koppeling_id
            for blob in blobs:
                if blob is None or salt is None:
                    continue
                plain = self.cipher.person(bytes(salt)).decrypt(bytes(blob), b"shadow|%d" % number)
                yield msgspec.json.decode(plain), issuer, (koppeling_id, resource, key)

    def identifiers(self, entity: Entity, core_id: int) -> Iterator[tuple[dict[str, Json], int]]:
        """(form of one identifier, who issued it) of what the core has of him."""
        born = None
        if entity is Entity.LEERLING:
            rows = self.work.execute("SELECT geboortedatum FROM leerling WHERE id = ?", (core_id,))
            born = None if not rows or rows[0][0] is None else str(rows[0][0])[:10]
        for kind, issuer, blob, salt in self.work.execute(
            "SELECT i.soort, i.uitgever, i.waarde, c.salt FROM identificatie i "
            "JOIN core_salt c ON c.core_id = i.eigenaar_id WHERE i.eigenaar_id = ? "
            "ORDER BY i.soort, i.uitgever",
            (core_id,),
        ):
            context = identifier_context(core_id, kind)
            value = self.cipher.person(bytes(salt)).decrypt(bytes(blob), context).decode()
            yield {kind: value, "geboortedatum": born}, issuer

    def line(self, erasure: str, entity: Entity, found: Found) -> Erasure:
        """What the list keeps of it."""
        persons = sorted(found.marks)
        line = Erasure(
            erasure,
            self.tenant_id,
            self.hub.clock.now(),
            str(entity),
            tuple(map(hub_key, persons)),
            tuple(
                (mark.kind, mark.entity, mark.digest.hex(), mark.along, place)
                for place, core_id in enumerate(persons)
                for mark in found.marks[core_id]
            ),
        )
        return line.sealed(self.cipher.suppression_key)

    def lifting(self, erasure: str) -> Erasure:
        """What the list says of one that is lifted."""
        line = Erasure(erasure, self.tenant_id, self.hub.clock.now(), lifted=True)
        return line.sealed(self.cipher.suppression_key)
