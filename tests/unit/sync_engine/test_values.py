"""Three values, retention, and quarantine."""

from __future__ import annotations

from typing import Any

import pytest

from mappings.canonical.fields import Entity
from mappings.canonical.schema import fields_of
from sync_engine.outcome import Outcome
from sync_engine.received import retain
from sync_engine.runs import Kind
from tests.support.hubs import Bench
from tests.unit.sync_engine.conftest import Make

ANNA = {"achternaam": "Jansen", "roepnaam": "Anna", "email": "anna@thuis.example"}
WITHOUT = frozenset(fields_of(Entity.LEERLING)) - {"roepnaam", "email"}


def pupil(make: Make, **values: Any) -> Bench:
    bench = make()
    bench.sources["s0"].put(Entity.LEERLING, "a", **ANNA, **values)
    bench.sync()
    return bench


def shown(bench: Bench) -> tuple[Any, Any]:
    names = bench.query("SELECT roepnaam FROM leerling")
    mail = bench.query("SELECT waarde FROM contactgegeven")
    return names[0][0], mail[0][0] if mail else None


def test_what_is_not_delivered_any_more_is_never_erased(make: Make) -> None:
    bench = pupil(make)
    bench.sources["s0"].fields["leerling"] = WITHOUT
    for _ in range(2):
        assert bench.sync().steps == {}
        assert shown(bench) == ("Anna", "anna@thuis.example")
    events = [row[0] for row in bench.query("SELECT kind FROM event")]
    assert events == ["contract changed"]


def test_what_is_delivered_as_empty_is_erased(make: Make) -> None:
    bench = pupil(make)
    bench.sources["s0"].put(Entity.LEERLING, "a", achternaam="Jansen", roepnaam=None)
    assert bench.sync().steps == {"leerling.change": 1}
    assert shown(bench) == (None, None)


def test_a_field_that_was_never_delivered_stays_empty(make: Make) -> None:
    bench = make()
    bench.sources["s0"].fields["leerling"] = WITHOUT
    bench.sources["s0"].put(Entity.LEERLING, "a", **ANNA)
    bench.sync()
    assert shown(bench) == (None, None)
    bench.sources["s0"].fields.clear()
    bench.sync()
    assert shown(bench) == ("Anna", "anna@thuis.example")


def test_a_record_that_changes_while_rights_are_narrow_keeps_the_rest(make: Make) -> None:
    bench = pupil(make)
    bench.sources["s0"].fields["leerling"] = WITHOUT
    bench.sources["s0"].put(Entity.LEERLING, "a", achternaam="De Vries")
    bench.sync()
    assert bench.query("SELECT achternaam FROM leerling") == [("De Vries",)]
    assert shown(bench) == ("Anna", "anna@thuis.example")
    bench.sources["s0"].fields.clear()
    bench.sync()
    assert shown(bench) == (None, None)


def test_a_kept_value_yields_to_one_that_is_still_delivered(make: Make) -> None:
    bench = make(2)
    eck = f"https://ketenid.nl/pilot/{'a' * 128}"
    for name, roepnaam in (("s0", "Anna"), ("s1", "Ans")):
        bench.sources[name].put(
            Entity.LEERLING, "a", achternaam="Jansen", roepnaam=roepnaam, eck_id=eck
        )
        bench.sync(name)
    assert bench.query("SELECT roepnaam FROM leerling") == [("Anna",)]
    bench.sources["s0"].fields["leerling"] = WITHOUT
    bench.sync("s0")
    assert bench.query("SELECT roepnaam FROM leerling") == [("Ans",)]


@pytest.mark.parametrize(
    ("new", "old", "kept"),
    [
        (b'{"a":1}', b'{"a":0}', b'{"a":1}'),
        (b'{"a":1}', b'{"b":2}', b'{"a":1,"b":2,"~":["b"]}'),
        (b'{"a":1}', b'{"b":2,"~":["b"]}', b'{"a":1,"b":2,"~":["b"]}'),
        (b'{"b":null}', b'{"b":2,"~":["b"]}', b'{"b":null}'),
    ],
)
def test_forms_keep_what_was_delivered_once(new: bytes, old: bytes, kept: bytes) -> None:
    assert retain(new, old) == kept


