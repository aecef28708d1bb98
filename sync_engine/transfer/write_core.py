"""Write core: the rows of the core tables that change their tenant, or stand in both after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlmodel import SQLModel

from mappings.canonical.fields import Entity
from sync_engine.rows import IDENTIFIER_COLUMNS
from sync_engine.sealed import sealed_columns
from sync_engine.store.work import Work
from sync_engine.transfer.reseal import new_column
from sync_engine.transfer.sides import GOING, OWNED, Parting, cuts, references

HERE: Final = (
    "(SELECT core_id FROM t_core WHERE b_id = core_id UNION ALL SELECT f.number FROM t_fresh f "
    "JOIN t_core t ON t.core_id = f.core_id WHERE NOT t.leaves)"
)
"""Numbers of the records that the new tenant gets rows of."""
JOINED: Final = "(SELECT core_id FROM t_core WHERE NOT split AND b_id <> core_id)"
"""Numbers of those that become one with a record that it has."""
AT: Final = "(m.{0}_groep IS NOT NULL AND m.{0}_persoon IS NOT NULL)"
"""Whether a membership stands on that side (a: the old tenant, b: the new one)."""


class CoreWriter:
    """Writes the core's side of one parting."""

    def __init__(self, work: Work, parting: Parting, *, issuers: Mapping[int, int]) -> None:
        self._work, self._parting, self._issuers = work, parting, issuers

    def write(self) -> None:
        """All of it, within the transaction that is open."""
        self._core()
        self._refer()
        self._parts()
        self._members()

    def _core(self) -> None:
        """Rows of the core; of those that are in both tenants now a second one."""
        work, (old, new) = self._work, (self._parting.old, self._parting.new)
        for entity in Entity:
            names = columns(str(entity), without=("id", "tenant_id"))
            work.execute(
                f"INSERT INTO {entity} (id, tenant_id, {', '.join(names)}) SELECT f.number, "
                "CASE WHEN t.leaves THEN CAST(? AS INTEGER) ELSE CAST(? AS INTEGER) END, "
                f"{', '.join(f'c.{name}' for name in names)} FROM t_fresh f "
                f"JOIN t_core t ON t.core_id = f.core_id JOIN {entity} c ON c.id = f.core_id",
                (old, new),
            )
            work.execute(
                f"UPDATE {entity} SET tenant_id = ? "
                "WHERE id IN (SELECT core_id FROM t_core WHERE entity = ? AND b_id = core_id)",
                (new, str(entity)),
            )
            work.execute(f"DELETE FROM {entity} WHERE id IN {JOINED}")
        work.execute(
            "INSERT INTO alias (core_id, survivor_id, entity, run_id) "
            f"SELECT core_id, b_id, entity, 0 FROM t_core WHERE core_id IN {JOINED}"
        )
        work.execute(
            "UPDATE alias SET survivor_id = (SELECT t.b_id FROM t_core t "
            f"WHERE t.core_id = alias.survivor_id) WHERE survivor_id IN {JOINED}"
        )

    def _refer(self) -> None:
        """No row refers to a record of another tenant."""
        work, (old, new) = self._work, (self._parting.old, self._parting.new)
        changed = "(SELECT core_id FROM t_core WHERE a_id IS NULL OR a_id <> core_id)"
        for entity in Entity:
            for column, _ in references(entity):
                there = f"(SELECT t.b_id FROM t_core t WHERE t.core_id = {entity}.{column})"
                for tenant, cut in zip((old, new), cuts(entity, column), strict=True):
                    work.execute(
                        "INSERT INTO refold (core_id, tenant_id, entity, reason) "
                        f"SELECT c.id, CAST(? AS INTEGER), '{entity}', 'transfer' {cut} "
                        "ON CONFLICT (core_id) DO NOTHING",
                        (tenant, old),
                    )
                work.execute(
                    f"UPDATE {entity} SET {column} = {there} "
                    f"WHERE id IN {HERE} AND {column} IS NOT NULL"
                )
                work.execute(
                    f"UPDATE {entity} SET {column} = (SELECT t.a_id FROM t_core t "
                    f"WHERE t.core_id = {entity}.{column}) "
                    f"WHERE tenant_id = ? AND {column} IN {changed}",
                    (old,),
                )

    def _parts(self) -> None:
        """Identifiers, contacts and addresses."""
        work = self._work
        for table in ("contactgegeven", "adres"):
            names = ", ".join(columns(table, without=("eigenaar_id",)))
            work.execute(
                f"INSERT INTO {table} (eigenaar_id, {names}) SELECT f.number, {names} "
                f"FROM t_fresh f JOIN {table} p ON p.eigenaar_id = f.core_id"
            )
            work.execute(f"DELETE FROM {table} WHERE eigenaar_id IN {JOINED}")
        work.execute(
            "UPDATE identificatie SET waarde = m.after, blindindex = m.blindindex, "
            "uitgever = m.uitgever "
            "FROM m_identificatie_waarde m WHERE m.k_eigenaar_id = identificatie.eigenaar_id "
            "AND m.k_soort = identificatie.soort AND m.k_uitgever = identificatie.uitgever"
        )
        work.execute(f"DELETE FROM identificatie WHERE eigenaar_id IN {JOINED}")
        for side, which in (("a", "IN"), ("b", "NOT IN")):  # numbers are their koppeling's
            work.execute(
                f"DELETE FROM identificatie WHERE uitgever <> 0 AND uitgever {which} {GOING} "
                f"AND eigenaar_id IN (SELECT core_id FROM t_core WHERE {side}_id = core_id)"
            )
        names = ", ".join(IDENTIFIER_COLUMNS)
        work.execute(f"INSERT INTO identificatie ({names}) SELECT {names} FROM t_number")
        work.execute("INSERT INTO core_salt (core_id, salt) SELECT core_id, salt FROM t_salt")
        self._pins()
        self._former_numbers()

    def _pins(self) -> None:
        work, (old, new) = self._work, (self._parting.old, self._parting.new)
        names = "entity, field, reason, operator, until, created_at"
        work.execute(
            f"INSERT INTO pin (tenant_id, core_id, value, {names}) "
            "SELECT CASE WHEN t.leaves THEN CAST(? AS INTEGER) ELSE CAST(? AS INTEGER) END, "
            f"n.core_id, n.value, {', '.join(f'p.{name}' for name in names.split(', '))} "
            "FROM t_pin n JOIN pin p ON p.id = n.id JOIN t_fresh f ON f.number = n.core_id "
            "JOIN t_core t ON t.core_id = f.core_id ORDER BY p.id",
            (old, new),
        )
        work.execute(f"UPDATE pin SET tenant_id = ? WHERE core_id IN {OWNED}", (new,))
        take(work, "pin", "value")
        work.execute(f"UPDATE outbox SET tenant_id = ? WHERE core_id IN {OWNED}", (new,))
        take(work, "outbox", "body")

    def _former_numbers(self) -> None:
        """Old numbers stand by their index alone; what the journal does not tell any more ends."""
        work = self._work
        self._twin_numbers()
        known = "EXISTS (SELECT 1 FROM t_index n WHERE n.before = former_number.blindindex)"
        work.execute(f"DELETE FROM former_number WHERE core_id IN {OWNED} AND NOT {known}")
        work.execute(
            "UPDATE former_number SET tenant_id = ?, blindindex = (SELECT n.after FROM t_index n "
            f"WHERE n.before = former_number.blindindex LIMIT 1) WHERE core_id IN {OWNED}",
            (self._parting.new,),
        )
        for old, new in self._issuers.items():
            work.execute(
                f"UPDATE former_number SET uitgever = ? WHERE uitgever = ? AND core_id IN {OWNED}",
                (new, old),
            )

    def _twin_numbers(self) -> None:
        """Who becomes two is found on either side by the old numbers of its koppelingen."""
        work, (old, new) = self._work, (self._parting.old, self._parting.new)
        cases = " ".join(f"WHEN {was:d} THEN {now:d}" for was, now in self._issuers.items())
        issuer = f"CASE f.uitgever {cases} ELSE f.uitgever END" if cases else "f.uitgever"
        named = ", ".join(f"{was:d}" for was in self._issuers) or "NULL"
        goes = f"(f.uitgever IN {GOING} OR f.uitgever IN ({named}))"
        rows = (
            "INSERT INTO former_number "
            "(core_id, soort, uitgever, run_id, tenant_id, blindindex, until) "
            "SELECT t.{0}_id, f.soort, {1}, f.run_id, CAST(? AS INTEGER), {2}, f.until "
            "FROM t_core t JOIN former_number f ON f.tenant_id = ? AND (f.core_id = t.core_id "
            "OR f.core_id IN (SELECT a.core_id FROM alias a WHERE a.survivor_id = t.core_id)) "
            "{3} WHERE t.split AND t.{0}_id <> t.core_id AND {4} ON CONFLICT DO NOTHING"
        )
        known = "JOIN t_index n ON n.before = f.blindindex"
        work.execute(rows.format("b", issuer, "n.after", known, goes), (new, old))
        stays = f"f.uitgever NOT IN {GOING}"
        work.execute(rows.format("a", "f.uitgever", "f.blindindex", "", stays), (old, old))

    def _members(self) -> None:
        """A membership is of one tenant; one across the border cannot be."""
        work = self._work
        stays, goes = AT.format("a"), AT.format("b")
        same = (
            "d.rol = groepsdeelname.rol AND d.groep_id = m.b_groep AND d.persoon_id = m.b_persoon "
            "AND ((NOT d.beeindigd AND NOT groepsdeelname.beeindigd) OR "
            "(d.beeindigd AND groepsdeelname.beeindigd "
            "AND COALESCE(d.geldig_van, '1000-01-01') = "
            "COALESCE(groepsdeelname.geldig_van, '1000-01-01')))"
        )
        listed = ("rol", "geldig_van", "geldig_tot", "tot_afgeleid", "beeindigd", "run_id")
        doubled = (
            f"SELECT 1 FROM t_member m JOIN groepsdeelname d ON {same} "
            "WHERE m.id = groepsdeelname.id AND d.id <> groepsdeelname.id"
        )
        work.execute(
            f"DELETE FROM groepsdeelname WHERE id IN (SELECT m.id FROM t_member m "
            f"WHERE NOT {stays} AND NOT {goes}) OR (id IN "
            f"(SELECT m.id FROM t_member m WHERE NOT {stays}) AND EXISTS ({doubled}))"
        )
        work.execute(
            f"INSERT INTO groepsdeelname (groep_id, persoon_id, {', '.join(listed)}) "
            f"SELECT m.b_groep, m.b_persoon, {', '.join(f'groepsdeelname.{n}' for n in listed)} "
            "FROM t_member m JOIN groepsdeelname ON groepsdeelname.id = m.id "
            f"WHERE {stays} AND {goes} AND NOT EXISTS "
            f"(SELECT 1 FROM groepsdeelname d WHERE {same})"
        )
        for side, which in (("a", stays), ("b", f"NOT {stays} AND {goes}")):
            work.execute(
                f"UPDATE groepsdeelname SET groep_id = m.{side}_groep, "
                f"persoon_id = m.{side}_persoon FROM t_member m "
                f"WHERE m.id = groepsdeelname.id AND {which}"
            )


def take(work: Work, table: str, column: str) -> None:
    """The values of a column as they become; `work.changes` tells of how many rows."""
    sealed = next(s for s in sealed_columns() if (s.table, s.column) == (table, column))
    same = " AND ".join(f"{table}.{name} = m.k_{name}" for name in sealed.key)
    work.execute(
        f"UPDATE {table} SET {column} = m.after FROM {new_column(sealed)} m "
        f"WHERE {same} AND {table}.{column} = m.before"
    )


def columns(table: str, *, without: tuple[str, ...]) -> list[str]:
    """The columns of a table of the store."""
    return [c.name for c in SQLModel.metadata.tables[table].columns if c.name not in without]
