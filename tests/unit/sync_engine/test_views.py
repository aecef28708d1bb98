"""The read-only views answer on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from mappings.canonical.fields import Entity
from sync_engine.store.engine import Store
from tests.support.hubs import bench


@pytest.mark.parametrize("view", ["klassenlijst", "journal", "situatie"])
def test_a_view_can_be_read(store: Store, view: str) -> None:
    with store.work() as work:
        assert work.execute(f"SELECT * FROM {view}") == []


def test_a_groep_that_disappeared_has_no_klassenlijst(store: Store, tmp_path: Path) -> None:
    made = bench(store, tmp_path)
    source = made.sources["s0"]
    for key, name in (("l1", "Zand"), ("l2", "Dijk")):
        source.put(Entity.LEERLING, key, achternaam=name)
    for key in ("blijft", "ook", "nog", "weg"):
        source.put(Entity.GROEP, key, naam=key, soort="stamgroep", leerlingen=["l1", "l2"])
    made.sync()
    source.put(Entity.GROEP, "blijft", naam="blijft", soort="stamgroep", leerlingen=["l1"])
    source.remove(Entity.GROEP, "weg")
    made.settle()
    assert made.query("SELECT COUNT(*) FROM groep WHERE naam = 'weg' AND tot_afgeleid") == [(1,)]
    found = made.query("SELECT groep, achternaam FROM klassenlijst ORDER BY groep, achternaam")
    assert [row for row in found if row[0] == "weg"] == []
    assert [row for row in found if row[0] == "blijft"] == [("blijft", "Zand")]
    assert len(found) == 5
    made.close()


def test_every_source_record_has_exactly_one_situation(store: Store, tmp_path: Path) -> None:
    made = bench(store, tmp_path)
    source = made.sources["s0"]
    source.put(Entity.LEERLING, "goed", achternaam="Jansen")
    source.put(Entity.LEERLING, "stuk", achternaam="Jansen", kapot=True)
    source.put(Entity.LEERLING, "eerst goed", achternaam="Jansen")
    made.sync()
    source.put(Entity.LEERLING, "eerst goed", achternaam="Jansen", kapot=True)
    made.later()
    made.sync()
    found = made.query(
        "SELECT source_key, situation, core_id IS NULL FROM situatie ORDER BY source_key"
    )
    assert [tuple(row) for row in found] == [
        ("eerst goed", "quarantined", 0),
        ("goed", "unmatched", 0),
        ("stuk", "quarantined", 1),
    ]
    made.close()