# -- quarantine ------------------------------------------------------------------------------------


def test_a_broken_record_is_set_apart_and_stops_no_other(make: Make) -> None:
    bench = pupil(make)
    source = bench.sources["s0"]
    source.put(Entity.LEERLING, "b", kapot=True)
    source.put(Entity.LEERLING, "c", achternaam="Bakker")
    report = bench.sync()
    assert (report.outcome, report.quarantine) == (Outcome.PARTIAL, 1)
    assert bench.query("SELECT source_key, path, rule FROM quarantine") == [
        ("b", "kapot", "is kapot")
    ]
    assert len(bench.query("SELECT id FROM leerling")) == 2


def test_a_required_field_that_is_missing_names_field_and_rule(make: Make) -> None:
    bench = make()
    bench.sources["s0"].put(Entity.LEERLING, "a", roepnaam="Anna")
    bench.sync()
    rows = bench.query("SELECT source_key, path FROM quarantine")
    assert rows == [("a", "achternaam")]
    assert not bench.query("SELECT id FROM leerling")


def test_a_known_record_that_breaks_keeps_what_it_was_and_counts_as_present(make: Make) -> None:
    bench = pupil(make)
    bench.sources["s0"].put(Entity.LEERLING, "a", kapot=True)
    bench.settle(rounds=3)
    assert shown(bench) == ("Anna", "anna@thuis.example")
    assert bench.query("SELECT geldig_tot FROM leerling") == [(None,)]


def test_quarantine_is_left_when_the_source_mends_the_record(make: Make) -> None:
    bench = make()
    bench.sources["s0"].put(Entity.LEERLING, "a", kapot=True)
    assert bench.sync().quarantine == 1
    assert bench.sync().quarantine == 1
    bench.sources["s0"].put(Entity.LEERLING, "a", **ANNA)
    report = bench.sync()
    assert (report.outcome, report.quarantine) == (Outcome.DONE, 0)
    assert shown(bench) == ("Anna", "anna@thuis.example")


def test_quarantine_is_tried_again_when_the_mapping_changes(make: Make) -> None:
    bench = make()
    bench.sources["s0"].fields["leerling"] = frozenset(fields_of(Entity.LEERLING)) - {"achternaam"}
    bench.sources["s0"].put(Entity.LEERLING, "a", **ANNA)
    assert bench.sync().quarantine == 1
    bench.sources["s0"].fields.clear()
    assert bench.sync().quarantine == 0
    bench.sources["s0"].put(Entity.LEERLING, "b", kapot=True)
    bench.sync()
    before = bench.query("SELECT raw_fp FROM quarantine")
    bench.mappings["memory"].version = "2"
    bench.sync()
    assert bench.query("SELECT raw_fp FROM quarantine") != before


def test_quarantine_is_left_when_the_record_is_gone(make: Make) -> None:
    bench = pupil(make)
    bench.sources["s0"].put(Entity.LEERLING, "b", kapot=True)
    bench.sync()
    bench.sources["s0"].remove(Entity.LEERLING, "b")
    bench.settle(rounds=3)
    assert bench.reports[-1].quarantine == 0
    assert bench.reports[-1].outcome is Outcome.DONE


def test_a_look_up_renews_one_record_only(make: Make) -> None:
    bench = pupil(make)
    source = bench.sources["s0"]
    source.put(Entity.LEERLING, "a", achternaam="Nieuw")
    source.put(Entity.LEERLING, "b", achternaam="Ook")
    bench.sync(kind=Kind.ONLY, resources=("leerling",), only=("a",))
    assert bench.query("SELECT achternaam FROM leerling") == [("Nieuw",)]
