"""Takes persons out of every table, and writes what they are recognised by: one transaction."""

from __future__ import annotations

from typing import Final

import msgspec

from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from sync_engine.audit import note_within
from sync_engine.context import chunks
from sync_engine.erasure.elsewhere import Elsewhere
from sync_engine.erasure.gathering import Found, Gatherer
from sync_engine.erasure.telling import ErasureReport, name_erased
from sync_engine.hub import Hub
from sync_engine.hubkeys import hub_key
from sync_engine.outbox.states import UNDER_WAY, listed
from sync_engine.project import required_references
from sync_engine.removal import Removal
from sync_engine.sealed import inbox_context
from sync_engine.store.work import Work
from sync_engine.suppression import COLUMNS, PERSONS, Suppressions, sweep
from sync_engine.vault import hold

CHANGED: Final = frozenset({"event", "exchange", "run", "zaak"})
"""Tables of which rows stay that said something of them."""


class Eraser:
    """Erases persons of one tenant; its lock and all its leases are held.

    Attributes:
        gatherer: says who goes.
    """

    def __init__(self, hub: Hub, work: Work, tenant_id: int, *, operator: str) -> None:
        self.hub, self.work, self.tenant_id, self.operator = hub, work, tenant_id, operator
        self.gatherer = Gatherer(hub, work, tenant_id)
        self.cipher, self.issuers = self.gatherer.cipher, self.gatherer.issuers
        self.removal = Removal(work)
        self.removal.prepare()
        self.elsewhere = Elsewhere(work, tenant_id, removal=self.removal)
        work.temp_table("k_erased", "core_id BIGINT PRIMARY KEY")

    def carry_out(
        self, found: Found, erasure: str, *, why: str, report: ErasureReport, dry: bool = False
    ) -> None:
        """All of it, in the transaction that is open; a dry one leaves no line in the trail."""
        work, removal = self.work, self.removal
        hold(work, self.tenant_id)
        self.suppress(found, erasure, why=why)
        name_erased(self.work, found.all_ids())
        self._tell_targets()
        report.cleared = self._clear()
        self._candidates()
        self.elsewhere.remove()
        for entity in reversed(Entity):
            ids = sorted(found.cores.get(entity, ()))
            for part in chunks(ids):
                removal.begin()
                work.load("k_batch", ("core_id",), [(number,) for number in part])
                removal.gather()
                if entity in PERSONS:
                    self._whole_records()
                removal.steps_of_nodes()
                removal.core(entity)
                removal.shadows(delivered=True)
        self._by_raw_key(found)
        erased = Suppressions.load(
            work, self.cipher, now=self.hub.clock.now(), dry=False, operator=self.operator
        )
        self._sent(erased)
        self._quarantined(erased)
        self._swept(erased)
        self.elsewhere.decided(erased)
        report.rows = {name: count for name, count in sorted(removal.rows.items()) if count}
        if not dry:
            self._audit(found, why)

    def suppress(self, found: Found, erasure: str, *, why: str) -> None:
        """Write what they are recognised by."""
        now = self.hub.clock.now()
        self.work.load(
            "suppression",
            COLUMNS,
            [
                (
                    *(self.tenant_id, mark.digest, why, now, erasure, mark.kind, mark.entity),
                    *(core_id, mark.along, self.tenant_id, self.operator),
                )
                for core_id, marks in sorted(found.marks.items())
                for mark in marks
            ],
        )

    def _audit(self, found: Found, why: str) -> None:
        keys = " ".join(map(hub_key, sorted(found.marks)))
        note_within(
            self.hub,
            self.work,
            operator=self.operator,
            action="erase",
            subject=keys.partition(" ")[0],
            why=f"{why} ({keys})" if " " in keys else why,
        )

    def _tell_targets(self) -> None:
        """Who may have him hears that he goes: also who was sent a message and did not answer."""
        work, mine = self.work, "core_id IN (SELECT core_id FROM k_erased)"
        work.execute(
            "INSERT INTO exchange (koppeling_id, entity, core_id, kind, state, revision, detail, "
            "changed_at, operator) SELECT DISTINCT o.koppeling_id, o.entity, o.core_id, "
            "'outward ' || o.resource, 'present', 1, '{}', CAST(? AS TIMESTAMP), ? FROM outbox o "
            f"WHERE o.{mine} AND o.state IN ({listed(UNDER_WAY)}) AND o.koppeling_id IS NOT NULL "
            "ON CONFLICT (koppeling_id, entity, core_id, kind) DO UPDATE SET state = 'present', "
            "salt = NULL, body = NULL, revision = exchange.revision + 1",
            (self.hub.clock.now(), self.operator),
        )
        work.execute(  # objects that named him are looked at again too
            "UPDATE koppeling SET outward = '' WHERE tenant_id = ? AND id IN "
            "(SELECT koppeling_id FROM exchange WHERE kind LIKE 'outward %')",
            (self.tenant_id,),
        )

    def _clear(self) -> dict[str, int]:
        """References of records that stay become empty, and they are folded again."""
        work, cleared = self.work, {}
        for holder in Entity:
            required = required_references(holder)
            for name, description in fields_of(holder).items():
                if description.kind is not Kind.REFERENCE or name in required:
                    continue
                where = (
                    f"{name}_id IN (SELECT core_id FROM k_erased) "
                    "AND id NOT IN (SELECT core_id FROM k_erased)"
                )
                work.execute(
                    "INSERT INTO refold (core_id, tenant_id, entity, reason) "
                    f"SELECT id, CAST(? AS INTEGER), ?, 'erased' FROM {holder} WHERE {where} "
                    "ON CONFLICT (core_id) DO NOTHING",
                    (self.tenant_id, str(holder)),
                )
                work.execute(f"UPDATE {holder} SET {name}_id = NULL WHERE {where}")
                if work.changes:
                    cleared[f"{holder}.{name}"] = work.changes
        work.execute(
            "INSERT INTO refold (core_id, tenant_id, entity, reason) SELECT DISTINCT groep_id, "
            "CAST(? AS INTEGER), 'groep', 'erased' FROM groepsdeelname "
            "WHERE persoon_id IN (SELECT core_id FROM k_erased) ON CONFLICT (core_id) DO NOTHING",
            (self.tenant_id,),
        )
        self.removal.delete(  # who holds a reference to him is not written down any more
            "open_reference",
            "(koppeling_id, target_entity, target_key) IN "
            "(SELECT koppeling_id, entity, source_key FROM link "
            "WHERE core_id IN (SELECT core_id FROM k_erased))",
        )
        return cleared

    def _candidates(self) -> None:
        """In cases of others he is no candidate any more."""
        work = self.work
        gone = {row[0] for row in work.execute("SELECT core_id FROM k_erased")}
        for number, detail in work.execute(
            "SELECT id, detail FROM zaak WHERE tenant_id = ? AND length(detail) > 2",
            (self.tenant_id,),
        ):
            told = msgspec.json.decode(detail)
            if not isinstance(told, list):
                continue
            kept = [c for c in told if not (isinstance(c, dict) and c.get("core_id") in gone)]
            if kept != told:
                text = msgspec.json.encode(kept).decode()
                work.execute("UPDATE zaak SET detail = ? WHERE id = ?", (text, number))

    def _whole_records(self) -> None:
        """All that stands in the records of a person is his, also what was never linked."""
        self.work.execute(
            "INSERT INTO k_shadow SELECT DISTINCT o.id FROM k_shadow k CROSS JOIN shadow s "
            "CROSS JOIN shadow o WHERE s.id = k.id AND o.record_id = s.record_id "
            "ON CONFLICT (id) DO NOTHING"
        )
        self.work.execute("DELETE FROM k_node")
        self.removal.nodes_of_shadows()
        self.work.execute(
            "INSERT INTO k_node SELECT koppeling_id, entity, source_key FROM link "
            "WHERE core_id IN (SELECT core_id FROM k_batch)"
        )

    # -- what has no shadow ------------------------------------------------------------------------

    def _sent(self, erased: Suppressions) -> None:
        """What a program sent of them and no run took in; of whom is linked a message stays."""
        linked = (
            "NOT EXISTS (SELECT 1 FROM link l WHERE l.koppeling_id = k.id "
            "AND l.entity = i.resource AND l.source_key = i.{})"
        )
        told: dict[str, list[int]] = {"kern_inbox": [], "inbox": []}
        for number, koppeling_id, resource, key, body in self.work.execute(
            "SELECT i.id, k.id, i.resource, i.key, i.body FROM kern_inbox i "
            "JOIN koppeling k ON k.name = i.koppeling WHERE k.tenant_id = ? AND "
            + linked.format("key"),
            (self.tenant_id,),
        ):
            if erased.holds_unread(resource, koppeling_id, key, (body or "").encode()):
                told["kern_inbox"].append(number)
        for number, koppeling_id, resource, key, message, salt, body in self.work.rows(
            "SELECT i.id, k.id, i.resource, i.source_key, i.message_id, i.salt, i.body "
            "FROM inbox i JOIN koppeling k ON k.id = i.koppeling_id WHERE k.tenant_id = ? "
            "AND i.salt IS NOT NULL AND length(i.body) > 3 AND " + linked.format("source_key"),
            (self.tenant_id,),
        ):
            person = self.cipher.person(bytes(salt))
            plain = person.decrypt(bytes(body), inbox_context(koppeling_id, message))
            if erased.holds_unread(resource, koppeling_id, key, plain):
                told["inbox"].append(number)
        for table, doomed in told.items():
            for part in chunks(doomed):
                self.removal.delete(table, self.work.many("id"), (self.work.values(part),))

    def _by_raw_key(self, found: Found) -> None:
        """What is kept by the keys of his raw records."""
        removal = self.removal
        for koppeling_id, resource, key in sorted(found.records):
            own = (koppeling_id, resource, key)
            same = "koppeling_id = ? AND resource = ? AND source_key = ?"
            removal.delete("inbox", same, own)
            removal.delete(
                "quarantine",
                "source_key = ? AND scope_id IN "
                "(SELECT id FROM scope WHERE koppeling_id = ? AND resource = ?)",
                (key, koppeling_id, resource),
            )
            self._cases(own)
        self._events({key for _, _, key in found.records})

    def _events(self, keys: set[str]) -> None:
        """Events name the first records in which a field was left out."""
        work = self.work
        for number, detail in work.execute(
            "SELECT e.id, e.detail FROM event e JOIN koppeling k ON k.id = e.koppeling_id "
            "WHERE k.tenant_id = ? AND e.detail LIKE '%\"keys\"%'",
            (self.tenant_id,),
        ):
            told = msgspec.json.decode(detail)
            named = told.get("keys") if isinstance(told, dict) else None
            if not isinstance(named, list) or not keys.intersection(named):
                continue
            told["keys"] = [key for key in named if key not in keys]
            text = msgspec.json.encode(told).decode()
            work.execute("UPDATE event SET detail = ? WHERE id = ?", (text, number))

    def _quarantined(self, erased: Suppressions) -> None:
        """Records that nobody could read and nobody is linked to, if intake would refuse them."""
        work, removal = self.work, self.removal
        doomed = []
        for number, scope_id, key, salt, body, koppeling_id, resource in work.rows(
            "SELECT q.id, q.scope_id, q.source_key, q.salt, q.body, p.koppeling_id, p.resource "
            "FROM quarantine q JOIN scope p ON p.id = q.scope_id "
            "JOIN koppeling k ON k.id = p.koppeling_id WHERE k.tenant_id = ? "
            "AND q.salt IS NOT NULL AND length(q.body) > 3 AND NOT EXISTS "
            "(SELECT 1 FROM source_record r JOIN shadow s ON s.record_id = r.id "
            "WHERE r.scope_id = q.scope_id AND r.source_key = q.source_key)",
            (self.tenant_id,),
        ):
            context = b"quarantine|%d|%s" % (scope_id, key.encode())
            plain = self.cipher.person(bytes(salt)).decrypt(bytes(body), context)
            if erased.holds_unread(resource, koppeling_id, key, plain):
                doomed.append((number, scope_id, key, koppeling_id, resource))
        for number, scope_id, key, koppeling_id, resource in doomed:
            record = "scope_id = ? AND source_key = ?"
            records = f"record_id IN (SELECT id FROM source_record WHERE {record})"
            removal.delete("raw_payload", records, (scope_id, key))
            removal.delete("quarantine", "id = ?", (number,))
            removal.delete("source_record", record, (scope_id, key))
            self._cases((koppeling_id, resource, key))

    def _cases(self, record: tuple[int, str, str]) -> None:
        """The cases of one source record, and what was noted with them."""
        cases = "koppeling_id = ? AND entity = ? AND source_key = ?"
        notes = f"case_id IN (SELECT id FROM zaak WHERE {cases})"
        self.removal.delete("zaak_notitie", notes, record)
        self.removal.delete("zaak", cases, record)

    def _swept(self, erased: Suppressions) -> None:
        """What was received of them and never became a record."""
        for (koppeling_id,) in self.work.execute(
            "SELECT id FROM koppeling WHERE tenant_id = ? ORDER BY id", (self.tenant_id,)
        ):
            sweep(
                self.work,
                self.cipher,
                erased,
                koppeling_id,
                issuers=self.issuers,
                removal=self.removal,
                settled=True,
            )

    def lift(self, erasure: str, *, why: str) -> None:
        """Within the transaction that is open; whatever spoke of him is read and folded again."""
        work, tenant_id = self.work, self.tenant_id
        cores = work.execute(
            "SELECT MIN(core_id) FROM suppression WHERE tenant_id = ? AND erasure = ? "
            "AND NOT along",
            (tenant_id, erasure),
        )
        work.execute(
            "UPDATE suppression SET lifted_at = ?, lifted_by = ?, lifted_why = ? "
            "WHERE tenant_id = ? AND erasure = ? AND lifted_at IS NULL",
            (self.hub.clock.now(), self.operator, why, tenant_id, erasure),
        )
        for holder in Entity:
            if any(
                description.target in PERSONS and name not in required_references(holder)
                for name, description in fields_of(holder).items()
            ):
                work.execute(
                    "INSERT INTO refold (core_id, tenant_id, entity, reason) "
                    f"SELECT id, tenant_id, ?, 'erasure lifted' FROM {holder} WHERE tenant_id = ? "
                    "ON CONFLICT (core_id) DO NOTHING",
                    (str(holder), tenant_id),
                )
        work.execute(  # what was left out of records of others is in them again
            "UPDATE source_record SET raw_fp = ? WHERE scope_id IN (SELECT p.id FROM scope p "
            "JOIN koppeling k ON k.id = p.koppeling_id WHERE k.tenant_id = ?)",
            (b"", tenant_id),
        )
        note_within(
            self.hub,
            work,
            operator=self.operator,
            action="erase lift",
            subject=hub_key(cores[0][0] or 0),
            why=why,
        )
