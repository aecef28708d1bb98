"""Numbers that two records exchange, or that one takes of the other: a case, until it is mended."""

from __future__ import annotations

from fixtures.school.keys import synthetic_bsn
from mappings.canonical.fields import Entity
from sync_engine.options import Decision, Verdict
from sync_engine.options import Kind as RunKind
from tests.support.hubs import Bench
from tests.unit.sync_engine.conftest import Make

LEERLING = {"achternaam": "Jansen", "geboortedatum": "2012-03-04", "roepnaam": "Anna"}


def test_who_gets_the_number_of_another_is_a_case_and_not_that_other(make: Make) -> None:
    """A BSN typed over: two children of one source stay two, until the school mends it."""
    bench = make()
    for number, key in enumerate("ab", start=1):
        bench.sources["s0"].put(
            Entity.LEERLING, key, achternaam=f"Naam{number}", bsn=synthetic_bsn(number)
        )
    bench.sync()
    bench.sources["s0"].put(Entity.LEERLING, "a", achternaam="Naam1", bsn=synthetic_bsn(2))
    bench.sync()
    assert [row[3] for row in bench.cases()] == ["contradiction"]
    assert bench.core(Entity.LEERLING, "a") != bench.core(Entity.LEERLING, "b")
    bench.sources["s0"].put(Entity.LEERLING, "a", achternaam="Naam1", bsn=synthetic_bsn(1))
    bench.sync()
    assert bench.cases() == []
    assert bench.query("SELECT COUNT(*) FROM leerling") == [(2,)]


def twins(make: Make) -> Bench:
    """Two children of one birth date, each with a BSN and a leerlingnummer."""
    made = make(1)
    for key, name, number in (("a", "Anna", 1), ("b", "Bas", 2)):
        tell(made, key, name, bsn=number, leerlingnummer=f"10{number}")
    for number in range(9):
        made.sources["s0"].put(Entity.LEERLING, f"ander{number}", achternaam="Ander")
    made.sync()
    return made


def tell(made: Bench, key: str, name: str, *, bsn: int, leerlingnummer: str) -> None:
    said = {"roepnaam": name, "bsn": synthetic_bsn(bsn), "leerlingnummer": leerlingnummer}
    made.sources["s0"].put(Entity.LEERLING, key, **LEERLING | said)


def names(made: Bench) -> dict[str, str]:
    """Source key → the name that the core has."""
    rows = made.query(
        "SELECT l.source_key, c.roepnaam FROM leerling c JOIN link l ON l.core_id = c.id "
        "WHERE l.source_key IN ('a', 'b')"
    )
    return {row[0]: row[1] for row in rows}


def test_two_records_that_exchange_who_they_are_are_two_cases(make: Make) -> None:
    made = twins(make)
    tell(made, "a", "Bas", bsn=2, leerlingnummer="101")
    tell(made, "b", "Anna", bsn=1, leerlingnummer="102")
    for _ in range(3):
        assert made.sync().applied == {}
        made.later()
    assert made.cases() == [("s0", "leerling", key, "contradiction") for key in "ab"]
    assert names(made) == {"a": "Anna", "b": "Bas"}
    tell(made, "a", "Anna", bsn=1, leerlingnummer="101")  # the school mends it
    tell(made, "b", "Bas", bsn=2, leerlingnummer="102")
    assert made.sync().applied == {}
    assert made.cases() == []


def test_a_person_says_that_an_exchange_was_meant(make: Make) -> None:
    made = twins(make)
    tell(made, "a", "Bas", bsn=2, leerlingnummer="101")
    tell(made, "b", "Anna", bsn=1, leerlingnummer="102")
    made.sync()
    core = made.core(Entity.LEERLING, "a")
    decision = Decision(Verdict.LINK, Entity.LEERLING, "a", core_id=core, case_id=1)
    report = made.sync(kind=RunKind.DECIDE, decision=decision, operator="balie")
    assert (report.outcome, report.applied) == ("done", {"leerling.change": 1})
    assert made.sync().applied == {"leerling.change": 1}
    assert names(made) == {"a": "Bas", "b": "Anna"}
    assert made.cases() == []
    assert made.sync().applied == {}


def test_a_number_that_came_free_and_a_corrected_one_are_no_doubt(make: Make) -> None:
    made = twins(make)
    tell(made, "a", "Anna", bsn=2, leerlingnummer="101")  # had the other's until today
    tell(made, "b", "Bas", bsn=3, leerlingnummer="102")
    assert made.sync().applied == {"leerling.change": 2}
    tell(made, "a", "Anna", bsn=2, leerlingnummer="102")  # only the school's own numbers
    tell(made, "b", "Bas", bsn=3, leerlingnummer="101")
    assert made.sync().applied == {"leerling.change": 2}
    assert made.cases() == []
