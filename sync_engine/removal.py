"""Removal: takes core records out of the database with everything that belongs to them.

One way for all that removes records for good: retention (purge.py) and the erasure of one person
(erasure/). Works on one batch of core records of one entity, in the transaction that is open; of
the journal the skeleton stays, its values and the source's key go.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from mappings.canonical.fields import Entity
from sync_engine.outbox.states import HAS_IT
from sync_engine.store.work import Params, Work

PARTS: Final = (
    ("match_key", "core_id"),
    ("pin", "core_id"),
    ("decision", "core_id"),
    ("identificatie", "eigenaar_id"),
    ("former_number", "core_id"),
    ("counterpart", "core_id"),
    ("counterpart", "other_id"),
    ("contactgegeven", "eigenaar_id"),
    ("adres", "eigenaar_id"),
    ("groepsdeelname", "groep_id"),
    ("groepsdeelname", "persoon_id"),
    ("core_salt", "core_id"),
    ("vault", "core_id"),
    ("batch_person", "core_id"),
    ("refold", "core_id"),
    ("outbox", "core_id"),
    ("alias", "core_id"),
    ("link", "core_id"),
    ("former_link", "core_id"),
    ("former_member", "groep_id"),
    ("former_member", "persoon_id"),
)
"""(table, column) of what goes with a core record, and with the ids that were merged into it."""

_BATCH: Final = "(SELECT core_id FROM k_batch)"


class Removal:
    """Removes one batch after another on one connection.

    Attributes:
        rows: table → rows that it removed.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.rows: Counter[str] = Counter()

    def prepare(self) -> None:
        """Make the temporary tables of a batch."""
        work = self.work
        work.temp_table("k_batch", "core_id BIGINT PRIMARY KEY")
        work.temp_table("k_shadow", "id BIGINT PRIMARY KEY")
        work.temp_table("k_node", "koppeling_id INTEGER, entity TEXT, source_key TEXT")
        work.temp_table("k_record", "record_id BIGINT PRIMARY KEY")

    def delete(self, table: str, where: str, params: Params = ()) -> None:
        """Delete rows, and count them."""
        self.work.execute(f"DELETE FROM {table} WHERE {where}", params)
        self.rows[table] += self.work.changes

    def begin(self) -> None:
        """Begin another batch: the core ids are to be put into `k_batch`."""
        for table in ("k_batch", "k_shadow", "k_node", "k_record"):
            self.work.execute(f"DELETE FROM {table}")

    def gather(self) -> None:
        """What was merged into the records of this batch, their shadows, and their source keys."""
        work = self.work
        work.execute(
            "INSERT INTO k_batch SELECT a.core_id FROM alias a "
            "WHERE a.survivor_id IN (SELECT core_id FROM k_batch)"
        )
        work.execute(
            "INSERT INTO k_shadow SELECT DISTINCT s.id FROM k_batch b CROSS JOIN link l "
            "CROSS JOIN shadow s WHERE l.core_id = b.core_id "
            "AND s.koppeling_id = l.koppeling_id AND s.entity = l.entity "
            "AND s.source_key = l.source_key"
        )
        work.execute(
            "INSERT INTO k_node SELECT koppeling_id, entity, source_key FROM link "
            "WHERE core_id IN (SELECT core_id FROM k_batch)"
        )

    def nodes_of_shadows(self) -> None:
        """The source keys of shadows that were put into `k_shadow`."""
        self.work.execute(
            "INSERT INTO k_node SELECT DISTINCT s.koppeling_id, s.entity, s.source_key "
            "FROM k_shadow k CROSS JOIN shadow s WHERE s.id = k.id"
        )

    def steps_of_nodes(self) -> None:
        """Of plans that would have made something of these source keys: what they say goes."""
        self.steps(
            "SELECT t.id FROM k_node n CROSS JOIN koppeling k CROSS JOIN plan p CROSS JOIN step t "
            "WHERE k.id = n.koppeling_id AND p.tenant_id = k.tenant_id AND NOT p.applied "
            "AND t.plan_id = p.id AND t.entity = n.entity "
            "AND t.source = k.name || '/' || n.source_key"
        )

    def steps(self, ids: str, params: Params = ()) -> None:
        """What these steps say goes; that there was something stays.

        Args:
            ids: query of their ids.
            params: of that query.
        """
        self.work.execute(
            f"UPDATE step SET salt = NULL, change = ?, source = '' WHERE id IN ({ids}) "
            "AND (salt IS NOT NULL OR source <> '')",
            (b"", *params),
        )
        self.rows["step"] += self.work.changes

    def core(self, entity: Entity) -> None:
        """What hangs on these core records, and they themselves."""
        work = self.work
        has = f"core_id IN {_BATCH} AND {HAS_IT}"
        work.execute(  # who still has one of them is told that it goes
            f"UPDATE koppeling SET outward = '' WHERE id IN (SELECT koppeling_id FROM exchange "
            f"WHERE {has})"
        )
        work.execute(f"UPDATE exchange SET salt = NULL, body = NULL WHERE {has}")
        for table, column in PARTS:
            self.delete(table, f"{column} IN {_BATCH}")
        self.delete("exchange", f"core_id IN {_BATCH} AND NOT ({HAS_IT})")
        work.execute(
            f"UPDATE step SET salt = NULL, change = ?, source = '' WHERE core_id IN {_BATCH}",
            (b"",),
        )
        self.rows["step"] += work.changes
        self.delete(str(entity), f"id IN {_BATCH}")

    def shadows(self, *, delivered: bool = False) -> None:
        """The shadows of this batch, and what is kept by their keys.

        Args:
            delivered: also where the source still delivers it, and cases that are open.
        """
        work = self.work
        work.execute(
            "INSERT INTO k_record SELECT DISTINCT s.record_id FROM k_shadow k "
            "CROSS JOIN shadow s WHERE s.id = k.id"
        )
        for table, number in (
            ("shadow_form", "shadow_id"),
            ("former_form", "shadow_id"),
            ("shadow", "id"),
        ):
            self.delete(table, f"{number} IN (SELECT id FROM k_shadow)")
        work.execute(  # another scope may still say something of it
            "DELETE FROM k_node WHERE EXISTS (SELECT 1 FROM shadow s "
            "WHERE s.koppeling_id = k_node.koppeling_id AND s.entity = k_node.entity "
            "AND s.source_key = k_node.source_key)"
        )
        nodes = "(koppeling_id, entity, source_key) IN (SELECT * FROM k_node)"
        closed = "" if delivered else "state <> 'open' AND "
        cases = f"(SELECT id FROM zaak WHERE {closed}{nodes})"
        self.delete("zaak_notitie", f"case_id IN {cases}")
        for table, which in (("open_reference", ""), ("decision", ""), ("zaak", closed)):
            self.delete(table, f"{which}{nodes}")
        self._records(delivered=delivered)

    def _records(self, *, delivered: bool) -> None:
        """Raw records that hold nothing any more, and are gone or must go."""
        work = self.work
        gone = "" if delivered else "AND (r.gone OR p.ended_run IS NOT NULL) "
        work.execute(
            "DELETE FROM k_record WHERE record_id NOT IN (SELECT r.id FROM k_record k "
            "CROSS JOIN source_record r JOIN scope p ON p.id = r.scope_id "
            f"WHERE r.id = k.record_id {gone}"
            "AND NOT EXISTS (SELECT 1 FROM shadow s WHERE s.record_id = r.id))"
        )
        records = "(SELECT record_id FROM k_record)"
        self.delete("raw_payload", f"record_id IN {records}")
        self.delete(
            "quarantine",
            "(scope_id, source_key) IN (SELECT r.scope_id, r.source_key FROM k_record k "
            "CROSS JOIN source_record r WHERE r.id = k.record_id)",
        )
        self.delete("source_record", f"id IN {records}")
