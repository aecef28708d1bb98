"""Who may act for one school of a board: what he sees, and what he may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from config.errors import KoppelhubError
from mappings.canonical.fields import Entity
from sync_engine.find import hub_key
from sync_engine.search import by_key, search
from sync_engine.store.engine import Store
from tests.support.pair import CANARY, Pair, pair


@pytest.fixture
def two(sqlite_store: Store, tmp_path: Path) -> Iterator[Pair]:
    with pair(sqlite_store, tmp_path) as made:
        yield made


def test_first(two: Pair) -> None:
    hub = two.seen_by("mies")
    with hub.store.work() as work:
        for table in (
            "leerling",
            "shadow",
            "zaak",
            "plan",
            "step",
            "pin",
            "decision",
            "quarantine",
        ):
            print(
                table,
                work.execute(f"SELECT COUNT(*) FROM {table}"),
                two.made.query(f"SELECT COUNT(*) FROM {table}"),
            )
        print(work.execute("SELECT id, achternaam FROM leerling"))
    print(two.mine, two.other)
    assert 0
