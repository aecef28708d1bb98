"""No statement of a run goes over a whole table that grows with the school.

SQLite's own answer to EXPLAIN QUERY PLAN, statement by statement, without the statistics that a
database of its own does not have. It does not depend on how many rows there are.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mappings.canonical.fields import Entity
from sync_engine.drift import drift
from sync_engine.health import health
from sync_engine.runs import Kind, Options
from sync_engine.store.engine import Store
from sync_engine.store.sqlite import SqliteWork
from sync_engine.store.work import Row
from tests.support.hubs import Bench, bench
from tests.support.memory import MemorySource

LARGE = frozenset({"shadow", "shadow_form", "link", "match_key", "source_record", "leerling"})

# Where all of one koppeling or one scope is what was asked for: in the words of the statement.
WHOLE = (
    "SELECT COUNT(*) FROM link",  # guard: how many are known, where a person is told
    "FROM link WHERE koppeling_id = ? AND entity = ? LIMIT",  # guard: whether so many are known
    "CROSS JOIN groepsdeelname d WHERE l.koppeling_id = ?",  # guard: how many members are known
    "SELECT entity, COUNT(*) FROM link",  # situations: once at the end of a whole run
    "SELECT COUNT(*) FROM groepsdeelname",  # of a school that has a threshold of its own
    "SELECT MAX(id) FROM source_record WHERE scope_id = ?",  # the last entry of an index
    "FROM v_record WHERE scope_id = ? AND NOT gone",  # absence, after a complete reading
    "LIMIT 1",
    "'policy' FROM link",  # another policy: everything is folded again
    "FROM source_record r",  # a scope that ended: what leaned on it
    "SELECT c.id FROM leerling c",  # diff: who of the whole tenant this source does not hold
)
WIDE = frozenset(
    {"koppeling_id=?", "koppeling_id=? AND entity=?", "scope_id=?", "entity=?", "tenant_id=?"}
)

_EXPLAINED = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
_STEP = re.compile(
    r"(SCAN|SEARCH) (\w+)(?: USING .*?(?:INDEX (\w+)|KEY))?(?: \((.*?)\))?(?: LEFT-JOIN)?$"
)
_NAMED = re.compile(
    r"\b(?:FROM|JOIN|UPDATE|INTO)\s+(shadow_form|shadow|link|match_key|source_record|leerling)\b"
    r"(?:\s+(?:AS\s+)?(?!SET\b|WHERE\b|ON\b|SELECT\b|CROSS\b|JOIN\b|LEFT\b|USING\b)(\w+))?",
    re.IGNORECASE,
)


class Watch:
    """Every statement of a connection, with how SQLite would go about it.

    Attributes:
        seen: statement → steps of its plan; asked about once, or each time that it reads a view,
            for those are others in a dry run.
    """

    def __init__(self) -> None:
        self.seen: dict[str, list[str]] = {}

    def ask(self, connection: sqlite3.Connection, sql: str, params: Sequence[object]) -> None:
        if _EXPLAINED.match(sql) and ("v_" in sql or sql not in self.seen):
            rows = connection.execute(f"EXPLAIN QUERY PLAN {sql}", params).fetchall()
            steps = self.seen.setdefault(sql, [])
            steps += [str(row[3]) for row in rows if str(row[3]) not in steps]

    def slow(self) -> list[str]:
        """Statements that go over all of a large table, and the step that does."""
        return [
            f"{step}: {' '.join(sql.split())}"
            for sql, steps in self.seen.items()
            for step in steps
            if _is_slow(step, sql)
        ]


def _is_slow(step: str, sql: str) -> bool:
    found = _STEP.match(step)
    if found is None:
        return False
    how, name, index, bounds = found.groups()
    names = {alias or table: table for table, alias in _NAMED.findall(sql)}
    names |= {"v_shadow": "shadow", "v_record": "source_record"}
    if names.get(name, name) not in LARGE or index == "ix_shadow_pending":
        return False
    if any(" ".join(words.split()) in " ".join(sql.split()) for words in WHOLE):
        return how == "SCAN" and "LIMIT 1" in sql
    return how == "SCAN" or bounds in WIDE


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    made = Watch()
    execute, rows = SqliteWork._execute, SqliteWork.rows

    def watched(self: SqliteWork, sql: str, params: Sequence[object] = ()) -> list[Row]:
        made.ask(self._connection, sql, params)
        return execute(self, sql, params)

    def watched_rows(self: SqliteWork, sql: str, params: Sequence[object] = ()) -> Iterator[Row]:
        made.ask(self._connection, sql, params)
        return rows(self, sql, params)

    monkeypatch.setattr(SqliteWork, "_execute", watched)
    monkeypatch.setattr(SqliteWork, "rows", watched_rows)
    return made


def play(made: Bench) -> None:
    """Two koppelingen and all that can befall a record; ends with nothing that waits."""
    first, second = made.sources["s0"], made.sources["s1"]
    for name, source in made.sources.items():
        source.put(Entity.VESTIGING, "v", "a", naam="Hoofd", vestigingsnummer="99XX00")
        for number in range(6):
            source.put(
                Entity.LEERLING,
                f"{name}-{number}",
                "a",
                achternaam=f"Naam{number}",
                roepnaam="Noor",
                geboortedatum=f"2012-01-0{number + 1}",
                leerlingnummer=str(number + 1),
            )
        members = [f"{name}-{number}" for number in range(6)]
        source.put(
            Entity.GROEP,
            "g",
            "a",
            naam="3A",
            soort="stamgroep",
            schooljaar="2026/2027",
            vestiging="v",
            leerlingen=members,
        )
        source.put(Entity.INSCHRIJVING, "i", "a", leerling=f"{name}-0", vestiging="v", leerjaar=3)
        source.put(Entity.TOETSRESULTAAT, "t", "a", leerling="nog niet", resultaat="7")
    made.sync("s0")
    made.sync("s1")
    made.sync("s1")
    first.put(Entity.LEERLING, "een", "a", achternaam="Een", bsn="999990019")
    second.put(Entity.LEERLING, "twee", "a", achternaam="Twee")
    made.sync("s0")
    made.sync("s1")
    second.put(Entity.LEERLING, "twee", "a", achternaam="Twee", bsn="999990019")
    made.sync("s1")
    assert made.query("SELECT COUNT(*) FROM alias") == [(1,)]
    assert made.cases()
    second.put(Entity.LEERLING, "nog niet", "b", achternaam="Later")
    first.put(Entity.GROEP, "g", "a", naam="3B", soort="stamgroep", vestiging="v", leerlingen=[])
    first.remove(Entity.LEERLING, "s0-5", "a")
    made.sync("s1")
    made.sync("s0", dry=True)
    made.sync("s0", kind=Kind.DELTA)
    made.later()
    first.put(Entity.LEERLING, "weg", "a", achternaam="Weg")
    made.sync("s0")
    second.scope_keys = ("a",)
    made.policy(guards={"change": {"share": None, "number": 1, "floor": 0}})
    for number in range(5):
        first.put(Entity.LEERLING, f"s0-{number}", "a", achternaam="Anders")
    made.settle("s0", "s1")
    held = made.sync("s0")
    assert held.held
    assert made.sync("s0", kind=Kind.APPLY, approved=held.plan_id).applied
    first.put(Entity.LEERLING, "kapot", "a", kapot=True)
    made.sync("s0")
    group = made.core(Entity.GROEP, "g")
    made.sync("s0", kind=Kind.ONLY, groups=(group,), dry=True)
    drift(made.hub, "s1", Options(dry=True), limit=1)
    made.mappings["memory"].version = "2"
    made.sync("s0", kind=Kind.REPLAY)


def test_no_statement_of_a_run_goes_over_a_whole_large_table(
    sqlite_store: Store, tmp_path: Path, watch: Watch
) -> None:
    sources = {
        name: MemorySource(tuple(Entity), scope_keys=("a", "b"), page_size=50)
        for name in ("s0", "s1")
    }
    made = bench(sqlite_store, tmp_path, sources=sources)
    play(made)
    asked = " ".join(watch.seen)
    for table in ("p_accept", "w_disputed", "w_vanished", "w_rekey", "w_alias", "match_key"):
        assert table in asked
    made.close()
    assert watch.slow() == []


def test_the_watch_sees_what_is_slow(sqlite_store: Store) -> None:
    watch = Watch()
    with sqlite_store.work() as work:
        assert isinstance(work, SqliteWork)
        for sql in (
            "SELECT s.situation FROM shadow s WHERE s.held_until IS NULL",
            "UPDATE link SET rule = '' WHERE rule = 'x'",
            "DELETE FROM match_key WHERE koppeling_id = 1",
            "UPDATE shadow_form SET accepted = NULL WHERE accepted IS NOT NULL",
            "SELECT received_fp FROM shadow WHERE koppeling_id = 1 AND entity = 'leerling'",
        ):
            watch.ask(work._connection, sql, ())
        assert len(watch.slow()) == 5
        watch.seen.clear()
        watch.ask(work._connection, "SELECT received_fp FROM shadow WHERE id = 1", ())
        assert not watch.slow()


GROWING = ("run", "reading", "event", "step", "plan", "shadow", "link", "source_record", "audit")


def test_health_goes_over_nothing_that_grows_with_time_or_school(
    watch: Watch, sqlite_store: Store, tmp_path: Path
) -> None:
    made = bench(
        sqlite_store, tmp_path, sources={name: MemorySource(tuple(Entity)) for name in ("s0", "s1")}
    )
    made.sync("s0")
    made.sync("s1")
    watch.seen.clear()
    health(made.hub)
    scans = [
        f"{step}: {' '.join(sql.split())}"
        for sql, steps in watch.seen.items()
        for step in steps
        for names in [{alias or table for table, alias in _TABLE.findall(sql) if table in GROWING}]
        if step.startswith("SCAN") and step.split()[1] in names
    ]
    made.close()
    assert len(watch.seen) > 10
    assert scans == []


_TABLE = re.compile(r"\b(?:FROM|JOIN)\s+([a-z_]+)\b(?:\s+(?!WHERE\b|ON\b|JOIN\b)([a-z])\b)?")
