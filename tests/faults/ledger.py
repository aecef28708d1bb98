"""What stands in a database, told by source keys: two databases with other numbers compare equal.

Read with SQL of its own, past the engine. Everything that is encrypted is opened: what cannot be
read any more was lost, even when its row is there.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, TypeAlias

from sqlmodel import SQLModel

from mappings.canonical.fields import Entity
from sync_engine.hub import Hub
from sync_engine.store.cipher import TenantCipher
from sync_engine.store.locks import lease, tenant_lock
from sync_engine.store.work import Work

Table: TypeAlias = list[tuple[Any, ...]]
Ledger: TypeAlias = dict[str, Table]

# Kinds of match keys whose digest is of source values only; the others are made with hub ids.
_PLAIN_KEYS = frozenset({"bsn", "leerlingnummer"})


def core_ledger(hub: Hub) -> Ledger:
    """Everything that apply writes: it stands as before the run or as after it."""
    with hub.store.work() as work:
        return _Reader(hub, work).core()


def full_ledger(hub: Hub) -> Ledger:
    """The core, and everything that reading writes."""
    with hub.store.work() as work:
        reader = _Reader(hub, work)
        return reader.core() | reader.received()


def net_journal(hub: Hub) -> Table:
    """Per core record what all runs together did: a key's first value before, its last after."""
    with hub.store.work() as work:
        return _Reader(hub, work).net_journal()


def traces(hub: Hub) -> dict[str, Table]:
    """Every row of every table but what differs from process to process: salts and ciphertexts.

    Two databases that are equal in this are equal to any later run.
    """
    noise = {"salt", "body", "change", "received", "accepted", "waarde", "wrapped", "check_value"}
    with hub.store.work() as work:
        return {
            name: _sorted(
                work.execute(
                    "SELECT "
                    + ", ".join(
                        f'"{c.name}" IS NULL' if c.name in noise else f'"{c.name}"'
                        for c in table.columns
                    )
                    + f' FROM "{name}"'
                )
            )
            for name, table in SQLModel.metadata.tables.items()
        }


def check_nothing_is_held(hub: Hub, koppeling: str) -> None:
    """The locks of a process that was killed are free; the server may take a moment to see it.

    Raises: RunActiveError if they are not.
    """
    row = hub.koppeling(koppeling)
    limit = hub.settings.policy.limits.lock_wait
    with lease(hub.store, f"koppeling-{row.id}", wait=limit):
        pass
    with tenant_lock(hub.store, row.tenant_id, wait=limit):
        pass


def check_invariants(hub: Hub) -> None:
    """What is true at every instant, whatever was killed."""
    with hub.store.work() as work:
        for question, sql in _NEVER.items():
            assert work.execute(f"SELECT COUNT(*) FROM ({sql}) broken") == [(0,)], question
        for entity in Entity:
            orphans = work.execute(
                f"SELECT COUNT(*) FROM {entity} c WHERE NOT EXISTS "
                "(SELECT 1 FROM link l WHERE l.core_id = c.id)"
            )
            assert orphans == [(0,)], f"{entity}: a core record that no source record is linked to"
        if hub.store.path is not None:
            assert work.execute("PRAGMA quick_check") == [("ok",)]


_NEVER = {
    "a link to a core record that is not there": "SELECT l.core_id FROM link l WHERE NOT EXISTS ("
    + " UNION ALL ".join(f"SELECT 1 FROM {entity} c WHERE c.id = l.core_id" for entity in Entity)
    + ")",
    "a shadow that is accepted and not linked": "SELECT s.id FROM shadow s "
    "WHERE s.accepted_fp IS NOT NULL AND NOT s.accepted_gone AND NOT EXISTS (SELECT 1 FROM link l "
    "WHERE l.koppeling_id = s.koppeling_id AND l.entity = s.entity "
    "AND l.source_key = s.source_key)",
    "a shadow whose difference nobody knows of": "SELECT id FROM shadow WHERE NOT pending "
    "AND refused_fp IS NULL AND (accepted_fp IS NULL OR accepted_fp <> received_fp "
    "OR accepted_gone <> received_gone)",
    "a shadow without its record": "SELECT s.id FROM shadow s WHERE NOT EXISTS "
    "(SELECT 1 FROM source_record r WHERE r.id = s.record_id)",
    "a record without its raw payload": "SELECT r.id FROM source_record r WHERE NOT EXISTS "
    "(SELECT 1 FROM raw_payload p WHERE p.record_id = r.id) AND NOT EXISTS (SELECT 1 FROM "
    "quarantine q WHERE q.scope_id = r.scope_id AND q.source_key = r.source_key)",
    "a plan that was applied and does not say so": "SELECT p.id FROM plan p JOIN run r "
    "ON r.id = p.run_id WHERE p.state IN ('applied', 'held') AND NOT p.applied "
    "AND r.kind <> 'refuse'",
    "a plan that says so and was not applied": "SELECT id FROM plan "
    "WHERE applied AND state NOT IN ('applied', 'held', 'approved', 'refused', 'expired')",
    "a shadow without its forms": "SELECT s.id FROM shadow s WHERE NOT EXISTS "
    "(SELECT 1 FROM shadow_form f WHERE f.shadow_id = s.id)",
    "forms without their shadow": "SELECT f.shadow_id FROM shadow_form f WHERE NOT EXISTS "
    "(SELECT 1 FROM shadow s WHERE s.id = f.shadow_id)",
    "a member twice in one group": "SELECT groep_id FROM groepsdeelname WHERE NOT beeindigd "
    "GROUP BY groep_id, rol, persoon_id HAVING COUNT(*) > 1",
}


