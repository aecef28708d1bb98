"""What no column can hold puts one record by, whatever mapping let it pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Integer

from config.errors import RecordError
from mappings.canonical.fields import Adres, Canonical, Entity, Kind
from mappings.canonical.onderwijs import Groep
from mappings.canonical.personen import Leerling
from mappings.canonical.schema import encode, fields_of
from sync_engine.bounds import check_bounds
from sync_engine.outcome import Outcome
from sync_engine.store import core_tables
from sync_engine.store.engine import Store
from tests.support.hubs import bench

LARGEST = 2**31 - 1


def _check(record: Canonical) -> None:
    check_bounds(record, encode(record))


def groep(leerjaar: int | None) -> Groep:
    return Groep(key="g", naam="3A", soort="stamgroep", leerjaar=leerjaar)


@pytest.mark.parametrize("number", [None, 0, -LARGEST, LARGEST])
def test_what_a_column_holds_passes(number: int | None) -> None:
    _check(groep(number))


@pytest.mark.parametrize("number", [LARGEST + 1, -LARGEST - 1, 3_000_000_000, 2**63])
def test_what_a_column_cannot_hold_is_refused_without_the_value(number: int) -> None:
    with pytest.raises(RecordError) as caught:
        _check(groep(number))
    assert (caught.value.path, caught.value.source_key) == ("leerjaar", "g")
    assert str(number) not in str(caught.value)


NUL = "Jan\x00sen"


@pytest.mark.parametrize(
    ("record", "path"),
    [
        (Leerling(key="l", achternaam=NUL), "achternaam"),
        (Leerling(key="l", achternaam="Zand", adres=Adres(straat=NUL)), "adres"),
        (Groep(key="g", naam="3A", soort="stamgroep", leerlingen=("l1", NUL)), "leerlingen"),
        (Leerling(key=NUL, achternaam="Zand"), "key"),
    ],
)
def test_text_with_a_nul_is_refused_without_the_text(record: Canonical, path: str) -> None:
    with pytest.raises(RecordError) as caught:
        _check(record)
    assert caught.value.path == path
    assert "Jan" not in str(caught.value)
    assert "\x00" not in str(caught.value.source_key)


def test_text_that_only_looks_like_a_nul_passes() -> None:
    _check(Leerling(key="l", achternaam="\\u0000"))


def test_a_record_with_a_nul_is_put_by_and_the_rest_goes_on(store: Store, tmp_path: Path) -> None:
    made = bench(store, tmp_path)
    source = made.sources["s0"]
    source.put(Entity.LEERLING, "l1", achternaam=NUL)
    source.put(Entity.LEERLING, "l2", achternaam="Zand")
    report = made.sync()
    assert (report.outcome, report.quarantine) == (Outcome.PARTIAL, 1)
    assert made.query("SELECT source_key, path FROM quarantine") == [("l1", "achternaam")]
    assert made.query("SELECT achternaam FROM leerling") == [("Zand",)]
    made.close()


def test_no_other_column_of_the_core_takes_a_whole_number_from_a_source() -> None:
    """Those of four bytes are our own run and tenant numbers, or are bounded."""
    for entity in Entity:
        bounded = {name for name, field in fields_of(entity).items() if field.kind is Kind.INTEGER}
        table = core_tables.CoreRow.metadata.tables[str(entity)]
        small = {column.name for column in table.columns if type(column.type) is Integer}
        assert small - {"tenant_id", "run_id"} == bounded


def test_one_such_record_is_put_by_and_the_rest_goes_on(store: Store, tmp_path: Path) -> None:
    made = bench(store, tmp_path)
    source = made.sources["s0"]
    source.put(Entity.GROEP, "g", naam="3A", soort="stamgroep", leerjaar=3_000_000_000)
    source.put(Entity.LEERLING, "l", achternaam="Zand")
    report = made.sync()
    assert (report.outcome, report.quarantine) == (Outcome.PARTIAL, 1)
    assert made.query("SELECT path FROM quarantine") == [("leerjaar",)]
    assert made.query("SELECT COUNT(*) FROM leerling") == [(1,)]
    made.close()
