"""Sides: which core record goes, which stays, and which is one record in each tenant from now on.

Works in temporary tables alone, set-based; an apply and its preview sort out by the same words.

`t_koppeling` are the koppelingen that go. `t_core` has every core record that is concerned: its
number in the old tenant (`a_id`) and in the new one (`b_id`), NULL where it is in the other alone.
`t_fresh` gives those that become two their second number. `t_owned` are the numbers that are the
new tenant's from now on, those that were merged into them included. `t_step` are the lines of the
journal that go; `t_void` the steps of plans that nobody can decide on any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mappings.canonical.fields import Entity, Kind
from mappings.canonical.schema import fields_of
from sync_engine.context import Ids
from sync_engine.project import required_references
from sync_engine.retention import ADDING
from sync_engine.store.work import Work

GOING: Final = "(SELECT id FROM t_koppeling)"
OWNED: Final = "(SELECT core_id FROM t_owned)"


@dataclass(frozen=True, slots=True)
class Parting:
    """Who parts from whom.

    Attributes:
        koppelingen: those that go, by number.
        whole: the old tenant has no others: all that it has goes.
    """

    old: int
    new: int
    koppelingen: Sequence[int]
    whole: bool


def references(entity: Entity) -> list[tuple[str, Entity]]:
    """Columns of an entity that name another core record, and of which entity."""
    return [
        (f"{name}_id", field.target)
        for name, field in fields_of(entity).items()
        if field.kind is Kind.REFERENCE and field.target is not None
    ]


def required(entity: Entity) -> list[tuple[str, Entity]]:
    """Those without which a record of it cannot be."""
    needed = {f"{name}_id" for name in required_references(entity)}
    return [(column, target) for column, target in references(entity) if column in needed]


def cuts(entity: Entity, column: str) -> tuple[str, str]:
    """FROM and WHERE of rows `c` whose reference would cross the border: that stay, and that go.

    Its parameter is the old tenant. A row that goes and one that stays may be one: of a record
    that becomes two either side is looked at.
    """
    return (
        f"FROM {entity} c JOIN t_core r ON r.core_id = c.{column} AND r.a_id IS NULL "
        "LEFT JOIN t_core o ON o.core_id = c.id WHERE c.tenant_id = ? "
        "AND (o.core_id IS NULL OR o.split)",
        f"FROM {entity} c JOIN t_core o ON o.core_id = c.id AND o.b_id = c.id "
        f"LEFT JOIN t_core r ON r.core_id = c.{column} WHERE c.tenant_id = ? "
        f"AND c.{column} IS NOT NULL AND r.core_id IS NULL",
    )


class Sides:
    """Sorts out one parting.

    Args:
        work: reads the store, under the locks of both tenants or in one snapshot.
        parting: who goes.
    """

    def __init__(self, work: Work, parting: Parting) -> None:
        self.work, self.parting = work, parting

    def sort_out(self, ids: Ids | None) -> None:
        """Fill the temporary tables.

        Args:
            ids: gives numbers to records that become two; in a preview, without it, they are
                negative.
        """
        self._tables()
        self._linked()
        if not self.parting.whole:
            self._torn()
        self._follow()
        self._counterparts()
        self._number(ids)
        self._owned()
        self._journal()

    def _tables(self) -> None:
        work = self.work
        work.temp_table("t_koppeling", "id INTEGER PRIMARY KEY")
        work.load("t_koppeling", ("id",), [(number,) for number in self.parting.koppelingen])
        work.temp_table(
            "t_core",
            "core_id BIGINT PRIMARY KEY, entity TEXT, split BOOLEAN, leaves BOOLEAN, "
            "other BIGINT, a_id BIGINT, b_id BIGINT",
        )
        work.execute("CREATE INDEX IF NOT EXISTS t_core_b ON t_core (b_id)")
        work.temp_table("t_owned", "core_id BIGINT PRIMARY KEY")
        work.temp_table("t_step", "id BIGINT PRIMARY KEY")
        work.temp_table("t_void", "id BIGINT PRIMARY KEY")
        work.temp_table("t_rest", "core_id BIGINT PRIMARY KEY")

    def _linked(self) -> None:
        """What a koppeling that goes says something of; all that there is where all go.

        Who only adds to records takes none along, and keeps none.
        """
        for entity in Entity:
            named = (
                ""
                if self.parting.whole
                else "AND EXISTS (SELECT 1 FROM link l WHERE l.core_id = c.id "
                f"AND l.koppeling_id IN {GOING} AND l.koppeling_id NOT IN {ADDING})"
            )
            self.work.execute(
                "INSERT INTO t_core (core_id, entity, split, leaves) "
                f"SELECT c.id, ?, false, true FROM {entity} c WHERE c.tenant_id = ? {named}",
                (str(entity), self.parting.old),
            )

    def _torn(self) -> None:
        """Of whom a koppeling that stays says something too: he becomes a record in each.

        The number goes along where he is at what goes alone by now; in doubt it stays.
        """
        work = self.work
        staying = (
            "SELECT 1 FROM link l {} WHERE l.core_id = t_core.core_id "
            f"AND l.koppeling_id NOT IN {GOING} AND l.koppeling_id NOT IN {ADDING} {{}}"
        )
        work.execute(f"UPDATE t_core SET split = true WHERE EXISTS ({staying.format('', '')})")
        alive = (
            "CROSS JOIN shadow s CROSS JOIN scope p WHERE l.core_id = t_core.core_id "
            "AND s.koppeling_id = l.koppeling_id AND s.entity = l.entity "
            "AND s.source_key = l.source_key AND p.id = s.scope_id AND p.ended_run IS NULL "
            "AND NOT p.adopted AND s.accepted_fp IS NOT NULL AND NOT s.accepted_gone"
        )
        there = (
            f"EXISTS (SELECT 1 FROM link l {alive} AND l.koppeling_id NOT IN {ADDING} "
            f"AND l.koppeling_id {{}} {GOING})"
        )
        work.execute(
            f"UPDATE t_core SET leaves = ({there.format('IN')} AND NOT {there.format('NOT IN')}) "
            "WHERE split"
        )

    def _follow(self) -> None:
        """Until nothing that is required is missing on either side."""
        changed = not self.parting.whole
        while changed:
            changed = False
            for entity in Entity:
                for column, target in required(entity):
                    changed |= self._unlinked(entity, column)
                    changed |= self._taken_along(entity, column, target)
                    changed |= self._left_behind(entity, column)

    def _unlinked(self, entity: Entity, column: str) -> bool:
        """What no source says goes where the record goes that it is of."""
        self.work.execute(
            "INSERT INTO t_core (core_id, entity, split, leaves) "
            f"SELECT c.id, ?, false, true FROM {entity} c JOIN t_core t ON t.core_id = c.{column} "
            "WHERE c.tenant_id = ? AND NOT t.split "
            "AND NOT EXISTS (SELECT 1 FROM link l WHERE l.core_id = c.id) "
            "AND NOT EXISTS (SELECT 1 FROM t_core o WHERE o.core_id = c.id)",
            (str(entity), self.parting.old),
        )
        return self.work.changes > 0

    def _taken_along(self, entity: Entity, column: str, target: Entity) -> bool:
        """What a record that goes cannot be without is there too."""
        self.work.execute(
            "INSERT INTO t_core (core_id, entity, split, leaves) "
            f"SELECT DISTINCT c.{column}, ?, true, false FROM {entity} c "
            f"JOIN t_core t ON t.core_id = c.id WHERE c.{column} IS NOT NULL "
            f"AND NOT EXISTS (SELECT 1 FROM t_core o WHERE o.core_id = c.{column})",
            (str(target),),
        )
        return self.work.changes > 0

    def _left_behind(self, entity: Entity, column: str) -> bool:
        """What a record that stays cannot be without stays too."""
        self.work.execute(
            "UPDATE t_core SET split = true WHERE NOT split AND EXISTS "
            f"(SELECT 1 FROM {entity} c LEFT JOIN t_core o ON o.core_id = c.id "
            f"WHERE c.{column} = t_core.core_id AND c.tenant_id = ? "
            "AND (o.core_id IS NULL OR o.split))",
            (self.parting.old,),
        )
        return self.work.changes > 0

    def _counterparts(self) -> None:
        """Who was one before with a record that the new tenant has becomes one with it again."""
        if not self.work.execute("SELECT 1 FROM counterpart LIMIT 1"):
            return
        for entity in Entity:
            self.work.execute(
                "UPDATE t_core SET other = (SELECT MIN(c.id) FROM (SELECT core_id, other_id "
                "FROM counterpart UNION ALL SELECT other_id, core_id FROM counterpart) p "
                f"JOIN {entity} c ON c.id = p.other_id WHERE p.core_id = t_core.core_id "
                "AND c.tenant_id = ?) WHERE entity = ?",
                (self.parting.new, str(entity)),
            )

    def _number(self, ids: Ids | None) -> None:
        """Give those that become two their second number."""
        work = self.work
        fresh = [
            row[0]
            for row in work.execute(
                "SELECT core_id FROM t_core WHERE split AND other IS NULL ORDER BY core_id"
            )
        ]
        work.temp_table("t_fresh", "core_id BIGINT PRIMARY KEY, number BIGINT")
        numbers = [-core_id for core_id in fresh] if ids is None else ids.take("core", len(fresh))
        work.load("t_fresh", ("core_id", "number"), list(zip(fresh, numbers, strict=True)))
        work.execute(
            "UPDATE t_core SET other = f.number, "
            "a_id = CASE WHEN leaves THEN f.number ELSE t_core.core_id END, "
            "b_id = CASE WHEN leaves THEN t_core.core_id ELSE f.number END "
            "FROM t_fresh f WHERE f.core_id = t_core.core_id"
        )
        work.execute(
            "UPDATE t_core SET a_id = CASE WHEN split THEN core_id END, "
            "b_id = COALESCE(other, core_id) WHERE a_id IS NULL AND b_id IS NULL "
            "AND (other IS NOT NULL OR NOT split)"
        )

    def _owned(self) -> None:
        work = self.work
        leaving = "(NOT split OR (leaves AND b_id = t.core_id))"
        work.execute(f"INSERT INTO t_owned SELECT core_id FROM t_core t WHERE {leaving}")
        work.execute(
            "INSERT INTO t_owned SELECT a.core_id FROM alias a JOIN t_core t "
            f"ON t.core_id = a.survivor_id WHERE {leaving} ON CONFLICT DO NOTHING"
        )

    def _journal(self) -> None:
        """The journal goes with its record; that of what is no more with its koppeling."""
        work, old = self.work, self.parting.old
        work.execute(
            "INSERT INTO t_rest SELECT DISTINCT s.core_id FROM run r JOIN plan p "
            "ON p.run_id = r.id JOIN step s ON s.plan_id = p.id "
            f"WHERE r.koppeling_id IN {GOING} AND s.core_id NOT IN {OWNED}"
        )
        here = " UNION ALL ".join(
            f"SELECT 1 FROM {entity} e WHERE e.id = t_rest.core_id" for entity in Entity
        )
        work.execute(
            f"DELETE FROM t_rest WHERE NOT EXISTS ({here} UNION ALL "
            "SELECT 1 FROM alias a WHERE a.core_id = t_rest.core_id)"
        )
        joined = "step s JOIN plan p ON p.id = s.plan_id LEFT JOIN run r ON r.id = p.run_id"
        goes = f"COALESCE(r.koppeling_id IN {GOING}, false)"
        work.execute(
            f"INSERT INTO t_step SELECT s.id FROM {joined} WHERE p.tenant_id = ? "
            f"AND (s.core_id IN {OWNED} OR ({goes} AND s.core_id NOT IN "
            "(SELECT core_id FROM t_rest)))",
            (old,),
        )
        work.execute(  # a plan of one tenant does nothing to a record of the other
            f"INSERT INTO t_void SELECT s.id FROM {joined} WHERE p.tenant_id = ? "
            "AND (NOT p.applied OR s.state <> 'planned') "
            f"AND {goes} <> (s.id IN (SELECT id FROM t_step))",
            (old,),
        )
        work.execute("DELETE FROM t_step WHERE id IN (SELECT id FROM t_void)")
