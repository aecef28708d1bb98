"""What others, runs and messages keep by the keys of erased persons and of what is theirs."""

from __future__ import annotations

from typing import Final

import msgspec

from mappings.canonical.fields import Entity
from sync_engine.doubles import CASE
from sync_engine.hubkeys import hub_key
from sync_engine.outbox.message_cases import MESSAGE
from sync_engine.removal import Removal
from sync_engine.store.work import Work
from sync_engine.suppression import Suppressions

_NAMED: Final = "(SELECT koppeling_id, entity, source_key FROM k_named)"
_ERASED: Final = "(SELECT core_id FROM k_erased)"


class Elsewhere:
    """Takes it out, within the transaction that is open, while their links still stand.

    Args:
        work: its `k_erased` holds every core record that goes.
        tenant_id: of the persons.
        removal: counts what went.
    """

    def __init__(self, work: Work, tenant_id: int, *, removal: Removal) -> None:
        self._work, self._tenant_id, self._removal = work, tenant_id, removal
        columns = "koppeling_id INTEGER, entity TEXT, source_key TEXT"
        work.temp_table("k_named", columns, index=["(source_key)"])

    def remove(self) -> None:
        """All of it."""
        self._work.execute("DELETE FROM k_named")
        self._work.execute(
            "INSERT INTO k_named SELECT DISTINCT koppeling_id, entity, source_key FROM link "
            f"WHERE core_id IN {_ERASED}"
        )
        self._messages()
        self._taken_for_others()
        self._asked()

    def _messages(self) -> None:
        """What a program sent of what is theirs: its resources are named as entities."""
        self._removal.delete("inbox", f"(koppeling_id, resource, source_key) IN {_NAMED}")
        self._removal.delete(
            "kern_inbox",
            "id IN (SELECT i.id FROM kern_inbox i JOIN koppeling k ON k.name = i.koppeling "
            "JOIN k_named n ON n.koppeling_id = k.id AND n.entity = i.resource "
            "AND n.source_key = i.key)",
        )

    def _taken_for_others(self) -> None:
        """Of a record of theirs that was linked to somebody else for a while: his journal then."""
        self._removal.steps(
            "SELECT t.id FROM k_named n CROSS JOIN former_link f CROSS JOIN step t "
            "WHERE f.koppeling_id = n.koppeling_id AND f.entity = n.entity "
            f"AND f.source_key = n.source_key AND f.core_id NOT IN {_ERASED} "
            "AND t.core_id = f.core_id AND t.run_id BETWEEN f.since_run AND f.run_id"
        )
        self._removal.steps(
            "SELECT t.id FROM plan p CROSS JOIN step t WHERE p.tenant_id = ? "
            "AND t.plan_id = p.id AND (t.entity, t.source) IN (SELECT n.entity, "
            "k.name || '/' || n.source_key FROM k_named n JOIN koppeling k "
            "ON k.id = n.koppeling_id)",
            (self._tenant_id,),
        )
        self._removal.delete("former_link", f"(koppeling_id, entity, source_key) IN {_NAMED}")

    def decided(self, erased: Suppressions) -> None:
        """Runs name the record that a person decided of; after what was nobody's yet was swept."""
        work = self._work
        named = {tuple(row) for row in work.execute(_NAMED[1:-1])}
        for number, koppeling_id, options in work.execute(
            "SELECT r.id, r.koppeling_id, r.options FROM run r "
            "JOIN koppeling k ON k.id = r.koppeling_id "
            "WHERE k.tenant_id = ? AND r.kind = 'decide'",
            (self._tenant_id,),
        ):
            told = msgspec.json.decode(options)
            decision = told.get("decision") if isinstance(told, dict) else None
            if not isinstance(decision, dict):
                continue
            entity, key = decision.get("entity"), decision.get("source_key")
            if not (isinstance(entity, str) and isinstance(key, str) and key):
                continue
            known = (koppeling_id, entity, key) in named
            if known or erased.holds(Entity(entity), koppeling_id, key):
                decision["source_key"] = ""
                text = msgspec.json.encode(told).decode()
                work.execute("UPDATE run SET options = ? WHERE id = ?", (text, number))

    def _asked(self) -> None:
        """Cases that are kept by the key of the hub: of doubles, and of refused messages."""
        work, removal = self._work, self._removal
        work.temp_table("k_asked", "source_key TEXT PRIMARY KEY")
        ids = [row[0] for row in work.execute("SELECT core_id FROM k_erased")]
        keys = [(key,) for core_id in ids for key in (str(core_id), hub_key(core_id))]
        work.load("k_asked", ("source_key",), keys)
        cases = (
            "tenant_id = ? AND kind IN (?, ?) AND source_key IN (SELECT source_key FROM k_asked)"
        )
        asked = (self._tenant_id, CASE, MESSAGE)
        notes = f"case_id IN (SELECT id FROM zaak WHERE {cases})"
        removal.delete("zaak_notitie", notes, asked)
        removal.delete("zaak", cases, asked)