class _Reader:
    """Reads one tenant's database."""

    def __init__(self, hub: Hub, work: Work) -> None:
        self.work = work
        (self.tenant,) = work.execute("SELECT id FROM tenant")[0]
        self.cipher: TenantCipher = hub.cipher(self.tenant)
        self.koppelingen = hub.koppelingen(self.tenant)
        self.names: dict[int, str] = self._names()
        self.salts: dict[int, bytes] = dict(work.execute("SELECT core_id, salt FROM core_salt"))
        self.scopes: dict[int, str] = {
            number: f"{self.koppelingen[koppeling]}:{resource}:{key}"
            for number, koppeling, resource, key in work.execute(
                "SELECT id, koppeling_id, resource, key FROM scope"
            )
        }

    def _names(self) -> dict[int, str]:
        """Core id → every source record that it is."""
        parts: dict[int, list[str]] = defaultdict(list)
        for koppeling, entity, key, core in self.work.execute(
            "SELECT koppeling_id, entity, source_key, core_id FROM link"
        ):
            parts[core].append(f"{self.koppelingen[koppeling]}:{entity}:{key}")
        names = {core: "+".join(sorted(part)) for core, part in parts.items()}
        for merged, survivor in self.work.execute("SELECT core_id, survivor_id FROM alias"):
            names[merged] = names[survivor]
        return names

    def core(self) -> Ledger:
        """Core tables, links, keys, journal, accepted forms, cases, open references."""
        found: Ledger = {str(entity): self._records(entity) for entity in Entity}
        found["groepsdeelname"] = self._members()
        found["identificatie"] = self._identifiers()
        for name in ("contactgegeven", "adres"):
            found[name] = self._parts(name)
        found["link"] = self._query(
            "SELECT koppeling_id, entity, source_key, core_id, rule FROM link", core=(3,)
        )
        found["alias"] = self._query("SELECT entity, survivor_id FROM alias", core=(1,))
        found["match_key"] = self._keys()
        found["journal"] = self._journal()
        found["accepted"] = self._accepted()
        found["zaak"] = self._cases()
        found["open_reference"] = self._query("SELECT * FROM open_reference")
        return found

    def received(self) -> Ledger:
        """Shadows, raw records, quarantine, scopes, cursors: what was read."""
        return {
            "shadow": self._shadows(),
            "source_record": self._named_by_scope(
                "SELECT scope_id, source_key, raw_fp, missing_since, gone FROM source_record"
            ),
            "raw_payload": self._raw(),
            "quarantine": self._named_by_scope(
                "SELECT scope_id, source_key, path, rule, raw_fp FROM quarantine"
            ),
            "quarantine cases": self._query(
                "SELECT koppeling_id, entity, source_key, rule FROM zaak "
                "WHERE kind = 'quarantine' AND state = 'open'"
            ),
            "scope": self._named_by_scope(
                "SELECT id, rank, label, contract_fp, complete_at, complete_count, ended_run "
                "FROM scope"
            ),
            "source_cursor": self._named_by_scope("SELECT scope_id, value FROM source_cursor"),
            "refold": self._query("SELECT core_id, entity, reason FROM refold", core=(0,)),
            "fold_input": self._query("SELECT tenant_id, name, fingerprint FROM fold_input"),
        }

    # -- parts -----------------------------------------------------------------------------------

    def _query(self, sql: str, *, core: Iterable[int] = ()) -> Table:
        return _sorted(
            tuple(self._name(value) if place in core else value for place, value in enumerate(row))
            for row in self.work.execute(sql)
        )

    def _name(self, core_id: int | None) -> str | None:
        return None if core_id is None else self.names.get(core_id, f"nobody: {core_id}")

    def _named_by_scope(self, sql: str) -> Table:
        return _sorted((self.scopes[row[0]], *row[1:]) for row in self.work.execute(sql))

    def _records(self, entity: Entity) -> Table:
        skipped = {"tenant_id", "run_id"}
        columns = [c.name for c in SQLModel.metadata.tables[entity].columns]
        columns = [name for name in columns if name not in skipped]
        core = [n for n, name in enumerate(columns) if name == "id" or name.endswith("_id")]
        return self._query(f"SELECT {', '.join(columns)} FROM {entity}", core=core)

    def _members(self) -> Table:
        return self._query(
            "SELECT groep_id, rol, persoon_id, geldig_van, geldig_tot, tot_afgeleid, beeindigd "
            "FROM groepsdeelname",
            core=(0, 2),
        )

    def _parts(self, table: str) -> Table:
        columns = [c.name for c in SQLModel.metadata.tables[table].columns if c.name != "run_id"]
        return self._query(f"SELECT {', '.join(columns)} FROM {table}", core=(0,))

    def _identifiers(self) -> Table:
        return _sorted(
            (self._name(owner), role, issuer, index, self._open(self.salts[owner], value, about))
            for owner, role, issuer, index, value in self.work.execute(
                "SELECT eigenaar_id, soort, uitgever, blindindex, waarde FROM identificatie"
            )
            for about in [b"identificatie|%d|%s" % (owner, role.encode())]
        )

    def _open(self, salt: bytes, blob: bytes, about: bytes) -> bytes:
        return self.cipher.person(salt).decrypt(blob, about)

    def _keys(self) -> Table:
        return _sorted(
            (koppeling, entity, key, kind, self._name(core), digest if kind in _PLAIN_KEYS else b"")
            for koppeling, entity, key, kind, core, digest in self.work.execute(
                "SELECT koppeling_id, entity, source_key, kind, core_id, digest FROM match_key"
            )
        )

    def net_journal(self) -> Table:
        """The journal, its steps taken together by core record."""
        net: dict[tuple[str, str | None], dict[str, list[Any]]] = defaultdict(dict)
        for row in self._applied():
            change = json.loads(self._change(row[5], row[6], b"step|%s" % row[4]))
            told = net[row[0], self._name(row[3])]
            for key, (before, after) in change.items():
                told[key] = [told.get(key, [before])[0], after]
        return _sorted(
            (*who, key, json.dumps(pair))
            for who, told in net.items()
            for key, pair in told.items()
            if pair[0] != pair[1]
        )

    def _applied(self) -> list[Any]:
        return self.work.execute(
            "SELECT s.entity, s.source, s.op, s.core_id, s.digest, s.salt, s.change FROM step s "
            "JOIN plan p ON p.id = s.plan_id WHERE s.state = 'planned' AND p.applied ORDER BY s.id"
        )

    def _journal(self) -> Table:
        return _sorted(
            (*row[:3], self._name(row[3]), self._change(row[5], row[6], b"step|%s" % row[4]))
            for row in self._applied()
        )

    def _change(self, salt: bytes, blob: bytes, about: bytes) -> str:
        change = json.loads(self._open(salt, blob, about))
        named = {}
        for key, pair in change.items():
            head, _, last = key.rpartition("/")
            if key.startswith("groepsdeelname/"):
                key = f"{head}/{self._name(int(last))}"
            if key.endswith("_id"):
                pair = [self._name(value) for value in pair]
            named[key] = pair
        return json.dumps(named, sort_keys=True)

    def _accepted(self) -> Table:
        """What the core may use of every record."""
        rows = self.work.execute(
            "SELECT s.koppeling_id, s.scope_id, s.entity, s.source_key, s.accepted_fp, "
            "s.accepted_gone, s.id, r.salt, COALESCE(f.accepted, f.received) "
            "FROM shadow s JOIN shadow_form f ON f.shadow_id = s.id "
            "JOIN source_record r ON r.id = s.record_id "
            "WHERE s.accepted_fp IS NOT NULL"
        )
        return _sorted(
            (
                row[0],
                self.scopes[row[1]],
                *row[2:6],
                self._open(row[7], row[8], b"shadow|%d" % row[6]),
            )
            for row in rows
        )

    def _shadows(self) -> Table:
        rows = self.work.execute(
            "SELECT s.scope_id, s.entity, s.source_key, s.received_fp, s.received_gone, "
            "s.refused_fp, s.pending, s.first_on, s.observed_on, s.held_until, s.situation, s.id, "
            "r.salt, f.received FROM shadow s JOIN shadow_form f ON f.shadow_id = s.id "
            "JOIN source_record r ON r.id = s.record_id"
        )
        return _sorted(
            (self.scopes[row[0]], *row[1:11], self._open(row[12], row[13], b"shadow|%d" % row[11]))
            for row in rows
        )

    def _raw(self) -> Table:
        rows = self.work.execute(
            "SELECT r.scope_id, r.source_key, p.contract_fp, p.stored_on, r.id, r.salt, p.body "
            "FROM raw_payload p JOIN source_record r ON r.id = p.record_id"
        )
        return _sorted(
            (self.scopes[row[0]], *row[1:4], self._open(row[5], row[6], b"raw|%d" % row[4]))
            for row in rows
        )

    def _cases(self) -> Table:
        rows = self.work.execute(  # who is in quarantine is known from what was read
            "SELECT koppeling_id, kind, entity, source_key, state, rule, detail FROM zaak "
            "WHERE kind <> 'quarantine'"
        )
        return _sorted((*row[:6], len(json.loads(row[6]))) for row in rows)


def _sorted(rows: Iterable[Iterable[Any]]) -> Table:
    return sorted((tuple(row) for row in rows), key=repr)
