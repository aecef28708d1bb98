"""Part: what one koppeling brought of some vestigingen becomes that of another, in one tenant.

The step before a transfer where a koppeling serves vestigingen that go and others that stay. The
core does not change by it: who was told of by one koppeling is told of by the other, or by both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlmodel import SQLModel

from config.errors import ConfigurationError
from config.guards import BRIN_LENGTH
from config.herinrichting import MovedPart
from config.nearest import choice
from mappings.canonical.fields import Entity
from sync_engine.context import Ids, KoppelingRow, chunks
from sync_engine.errors import SyncError
from sync_engine.renumbering import NUMBERED, Renumbering, places
from sync_engine.store.cipher import TenantCipher
from sync_engine.store.work import Work
from sync_engine.transfer.sides import references

_TOGETHER: Final = (
    "De bron levert deze vestigingen niet apart: alleen de hele koppeling kan mee. Geef de "
    "vestiging in haar bestuur eerst een eigen koppeling (`source` in een herinrichting), en "
    "verhuis die."
)


@dataclass(frozen=True, slots=True)
class Scopes:
    """The scopes of a koppeling: those that go, and those of both.

    Attributes:
        going: are of nothing but vestigingen that go.
        shared: are of more, or do not say of whom.
        numbers: every number of those vestigingen.
    """

    going: Sequence[int]
    shared: Sequence[int]
    numbers: frozenset[str]


def find_scopes(
    work: Work, part: MovedPart, koppeling: KoppelingRow, renumbering: Renumbering, *, where: str
) -> Scopes:
    """Which scopes a part takes along.

    Raises: ConfigurationError if nothing was ever read of a vestiging; SyncError if the source
        reads it together with others alone.
    """
    rows = [
        (number, msgspec.json.decode(text, type=list[str]))
        for number, text in work.execute(
            "SELECT id, brins FROM scope WHERE koppeling_id = ? ORDER BY id", (koppeling.id,)
        )
    ]
    known = {number for _, listed in rows for number in places(listed)}
    numbers = frozenset(n for v in part.vestigingen for n in renumbering.names(v))
    for vestiging in part.vestigingen:
        if known.isdisjoint(renumbering.names(vestiging)):
            raise ConfigurationError(
                f"{where}.vestigingen[{vestiging}]: {koppeling.name} never read this vestiging",
                advice=choice(vestiging, sorted(known)),
            )
    going = [n for n, listed in rows if listed and numbers.issuperset(places(listed))]
    if not going:
        raise SyncError(
            f"{where}: {koppeling.name} reads its vestigingen together", advice=_TOGETHER
        )
    shared = [
        n
        for n, listed in rows
        if n not in going and (not listed or not numbers.isdisjoint(places(listed)))
    ]
    return Scopes(going, shared, numbers)


class Part:
    """Hands over one part, within the transaction that is open.

    Args:
        work: of the store.
        cipher: of the tenant.
        scopes: that go and that are shared.
        old: the koppeling that brought them; `new`: the one that gets them.
    """

    def __init__(
        self,
        work: Work,
        cipher: TenantCipher,
        scopes: Scopes,
        *,
        old: KoppelingRow,
        new: KoppelingRow,
    ) -> None:
        self.work, self.cipher, self.scopes = work, cipher, scopes
        self.old, self.new = old, new

    def prepare(self) -> tuple[int, int]:
        """Find out what goes; how many raw records and shadows are copied for it."""
        work = self.work
        work.temp_table("h_scope", "id INTEGER PRIMARY KEY")
        work.load("h_scope", ("id",), [(number,) for number in self.scopes.going])
        work.temp_table("h_node", "entity TEXT, source_key TEXT, PRIMARY KEY (entity, source_key)")
        work.temp_table("h_record", "id BIGINT PRIMARY KEY, number BIGINT")
        work.temp_table("h_shadow", "id BIGINT PRIMARY KEY, number BIGINT")
        work.execute(
            "INSERT INTO h_node SELECT DISTINCT entity, source_key FROM shadow "
            "WHERE scope_id IN (SELECT id FROM h_scope)"
        )
        shared = self.scopes.shared
        while shared and self._needed():
            pass
        count = work.execute("SELECT COUNT(*) FROM h_record")[0][0]
        shadows = work.execute(
            "SELECT COUNT(*) FROM shadow WHERE record_id IN (SELECT id FROM h_record)"
        )
        return int(count), int(shadows[0][0])

    def _needed(self) -> bool:
        """What a shared scope tells of records that a record that goes refers to goes along."""
        work = self.work
        cores = (
            "(SELECT l.core_id FROM h_node n JOIN link l ON l.koppeling_id = ? "
            "AND l.entity = n.entity AND l.source_key = n.source_key)"
        )
        found = 0
        for entity in Entity:
            for column, _ in references(entity):
                found += self._take(f"SELECT c.{column} FROM {entity} c WHERE c.id IN {cores}")
        found += self._take(f"SELECT persoon_id FROM groepsdeelname WHERE groep_id IN {cores}")
        numbers = sorted(self.scopes.numbers)
        for entity, wanted in (
            (Entity.VESTIGING, numbers),
            (Entity.INSTELLING, sorted({number[:BRIN_LENGTH] for number in numbers})),
        ):
            found += self._take(
                f"SELECT id FROM {entity} WHERE {work.many(NUMBERED[entity])}", work.values(wanted)
            )
        return found > 0

    def _take(self, wanted: str, *params: object) -> int:
        """Raw records of shared scopes that tell of these core records."""
        work = self.work
        work.execute(
            "INSERT INTO h_record (id) SELECT DISTINCT s.record_id FROM link l JOIN shadow s "
            "ON s.koppeling_id = l.koppeling_id AND s.entity = l.entity "
            f"AND s.source_key = l.source_key WHERE l.koppeling_id = ? AND l.core_id IN ({wanted}) "
            f"AND {work.many('s.scope_id')} ON CONFLICT DO NOTHING",
            (
                self.old.id,
                *(params or (self.old.id,)),
                work.values(list(self.scopes.shared)),
            ),
        )
        added = work.changes
        if added:
            work.execute(
                "INSERT INTO h_node SELECT DISTINCT entity, source_key FROM shadow "
                "WHERE record_id IN (SELECT id FROM h_record) ON CONFLICT DO NOTHING"
            )
        return added

    def write(self, records: range, shadows: range) -> None:
        """Hand everything over.

        Args:
            records: numbers for raw records that are copied.
            shadows: the same of shadows.
        """
        work = self.work
        _number(work, "h_record", "SELECT id FROM h_record ORDER BY id", records)
        found = "SELECT id FROM shadow WHERE record_id IN (SELECT id FROM h_record) ORDER BY id"
        work.load("h_shadow", ("id",), work.execute(found))
        _number(work, "h_shadow", "SELECT id FROM h_shadow ORDER BY id", shadows)
        self._copy()
        going = "(SELECT id FROM h_scope)"
        for table, column in (("scope", "id"), ("shadow", "scope_id"), ("event", "scope_id")):
            work.execute(
                f"UPDATE {table} SET koppeling_id = ? WHERE {column} IN {going}", (self.new.id,)
            )
        self._vestigingen()
        self._nodes()
        work.execute(
            "UPDATE zaak SET koppeling_id = ? WHERE koppeling_id = ? AND kind = 'quarantine' "
            "AND EXISTS (SELECT 1 FROM quarantine q JOIN scope p ON p.id = q.scope_id "
            "WHERE p.koppeling_id = ? AND p.resource = zaak.entity "
            "AND q.source_key = zaak.source_key)",
            (self.new.id, self.old.id, self.new.id),
        )

    # -- what is shared ----------------------------------------------------------------------------

    def _copy(self) -> None:
        """Scopes of both exist twice, with what is needed of them."""
        work = self.work
        twins: dict[int, int] = {}
        names = _columns("scope", without=("id", "koppeling_id"))
        for (number,) in work.execute(
            "SELECT DISTINCT r.scope_id FROM h_record h JOIN source_record r ON r.id = h.id"
        ):
            made = work.execute(
                f"INSERT INTO scope (koppeling_id, {names}) SELECT CAST(? AS INTEGER), {names} "
                "FROM scope WHERE id = ? RETURNING id",
                (self.new.id, number),
            )
            twins[number] = made[0][0]
            names_ = _columns("contract", without=("id", "scope_id"))
            work.execute(
                f"INSERT INTO contract (scope_id, {names_}) SELECT CAST(? AS INTEGER), {names_} "
                "FROM contract WHERE scope_id = ?",
                (made[0][0], number),
            )
        work.temp_table("h_twin", "id INTEGER PRIMARY KEY, twin INTEGER")
        work.load("h_twin", ("id", "twin"), list(twins.items()))
        names = _columns("source_record", without=("id", "scope_id"))
        listed = ", ".join(f"r.{name}" for name in names.split(", "))
        work.execute(
            f"INSERT INTO source_record (id, scope_id, {names}) SELECT h.number, t.twin, {listed} "
            "FROM h_record h JOIN source_record r ON r.id = h.id JOIN h_twin t ON t.id = r.scope_id"
        )
        skip = ("id", "koppeling_id", "scope_id", "record_id")
        names = _columns("shadow", without=skip)
        listed = ", ".join(f"s.{name}" for name in names.split(", "))
        work.execute(
            f"INSERT INTO shadow ({', '.join(skip)}, {names}) "
            f"SELECT n.number, CAST(? AS INTEGER), t.twin, h.number, {listed} FROM h_shadow n "
            "JOIN shadow s ON s.id = n.id JOIN h_record h ON h.id = s.record_id "
            "JOIN h_twin t ON t.id = s.scope_id",
            (self.new.id,),
        )
        self._forms()
        self._bodies()

    def _forms(self) -> None:
        rows = []
        for number, copy, received, accepted, salt in self.work.execute(
            "SELECT n.id, n.number, f.received, f.accepted, r.salt FROM h_shadow n "
            "JOIN shadow s ON s.id = n.id JOIN shadow_form f ON f.shadow_id = n.id "
            "JOIN source_record r ON r.id = s.record_id"
        ):
            blobs = (
                None if blob is None else self._moved(blob, salt, b"shadow|%d", number, copy)
                for blob in (received, accepted)
            )
            rows.append((copy, *blobs))
        self.work.load("shadow_form", ("shadow_id", "received", "accepted"), rows)

    def _bodies(self) -> None:
        """Of the archive the newest of each."""
        rows = []
        for number, copy, run_id, terms, day, body, salt in self.work.execute(
            "SELECT h.id, h.number, p.run_id, p.contract_fp, p.stored_on, p.body, r.salt "
            "FROM h_record h JOIN source_record r ON r.id = h.id JOIN raw_payload p ON p.id = "
            "(SELECT MAX(q.id) FROM raw_payload q WHERE q.record_id = h.id)"
        ):
            sealed = self._moved(body, salt, b"raw|%d", number, copy)
            rows.append((copy, run_id, terms, day, sealed))
        names = ("record_id", "run_id", "contract_fp", "stored_on", "body")
        self.work.load("raw_payload", names, rows)

    def _moved(self, blob: bytes, salt: bytes | None, name: bytes, old: int, new: int) -> bytes:
        """A value under another number; of an erased person it stays as it is."""
        if salt is None:
            return blob
        person = self.cipher.person(salt)
        packed = blob[0] == _COMPRESSED
        return person.encrypt(person.decrypt(blob, name % old), name % new, compress=packed)

    def _vestigingen(self) -> None:
        """The vestigingen themselves go: what stays is no claim of theirs any more."""
        work = self.work
        gone = (
            "SELECT s.id FROM link l JOIN vestiging v ON v.id = l.core_id JOIN shadow s "
            "ON s.koppeling_id = l.koppeling_id AND s.entity = l.entity "
            "AND s.source_key = l.source_key WHERE l.entity = 'vestiging' AND l.koppeling_id = ? "
            f"AND {work.many('v.vestigingsnummer')}"
        )
        params = (self.old.id, work.values(sorted(self.scopes.numbers)))
        shadows = [row[0] for row in work.execute(gone, params)]
        for part in chunks(shadows):
            ids = work.values(part)
            records = [
                row[0]
                for row in work.execute(
                    f"SELECT record_id FROM shadow WHERE {work.many('id')}", (ids,)
                )
            ]
            for table, column in (("shadow_form", "shadow_id"), ("former_form", "shadow_id")):
                work.execute(f"DELETE FROM {table} WHERE {work.many(column)}", (ids,))
            work.execute(f"DELETE FROM shadow WHERE {work.many('id')}", (ids,))
            alone = "NOT EXISTS (SELECT 1 FROM shadow s WHERE s.record_id = {})"
            for table, column in (("raw_payload", "record_id"), ("source_record", "id")):
                work.execute(
                    f"DELETE FROM {table} WHERE {work.many(column)} "
                    f"AND {alone.format(f'{table}.{column}')}",
                    (work.values(records),),
                )

    # -- who is who --------------------------------------------------------------------------------

    def _nodes(self) -> None:
        """Links and what hangs on them: handed over, or of both where the old one tells on."""
        work = self.work
        work.execute(  # the new one is what the old one is
            "UPDATE koppeling SET adds = (SELECT o.adds FROM koppeling o WHERE o.id = ?) "
            "WHERE id = ?",
            (self.old.id, self.new.id),
        )
        work.temp_table("h_both", "entity TEXT, source_key TEXT, PRIMARY KEY (entity, source_key)")
        work.execute(
            "INSERT INTO h_both SELECT n.entity, n.source_key FROM h_node n WHERE EXISTS "
            "(SELECT 1 FROM shadow s WHERE s.koppeling_id = ? AND s.entity = n.entity "
            "AND s.source_key = n.source_key)",
            (self.old.id,),
        )
        both, nodes = (f"(SELECT entity, source_key FROM h_{t})" for t in ("both", "node"))
        for table, skip in (
            ("link", ()),
            ("match_key", ()),
            ("open_reference", ()),
            ("decision", ("id",)),
        ):
            names = _columns(table, without=("koppeling_id", *skip))
            live = "AND lifted_at IS NULL" if table == "decision" else ""
            work.execute(
                f"INSERT INTO {table} (koppeling_id, {names}) SELECT CAST(? AS INTEGER), {names} "
                f"FROM {table} WHERE koppeling_id = ? AND (entity, source_key) IN {both} {live}",
                (self.new.id, self.old.id),
            )
        alone = f"koppeling_id = ? AND (entity, source_key) IN {nodes}"
        alone += f" AND (entity, source_key) NOT IN {both}"
        for table in ("link", "match_key", "open_reference", "decision", "zaak"):
            work.execute(
                f"UPDATE {table} SET koppeling_id = ? WHERE {alone}", (self.new.id, self.old.id)
            )


_COMPRESSED: Final = 2
"""First byte of a blob that was packed (cipher.py)."""


def _number(work: Work, table: str, query: str, numbers: range) -> None:
    """Give the rows of a temporary table their numbers, in order."""
    rows: Iterable[tuple[object, ...]] = work.execute(query)
    work.temp_table("h_number", "id BIGINT PRIMARY KEY, number BIGINT")
    pairs = [(row[0], number) for row, number in zip(rows, numbers, strict=True)]
    work.load("h_number", ("id", "number"), pairs)
    work.execute(f"UPDATE {table} SET number = n.number FROM h_number n WHERE n.id = {table}.id")


def _columns(table: str, *, without: tuple[str, ...]) -> str:
    names = (c.name for c in SQLModel.metadata.tables[table].columns)
    return ", ".join(name for name in names if name not in without)


def take_numbers(ids: Ids, records: int, shadows: int) -> tuple[range, range]:
    """Numbers for what is copied; not inside a transaction."""
    return ids.take("source_record", records), ids.take("shadow", shadows)
