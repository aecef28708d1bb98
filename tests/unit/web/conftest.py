"""Pages over a hub on sources in memory, on a real socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from config.operators import Role
from mappings.canonical.fields import Entity
from sync_engine.actor import Actor
from sync_engine.store.engine import Store
from tests.support.hubs import Bench, bench
from tests.support.seat import Visitor, visit

PETRA = Actor("petra", Role.HELPDESK, None, "10.0.0.4")
JAN = Actor("jan", Role.READ, None, "10.0.0.5")

Visit = Callable[..., Visitor]


@pytest.fixture
def make(store: Store, tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Makes a bench on each database."""
    made: list[Bench] = []

    def make(sources: Any = 1, **options: Any) -> Bench:
        made.append(bench(store, tmp_path, sources=sources, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def one(sqlite_store: Store, tmp_path: Path) -> Iterator[Bench]:
    """A bench with one source, on SQLite."""
    made = bench(sqlite_store, tmp_path)
    yield made
    made.close()


@pytest.fixture
def two(sqlite_store: Store, tmp_path: Path) -> Iterator[Bench]:
    """A bench with two sources of one board, on SQLite."""
    made = bench(sqlite_store, tmp_path, sources=2)
    yield made
    made.close()


@pytest.fixture
def seated() -> Iterator[Visit]:
    """Seats a person before the pages of a bench."""
    with ExitStack() as ends:

        def seat(made: Bench, actor: Actor | None = PETRA) -> Visitor:
            return ends.enter_context(visit(made.hub, actor))

        yield seat


def held(made: Bench) -> int:
    """A school of twelve of whom three would be closed, which the guard holds: its plan."""
    made.policy(guards={"close": {"share": None, "number": 3, "floor": 0}})
    source = made.sources["s0"]
    for number in range(12):
        source.put(Entity.LEERLING, f"l{number}", achternaam=f"Naam{number}", roepnaam="Kim")
    made.sync()
    for number in range(3):
        source.remove(Entity.LEERLING, f"l{number}")
    for _ in range(2):
        made.later()
        report = made.sync()
    assert report.plan_id is not None
    assert report.held == 3
    return report.plan_id


def open_pupils(made: Bench) -> int:
    """Pupils that are not closed."""
    return int(made.query("SELECT COUNT(*) FROM leerling WHERE geldig_tot IS NULL")[0][0])


def trail(made: Bench) -> list[tuple[str, str, str, str]]:
    """(operator, action, subject, origin) of every line of the audit trail."""
    return [
        (row[0], row[1], row[2], row[3])
        for row in made.query("SELECT operator, action, subject, origin FROM audit ORDER BY id")
    ]
