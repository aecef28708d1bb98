"""Whatever came and went: a purge removes exactly what is over its time, and touches nothing else.

What must go is worked out from what the sources did, over dictionaries: a core record is the set of
the source records that are one; it goes when each of them left long enough ago and everything that
refers to it goes too.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.canonical.fields import Entity
from sync_engine import purge
from sync_engine.store.engine import Store
from tests.property.stores import on_postgres, on_sqlite
from tests.property.test_convergence import NEVER_HELD, template
from tests.support.hubs import START, Bench, bench
from tests.support.memory import MemorySource
from tests.support.postgres import PostgresServer

__all__ = ["template"]

Node = tuple[str, str, str]  # source, entity, key
LONG = "20000d"
PERIODS = {"inschrijving": 600, "verzorger": 30}
PERIOD = 365
REMOVED = st.sampled_from([10, 200, 500, None])  # days after the beginning; None: it stays
ENTITIES = ("leerling", "verzorger", "groep", "inschrijving", "verzorger_relatie")
RECORDS = st.dictionaries(
    st.tuples(st.sampled_from(["s0", "s1"]), st.sampled_from(ENTITIES), st.integers(0, 2)),
    st.tuples(REMOVED, st.integers(0, 2), st.integers(0, 2), st.sets(st.integers(0, 2))),
    max_size=14,
)


def values(entity: str, number: int, one: int, other: int, members: set[int]) -> dict[str, Any]:
    """What a source says of one record."""
    match entity:
        case "leerling":
            eck = f"https://ketenid.nl/pilot/{str(number) * 128}"
            return {"achternaam": "Jansen", "eck_id": eck, "email": f"l{number}@x.example"}
        case "verzorger":
            return {"achternaam": "Ouder"}
        case "groep":
            keys = [f"leerling{n}" for n in sorted(members)]
            return {"naam": f"1{number}", "soort": "stamgroep", "leerlingen": keys}
        case "inschrijving":
            return {"leerling": f"leerling{one}"}
        case _:
            return {"verzorger": f"verzorger{one}", "leerling": f"leerling{other}"}


class History:
    """What two sources did."""

    def __init__(self, records: dict[Any, Any]) -> None:
        self.left: dict[Node, int | None] = {}
        self.said: dict[Node, dict[str, Any]] = {}
        for (source, entity, number), (removed, one, other, members) in records.items():
            node = (source, entity, f"{entity}{number}")
            self.left[node] = removed
            self.said[node] = values(entity, number, one, other, members)
        for node in [n for n in self.said if not self._refers_to_what_is(n)]:
            del self.left[node], self.said[node]

    def _refers_to_what_is(self, node: Node) -> bool:
        needed = [self.said[node].get(name) for name in ("leerling", "verzorger")]
        return all(key is None or (node[0], key.rstrip("012"), key) in self.said for key in needed)

    def core(self, node: Node) -> frozenset[Node]:
        """The source records that are one with it: pupils of one ECK iD."""
        if node[1] != "leerling":
            return frozenset({node})
        return frozenset(n for n in self.said if n[1:] == node[1:])

    def gone(self, day: int) -> set[Node]:
        """Every source record whose core record must be purged on that day."""
        old = {
            node
            for node, left in self.left.items()
            if left is not None and day - left > PERIODS.get(node[1], PERIOD)
        }
        while True:
            kept = {node for node in old if not self.core(node) <= old}
            for holder in self.said.keys() - old:
                for key in self._named(holder):
                    kept |= self.core((holder[0], key.rstrip("012"), key)) & old
            if not kept:
                return old
            old -= kept

    def _named(self, node: Node) -> list[str]:
        said = self.said[node]
        single = [said[name] for name in ("leerling", "verzorger") if name in said]
        return [*single, *said.get("leerlingen", ())]


def lived(made: Bench, history: History, *, until: int) -> None:
    """Let the sources do it, until that day."""
    made.policy(
        guards=NEVER_HELD,
        absence={"block_shrink": 1.0, "shrink_floor": 1000},
        retention={
            **dict.fromkeys(("raw_payload", "quarantine", "plan_values", "run", "journal"), LONG),
            "tombstone": f"{PERIOD}d",
            "entities": {name: f"{days}d" for name, days in PERIODS.items()},
        },
    )
    for (source, entity, key), said in history.said.items():
        made.sources[source].put(Entity(entity), key, **said)
    for memory in made.sources.values():
        for entity in ENTITIES:  # an empty reading closes nothing
            memory.put(Entity(entity), "anker", **_anchor(entity))
    made.settle(rounds=2)
    for day in [day for day in (10, 200, 500) if day < until]:
        made.clock.advance(START + timedelta(days=day) - made.clock.now())
        for (name, entity, key), left in history.left.items():
            if left == day:
                made.sources[name].remove(Entity(entity), key)
        made.settle(rounds=2)


def _anchor(entity: str) -> dict[str, Any]:
    if entity == "inschrijving":
        return {"leerling": "anker"}
    if entity == "verzorger_relatie":
        return {"verzorger": "anker", "leerling": "anker"}
    return {"achternaam": "Anker"} if entity != "groep" else {"naam": "A", "soort": "stamgroep"}


def holds(made: Bench, history: History, day: int) -> None:
    """Purge on that day, and compare."""
    lived(made, history, until=day)
    made.clock.advance(START + timedelta(days=day) - made.clock.now())
    before = made.dump(without=frozenset({"audit", "audit_anchor"}))
    names: dict[int, str] = dict(made.query("SELECT id, name FROM koppeling"))
    linked = {
        (names[k], entity, key): core_id
        for k, entity, key, core_id in made.query(
            "SELECT koppeling_id, entity, source_key, core_id FROM link"
        )
    }
    gone = history.gone(day)
    cores = {linked[node] for node in gone}
    purge.purge(made.hub, operator="test")
    after = made.dump(without=frozenset({"audit", "audit_anchor"}))
    for table in ("link", "shadow"):
        rows = made.query(f"SELECT koppeling_id, entity, source_key FROM {table}")
        assert {(names[k], entity, key) for k, entity, key in rows} == linked.keys() - gone, table
    for table, rows in after.items():
        left = [row for row in before[table] if row not in rows]
        come = [row for row in rows if row not in before[table]]
        if table == "step":
            assert len(rows) == len(before[table])
            assert {row[4] for row in come} <= cores
            continue
        assert not come, table
        if table in {"shadow_form", "former_form", "former_link", "former_member"}:
            continue
        for row in left:
            assert _belongs(table, row, cores, gone), (table, row)
    assert {row[0] for row in after["shadow_form"]} == {row[0] for row in after["shadow"]}
    stay = set(linked.values()) - cores
    present = {row[0] for e in ENTITIES for row in made.query(f"SELECT id FROM {e}")}
    assert present == stay
    made.settle(rounds=1)
    assert not any(report.steps for report in made.reports[-2:])


def _belongs(table: str, row: tuple[Any, ...], cores: set[int], gone: set[Node]) -> bool:
    """Whether a row that was removed is of a record that had to go."""
    if table in {"source_record", "shadow", "link", "match_key", "open_reference", "raw_payload"}:
        keys = {node[2] for node in gone}
        return table == "raw_payload" or any(value in keys for value in row)
    if table in ENTITIES or table in {"core_salt", "contactgegeven", "identificatie"}:
        return row[0] in cores
    return table == "groepsdeelname" and bool({row[1], row[3]} & cores)


def _play(
    stores: Callable[[], AbstractContextManager[Store]], records: dict[Any, Any], day: int
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="koppelhub-purge-"))
    try:
        with stores() as store:
            sources = {name: MemorySource(tuple(map(Entity, ENTITIES))) for name in ("s0", "s1")}
            made = bench(store, folder, sources=sources)
            try:
                holds(made, History(records), day)
            finally:
                made.close()
    finally:
        shutil.rmtree(folder)


DAY = st.sampled_from([100, 450, 700, 1150])


def test_a_purge_removes_exactly_what_is_over_its_time(template: Path) -> None:
    seen: list[int] = []

    @settings(max_examples=20)
    @given(records=RECORDS, day=DAY)
    def play(records: dict[Any, Any], day: int) -> None:
        seen.append(len(History(records).gone(day)))
        _play(lambda: on_sqlite(template), records, day)

    play()
    assert sum(count > 0 for count in seen) * 4 > len(seen)


@pytest.mark.postgres
def test_a_purge_removes_exactly_that_on_postgresql(postgres_server: PostgresServer) -> None:
    @settings(max_examples=3)
    @given(records=RECORDS, day=DAY)
    def play(records: dict[Any, Any], day: int) -> None:
        _play(lambda: on_postgres(postgres_server), records, day)

    play()
