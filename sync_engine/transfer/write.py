"""Write: the one transaction in which koppelingen change their tenant, set statements only.

Everything was computed before. Killed at any instruction, both tenants are as before or as after.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from config.guards import BRIN_LENGTH
from sync_engine.errors import RunActiveError
from sync_engine.herinrichtingen import read_changes
from sync_engine.sealed import sealed_columns
from sync_engine.store.work import Work
from sync_engine.transfer.kept import write_kept
from sync_engine.transfer.reseal import GOES
from sync_engine.transfer.sides import GOING, OWNED, Parting
from sync_engine.transfer.write_core import AT, HERE, JOINED, CoreWriter, columns, take
from sync_engine.vault import hold

_MEANWHILE: Final = (
    "Er is intussen iets van deze koppelingen geschreven. Er is niets verhuisd: "
    "draai de opdracht opnieuw."
)


class Writer:
    """Writes one parting from what stands in the temporary tables."""

    def __init__(
        self,
        work: Work,
        parting: Parting,
        *,
        operator: str,
        now: datetime,
        issuers: Mapping[int, int],
    ) -> None:
        self.work, self.parting, self.operator, self.now = work, parting, operator, now
        self._issuers = issuers

    def write(self, counts: dict[str, int]) -> None:
        """All of it, within the transaction that is open.

        Args:
            counts: `table.column` → values that were prepared.

        Raises: RunActiveError if anything was written since then.
        """
        for tenant in sorted((self.parting.old, self.parting.new)):
            hold(self.work, tenant)
        self._check(counts)
        CoreWriter(self.work, self.parting, issuers=self._issuers).write()
        self._said(counts)
        self._links()
        self._decisions()
        self._plans()
        self._estrange()
        write_kept(self.work, self.parting, now=self.now)
        self._marks()
        self._herinrichtingen()
        self.work.execute(
            f"UPDATE koppeling SET tenant_id = ? WHERE id IN {GOING}", (self.parting.new,)
        )
        self._meet()

    def _check(self, counts: dict[str, int]) -> None:
        """What is prepared is what stands there now: an inbox takes messages at any time."""
        for sealed in sealed_columns():
            query = sealed.rows("COUNT(*)", f"AND {GOES[sealed.table]}")
            if self.work.execute(query, (self.parting.old,))[0][0] != counts[sealed.name]:
                raise self._changed(sealed.name)

    @staticmethod
    def _changed(name: str) -> RunActiveError:
        return RunActiveError(f"{name}: was written since", advice=_MEANWHILE)

    # -- what sources said -------------------------------------------------------------------------

    def _said(self, counts: dict[str, int]) -> None:
        work = self.work
        for sealed in sealed_columns():
            if sealed.table not in {"identificatie", "pin", "outbox", "quarantine", "step"}:
                take(work, sealed.table, sealed.column)
                if work.changes != counts[sealed.name]:
                    raise self._changed(sealed.name)
        told = (
            "COALESCE((SELECT p.after FROM t_print p WHERE p.shadow_id = {0} "
            "AND p.before = {1} LIMIT 1), {1})"
        )
        sets = ", ".join(
            f"{name} = {told.format('shadow.id', name)}"
            for name in ("received_fp", "accepted_fp", "refused_fp")
        )
        work.execute(f"UPDATE shadow SET {sets} WHERE koppeling_id IN {GOING}")
        work.execute(
            f"UPDATE former_form SET accepted_fp = {told.format('shadow_id', 'accepted_fp')} "
            f"WHERE shadow_id IN (SELECT id FROM shadow WHERE koppeling_id IN {GOING})"
        )
        scopes = f"(SELECT id FROM scope WHERE koppeling_id IN {GOING})"
        work.execute(  # what the archive does not hold any more is mapped again when it is read
            "UPDATE source_record SET raw_fp = COALESCE((SELECT r.after FROM t_raw r "
            "WHERE r.record_id = source_record.id AND r.before = source_record.raw_fp LIMIT 1), ?) "
            f"WHERE scope_id IN {scopes}",
            (b"",),
        )
        records = f"(SELECT id FROM source_record WHERE scope_id IN {scopes})"
        for table, column, where in (
            ("contract", "fingerprint", f"scope_id IN {scopes}"),
            ("scope", "contract_fp", f"koppeling_id IN {GOING}"),
            ("raw_payload", "contract_fp", f"record_id IN {records}"),
        ):
            work.execute(
                f"UPDATE {table} SET {column} = COALESCE((SELECT c.after FROM t_contract c "
                f"WHERE c.before = {table}.{column}), {column}) WHERE {where}"
            )
        self._quarantine()
        for digests in ("m_inbox_body", "t_deletion"):
            key = "k_id" if digests == "m_inbox_body" else "id"
            work.execute(
                f"UPDATE inbox SET digest = m.digest FROM {digests} m WHERE m.{key} = inbox.id"
            )

    def _quarantine(self) -> None:
        """A record without a key is named by its fingerprint, and so is its case."""
        work = self.work
        work.execute(
            "UPDATE zaak SET source_key = m.source_key FROM m_quarantine_body m "
            "JOIN quarantine q ON q.id = m.k_id JOIN scope p ON p.id = q.scope_id "
            "WHERE zaak.koppeling_id = p.koppeling_id AND zaak.kind = 'quarantine' "
            "AND zaak.source_key = q.source_key AND m.source_key <> q.source_key"
        )
        work.execute(
            "UPDATE quarantine SET body = m.after, source_key = m.source_key, raw_fp = m.raw_fp "
            "FROM m_quarantine_body m WHERE m.k_id = quarantine.id AND m.before = quarantine.body"
        )

    # -- who is who --------------------------------------------------------------------------------

    def _part_from(self) -> None:
        """Who only adds to a record that is on the other side waits for whom it is of."""
        work = self.work
        work.execute(
            "INSERT INTO t_lost SELECT l.koppeling_id, l.entity, l.source_key, l.core_id FROM link "
            "l JOIN koppeling k ON k.id = l.koppeling_id LEFT JOIN t_core t "
            f"ON t.core_id = l.core_id WHERE k.adds AND CASE WHEN l.koppeling_id IN {GOING} "
            "THEN t.b_id IS NULL ELSE t.core_id IS NOT NULL AND t.a_id IS NULL END"
        )
        lost = "(koppeling_id, entity, source_key) IN (SELECT koppeling_id, entity, source_key {})"
        lost = lost.format("FROM t_lost")
        work.execute(
            "UPDATE shadow_form SET accepted = NULL WHERE shadow_id IN "
            f"(SELECT id FROM shadow WHERE {lost})"
        )
        work.execute(
            "UPDATE shadow SET accepted_fp = NULL, accepted_gone = false, accepted_run = NULL, "
            f"accepted_held = NULL, situation = 'unmatched', pending = true WHERE {lost}"
        )
        for table in ("link", "former_link", "match_key"):
            work.execute(f"DELETE FROM {table} WHERE {lost}")
        work.execute(
            "DELETE FROM identificatie WHERE (eigenaar_id, uitgever) IN "
            "(SELECT core, koppeling_id FROM t_lost)"
        )

    def _links(self) -> None:
        self._part_from()
        work = self.work
        work.execute(
            "INSERT INTO t_match SELECT DISTINCT n.after, m.koppeling_id, m.source_key, m.entity, "
            "m.kind, t.b_id FROM t_key n JOIN match_key m ON m.digest = n.before "
            "AND m.koppeling_id = n.koppeling_id AND m.source_key = n.source_key "
            "AND m.entity = n.entity JOIN t_core t ON t.core_id = m.core_id"
        )
        nodes = "(koppeling_id, entity, source_key)"
        work.execute(  # a key of a form that is no more is made again by the next run
            "UPDATE shadow SET pending = true WHERE accepted_fp IS NOT NULL AND refused_fp IS NULL "
            f"AND koppeling_id IN {GOING} AND {nodes} IN "
            "(SELECT m.koppeling_id, m.entity, m.source_key FROM match_key m "
            f"WHERE m.koppeling_id IN {GOING} AND NOT EXISTS (SELECT 1 FROM t_key n "
            "WHERE n.before = m.digest AND n.koppeling_id = m.koppeling_id "
            "AND n.entity = m.entity AND n.source_key = m.source_key))"
        )
        work.execute(f"DELETE FROM match_key WHERE koppeling_id IN {GOING}")
        names = "digest, koppeling_id, source_key, entity, kind, core_id"
        work.execute(
            f"INSERT INTO match_key ({names}) SELECT {names} FROM t_match WHERE true "
            "ON CONFLICT DO NOTHING"
        )
        for table in ("link", "former_link"):
            for side, which in (("b", "IN"), ("a", "NOT IN")):
                work.execute(
                    f"UPDATE {table} SET core_id = (SELECT t.{side}_id FROM t_core t "
                    f"WHERE t.core_id = {table}.core_id) WHERE koppeling_id {which} {GOING} "
                    f"AND core_id IN (SELECT core_id FROM t_core WHERE {side}_id <> core_id)"
                )
        work.execute(
            "UPDATE match_key SET core_id = (SELECT t.a_id FROM t_core t "
            f"WHERE t.core_id = match_key.core_id) WHERE koppeling_id NOT IN {GOING} "
            "AND core_id IN (SELECT core_id FROM t_core WHERE a_id <> core_id)"
        )
        self._former()

    def _former(self) -> None:
        """What undo would bring back is of one tenant, or not brought back."""
        work = self.work
        known = "(SELECT b_id FROM t_core WHERE b_id IS NOT NULL)"
        work.execute(
            f"DELETE FROM former_link WHERE (koppeling_id IN {GOING} AND core_id NOT IN {known} "
            f"AND core_id NOT IN {OWNED}) OR (koppeling_id NOT IN {GOING} AND core_id IN {OWNED})"
        )
        ours = f"(SELECT id FROM run WHERE koppeling_id IN {GOING})"
        stays, goes = AT.format("a"), AT.format("b")
        rows = (
            "(SELECT f.run_id, f.member_id FROM former_member f "
            "JOIN t_member m ON m.id = f.member_id WHERE f.run_id {0} {1} AND NOT ({2}))"
        )
        for which, kept in (("IN", f"NOT {stays} AND {goes}"), ("NOT IN", stays)):
            work.execute(
                "DELETE FROM former_member WHERE (run_id, member_id) IN "
                + rows.format(which, ours, kept)
            )
        for side, which in (("b", "IN"), ("a", "NOT IN")):
            work.execute(
                f"UPDATE former_member SET groep_id = m.{side}_groep, "
                f"persoon_id = m.{side}_persoon FROM t_member m "
                f"WHERE m.id = former_member.member_id AND run_id {which} {ours}"
            )
        lost = "(groep_id IN {0} OR persoon_id IN {0}) AND member_id NOT IN {1}"
        members = "(SELECT id FROM t_member)"
        concerned = "(SELECT core_id FROM t_core)"
        work.execute(  # rows that are no more
            f"DELETE FROM former_member WHERE {lost.format(concerned, members)}"
        )

    def _decisions(self) -> None:
        """What a person decided holds where its record is; cases name who is there."""
        work = self.work
        became = "(SELECT a.survivor_id FROM alias a WHERE a.core_id = decision.core_id)"
        work.execute(
            f"UPDATE decision SET core_id = COALESCE({became}, core_id) "
            f"WHERE core_id IS NOT NULL AND (koppeling_id IN {GOING} OR core_id IN {OWNED})"
        )
        for side, which, lost in (
            ("b", "IN", "core_id NOT IN (SELECT b_id FROM t_core WHERE b_id IS NOT NULL)"),
            ("a", "NOT IN", "core_id IN (SELECT core_id FROM t_core WHERE a_id IS NULL)"),
        ):
            own = f"koppeling_id {which} {GOING}"
            work.execute(
                f"UPDATE decision SET core_id = (SELECT t.{side}_id FROM t_core t "
                f"WHERE t.core_id = decision.core_id) WHERE {own} "
                f"AND core_id IN (SELECT core_id FROM t_core WHERE {side}_id <> core_id)"
            )
            work.execute(
                "UPDATE decision SET lifted_at = COALESCE(lifted_at, ?), "
                "lifted_by = COALESCE(lifted_by, ?), core_id = NULL "
                f"WHERE {own} AND core_id IS NOT NULL AND {lost}",
                (self.now, self.operator),
            )
        work.execute(
            "UPDATE decision SET evidence = COALESCE((SELECT n.after FROM t_evidence n "
            "WHERE n.koppeling_id = decision.koppeling_id AND n.entity = decision.entity "
            "AND n.source_key = decision.source_key AND n.before = decision.evidence LIMIT 1), ?) "
            f"WHERE evidence IS NOT NULL AND koppeling_id IN {GOING}",
            (b"",),
        )
        work.execute("UPDATE zaak SET detail = n.detail FROM t_case n WHERE n.id = zaak.id")
        work.execute(
            f"UPDATE zaak SET tenant_id = ? WHERE koppeling_id IN {GOING}", (self.parting.new,)
        )

    # -- plans and the journal ---------------------------------------------------------------------

    def _plans(self) -> None:
        """A plan goes with its koppeling; what its journal tells of the other side has its own."""
        work, (old, new) = self.work, (self.parting.old, self.parting.new)
        work.execute("DELETE FROM step WHERE id IN (SELECT id FROM t_void)")
        ours = f"(SELECT id FROM run WHERE koppeling_id IN {GOING})"
        names = ", ".join(columns("plan", without=("id", "tenant_id", "counts", "held")))
        goes = "s.id IN (SELECT id FROM t_step)"
        for tenant, run, step in ((new, "NOT IN", goes), (old, "IN", f"NOT {goes}")):
            rows = work.execute(
                f"SELECT DISTINCT p.id FROM plan p JOIN step s ON s.plan_id = p.id "
                f"WHERE p.tenant_id = ? AND p.run_id {run} {ours} AND {step} ORDER BY p.id",
                (old,),
            )
            for (plan_id,) in rows:
                made = work.execute(
                    f"INSERT INTO plan (tenant_id, counts, held, {names}) "
                    f"SELECT CAST(? AS INTEGER), '{{}}', '[]', {names} FROM plan WHERE id = ? "
                    "RETURNING id",
                    (tenant, plan_id),
                )
                work.execute(
                    "INSERT INTO t_plan (plan_id, twin_id, goes) VALUES (?, ?, ?)",
                    (plan_id, made[0][0], tenant == new),
                )
        work.execute(
            "UPDATE step SET plan_id = n.twin_id FROM t_plan n WHERE n.plan_id = step.plan_id "
            "AND n.goes = (step.id IN (SELECT id FROM t_step))"
        )
        twins = "(SELECT twin_id FROM t_plan)"
        work.execute(
            f"UPDATE plan SET tenant_id = ? WHERE run_id IN {ours} AND tenant_id = ? "
            f"AND id NOT IN {twins}",
            (new, old),
        )
        work.execute(
            "UPDATE step SET change = m.after, digest = m.digest FROM m_step_change m "
            "WHERE m.k_id = step.id"
        )

    def _estrange(self) -> None:
        """No run of one tenant brings back or takes away what is of the other by now."""
        work, old = self.work, (self.parting.old,)
        ours = f"(SELECT id FROM run WHERE koppeling_id IN {GOING})"
        theirs = (
            f"(SELECT id FROM koppeling WHERE tenant_id = {self.parting.old:d} "
            f"AND id NOT IN {GOING})"
        )
        shadows = f"(SELECT id FROM shadow WHERE koppeling_id IN {GOING})"
        work.execute(
            f"DELETE FROM former_form WHERE (shadow_id IN {shadows} AND run_id NOT IN {ours}) "
            f"OR (run_id IN {ours} AND shadow_id NOT IN {shadows})"
        )
        for owners, which in ((GOING, "NOT IN"), (theirs, "IN")):
            work.execute(
                f"DELETE FROM former_link WHERE koppeling_id IN {owners} AND run_id {which} {ours}"
            )
            work.execute(
                f"UPDATE shadow SET accepted_run = NULL WHERE koppeling_id IN {owners} "
                f"AND accepted_run {which} {ours}"
            )
            work.execute(
                f"UPDATE link SET run_id = 0 WHERE koppeling_id IN {owners} "
                f"AND run_id {which} {ours}"
            )
        staying = "(SELECT id FROM groep WHERE tenant_id = ?)"
        for groups, which, params in ((HERE, "NOT IN", ()), (staying, "IN", old)):
            concerned = f"groep_id IN {groups} AND run_id {which} {ours}"
            work.execute(f"UPDATE groepsdeelname SET run_id = 0 WHERE {concerned}", params)
            work.execute(f"DELETE FROM former_member WHERE {concerned}", params)
        work.execute(
            f"UPDATE alias SET run_id = 0 WHERE (core_id IN {OWNED} AND run_id NOT IN {ours}) "
            f"OR (core_id NOT IN {OWNED} AND run_id IN {ours})"
        )

    # -- what remains to be done -------------------------------------------------------------------

    def _marks(self) -> None:
        """Who became two, or one again, is folded again on either side."""
        work, (old, new) = self.work, (self.parting.old, self.parting.new)
        work.execute(f"DELETE FROM refold WHERE core_id IN {JOINED}")
        work.execute(f"UPDATE refold SET tenant_id = ? WHERE core_id IN {OWNED}", (new,))
        changed = "(split OR b_id <> core_id)"
        for side, tenant in (("a", old), ("b", new)):
            work.execute(
                "INSERT INTO refold (core_id, tenant_id, entity, reason) "
                f"SELECT {side}_id, CAST(? AS INTEGER), entity, 'transfer' FROM t_core "
                f"WHERE {changed} AND {side}_id IS NOT NULL ON CONFLICT (core_id) DO NOTHING",
                (tenant,),
            )
        for name in ("nummers/{}", "mapping of koppeling {}"):
            for number in self.parting.koppelingen:
                work.execute(
                    "DELETE FROM fold_input WHERE tenant_id = ? AND name = ?",
                    (old, name.format(number)),
                )
        work.execute(
            "INSERT INTO fold_input (tenant_id, name, fingerprint) "
            "SELECT tenant_id, name, fingerprint FROM t_input WHERE true ON CONFLICT DO NOTHING"
        )

    def _herinrichtingen(self) -> None:
        """Numbers that changed are known where their schools are; of both, on either side."""
        work, (old, new) = self.work, (self.parting.old, self.parting.new)
        goes, stays = (
            {
                number[:BRIN_LENGTH] if brin else number
                for (listed,) in work.execute(
                    "SELECT DISTINCT s.brins FROM scope s JOIN koppeling k "
                    f"ON k.id = s.koppeling_id WHERE k.tenant_id = ? AND k.id {which} {GOING}",
                    (old,),
                )
                for number in msgspec.json.decode(listed, type=list[str])
                for brin in (False, True)
            }
            for which in ("IN", "NOT IN")
        )
        names = ", ".join(columns("herinrichting", without=("id", "tenant_id")))
        for number, text in work.execute(
            "SELECT id, changes FROM herinrichting WHERE tenant_id = ? ORDER BY id", (old,)
        ):
            told = {n for c in read_changes(text) for n in (c.number, c.becomes)}
            if told.isdisjoint(goes):
                continue
            if told.isdisjoint(stays):
                work.execute("UPDATE herinrichting SET tenant_id = ? WHERE id = ?", (new, number))
            else:
                work.execute(
                    f"INSERT INTO herinrichting (tenant_id, {names}) "
                    f"SELECT CAST(? AS INTEGER), {names} FROM herinrichting WHERE id = ?",
                    (new, number),
                )

    def _meet(self) -> None:
        """Who has an exact key of a record that the new tenant had is matched by the next run."""
        self.work.execute(
            "UPDATE shadow SET pending = true WHERE accepted_fp IS NOT NULL AND refused_fp IS NULL "
            f"AND koppeling_id IN {GOING} AND (koppeling_id, entity, source_key) IN "
            "(SELECT m.koppeling_id, m.entity, m.source_key FROM match_key m JOIN match_key o "
            "ON o.digest = m.digest AND o.entity = m.entity AND o.core_id <> m.core_id "
            "JOIN koppeling k ON k.id = o.koppeling_id WHERE k.tenant_id = ? "
            f"AND m.koppeling_id IN {GOING} AND o.koppeling_id NOT IN {GOING})",
            (self.parting.new,),
        )
