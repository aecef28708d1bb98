"""A bevoegd gezag leaves: everything of it goes, and of another nothing is touched."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import SQLModel

from config.errors import ConfigurationError
from config.fragments import to_toml
from config.settings import Settings
from mappings.canonical.fields import Entity
from sync_engine import pins
from sync_engine.errors import RunActiveError
from sync_engine.leaving import GOES, STAYS, leave
from sync_engine.store.engine import Store
from sync_engine.store.locks import lease
from sync_engine.store.work import Work
from tests.support.boards import NEW, OLD, Boards, boards, configuration
from tests.support.keeping import keeping
from tests.support.memory import MemorySource

SHARED = frozenset({"tenant", "audit", "audit_anchor", "id_block", "alembic_version"})


def source(seed: int) -> MemorySource:
    """A school with pupils, a groep and guardians."""
    made = MemorySource(tuple(Entity), scope_keys=("hoofd",))
    made.put(Entity.VESTIGING, "v", naam=f"Vestiging {seed}")
    for number in range(4):
        made.put(
            Entity.LEERLING,
            f"l{number}",
            achternaam=f"Naam{seed}{number}",
            geboortedatum=f"2010-01-{number + 1:02d}",
            leerlingnummer=f"{seed}{number:03d}",
        )
    made.put(
        Entity.GROEP, "g", naam="1A", soort="stamgroep", leerlingen=[f"l{n}" for n in range(4)]
    )
    return made


@pytest.fixture
def two(store: Store, tmp_path: Path) -> Iterator[Boards]:
    """Two boards; the new one came later and has all that a board can have."""
    sources = {"a": source(1), "b": source(2)}
    with boards(store, tmp_path, {"a": OLD, "b": NEW}, sources) as made:
        yield made


@pytest.fixture
def quick(sqlite_store: Store, tmp_path: Path) -> Iterator[Boards]:
    """The same on SQLite alone, for what is no matter of the database."""
    sources = {"a": source(1), "b": source(2)}
    with boards(sqlite_store, tmp_path, {"a": OLD, "b": NEW}, sources) as made:
        yield made


def live(two: Boards, name: str) -> None:
    """Some nights of one koppeling: pupils leave, change, and are broken."""
    bench = two.made
    two.nights(name, rounds=1)
    bench.sources[name].remove(Entity.LEERLING, "l3")
    bench.sources[name].put(Entity.LEERLING, "l0", achternaam="Anders", leerlingnummer="9999")
    two.nights(name)
    person: dict[str, Any] = {"reason": "test", "operator": "test"}
    core_id = bench.core(Entity.LEERLING, "l1", name)
    pins.pin(bench.hub, core_id, field="roepnaam", value="P", entity=Entity.LEERLING, **person)
    keeping(bench, name).fill(core_id)
    two.nights(name, rounds=1)


def without(two: Boards, tenant: str) -> None:
    """Ops takes a board out of the configuration; the hub is opened anew."""
    two.tenants = {name: of for name, of in two.tenants.items() if of != tenant}
    tables = tomllib.loads(configuration(two.tenants))
    tables["tenant"] = [one for one in tables["tenant"] if one["name"] != tenant]
    path = two.folder / "koppelhub.toml"
    path.write_text(to_toml(tables), encoding="utf-8")
    policy = two.made.hub.settings.policy
    settings = Settings.load(path, env={}).model_copy(update={"policy": policy})
    two.made.hub = replace(two.made.hub, settings=settings)


def test_every_table_goes_or_is_known_to_stay() -> None:
    """A new table fails here until leaving.py knows it."""
    listed = [table for table, _ in GOES]
    assert len(set(listed)) == len(listed)
    assert set(listed) | STAYS == set(SQLModel.metadata.tables)
    assert not set(listed) & STAYS


def rest(two: Boards) -> dict[str, list[Any]]:
    """All rows, but for the koppelingen that stand there before anything was read."""
    found = two.made.dump(without=SHARED)
    found["koppeling"] = [row for row in found["koppeling"] if row[2] == "a"]
    return found


def test_everything_of_it_goes_and_the_other_is_as_if_it_had_never_been(two: Boards) -> None:
    live(two, "a")
    before = rest(two)
    live(two, "b")
    assert rest(two) != before
    without(two, NEW)
    report = leave(two.made.hub, NEW, operator="jan", why="opgezegd")
    assert {"leerling", "tenant_key", "shadow", "pin", "koppeling"} <= set(report.rows)
    assert {"vault", "batch", "batch_person", "exchange"} <= set(report.rows)
    assert rest(two) == before
    assert two.made.query("SELECT name, title FROM tenant WHERE name = ?", NEW) == [(NEW, "")]
    assert two.made.query("SELECT action, why FROM audit ORDER BY id DESC LIMIT 1") == [
        ("tenant leave", "opgezegd")
    ]
    assert [run.steps for run in two.nights("a")] == [{}, {}]


def test_what_went_to_another_board_before_is_not_touched(two: Boards) -> None:
    live(two, "a")
    live(two, "b")
    two.move("a")
    two.nights("a")
    without(two, OLD)
    before = two.made.dump(without=SHARED)
    preview = leave(two.made.hub, OLD, operator="jan", why="", dry=True)
    assert "leerling" not in preview.rows
    leave(two.made.hub, OLD, operator="jan", why="leeg")
    after = two.made.dump(without=SHARED)
    changed = {table for table in before if before[table] != after[table]}
    assert changed <= set(preview.rows)
    for table in ("leerling", "identificatie", "core_salt", "shadow_form", "step", "run"):
        assert after[table] == before[table], table
    assert [run.steps for run in two.nights("a", "b")] == [{}] * 4


def test_a_preview_counts_and_removes_nothing(quick: Boards) -> None:
    live(quick, "b")
    without(quick, NEW)
    before = quick.made.dump(without=frozenset())
    preview = leave(quick.made.hub, NEW, operator="jan", why="", dry=True)
    assert quick.made.dump(without=frozenset()) == before
    assert leave(quick.made.hub, NEW, operator="jan", why="").rows == preview.rows
    assert leave(quick.made.hub, NEW, operator="jan", why="").rows == {}


def test_a_board_that_is_configured_or_under_way_stays(quick: Boards) -> None:
    live(quick, "b")
    before = quick.made.dump(without=frozenset())
    with pytest.raises(ConfigurationError, match="stands in the configuration"):
        leave(quick.made.hub, NEW, operator="jan", why="")
    without(quick, NEW)
    with pytest.raises(ConfigurationError, match="there is no tenant"):
        leave(quick.made.hub, "niemand", operator="jan", why="")
    (number,) = quick.made.query("SELECT id FROM koppeling WHERE name = 'b'")[0]
    with lease(quick.made.hub.store, f"koppeling-{number}"), pytest.raises(RunActiveError):
        leave(quick.made.hub, NEW, operator="jan", why="")
    assert quick.made.dump(without=frozenset()) == before


class Killed(BaseException):
    """The process ends here."""


def test_killed_anywhere_everything_is_there_or_nothing_is(
    quick: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(quick, "b")
    without(quick, NEW)
    before = quick.made.dump(without=frozenset())
    with quick.made.hub.store.work() as work:
        kind = type(work)
    plain, left = kind.execute, [0]

    def execute(work: Work, sql: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        if sql.startswith(("DELETE FROM", "UPDATE tenant", "COMMIT")):
            left[0] -= 1
            if left[0] == 0:
                raise Killed
        return plain(work, sql, params)

    for place in (1, 2, len(GOES) // 2, len(GOES), len(GOES) + 1, len(GOES) + 2):
        left[0] = place
        with monkeypatch.context() as patch:
            patch.setattr(kind, "execute", execute)
            with pytest.raises(Killed):
                leave(quick.made.hub, NEW, operator="jan", why="")
        assert quick.made.dump(without=frozenset()) == before, place
    assert leave(quick.made.hub, NEW, operator="jan", why="").rows
