"""Pins: only what a field can hold is fixed by hand, and who did it stands in the audit trail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from config.clock import local_date
from config.errors import ConfigurationError
from mappings.canonical.fields import Entity
from mappings.canonical.schema import fields_of
from sync_engine import pins
from sync_engine.errors import SyncError
from sync_engine.find import hub_key
from sync_engine.fold import Json
from sync_engine.outcome import Outcome
from tests.support.hubs import Bench

Make = Callable[..., Bench]


def pupil(make: Make) -> tuple[Bench, int]:
    """A hub with one pupil."""
    bench = make(1)
    bench.sources["s0"].put(Entity.LEERLING, "l", achternaam="Jansen", geboortedatum="2010-01-01")
    bench.sync()
    return bench, bench.core(Entity.LEERLING, "l")


def pin(bench: Bench, core_id: int, field: str, value: Json, until: date | None = None) -> int:
    return pins.pin(
        bench.hub,
        core_id,
        entity=Entity.LEERLING,
        field=field,
        value=value,
        reason="Volgens het paspoort",
        operator="balie",
        until=until,
    )


@pytest.mark.parametrize(
    ("entity", "field", "value"),
    [
        (Entity.LEERLING, "geboortedatum", "geen datum"),
        (Entity.LEERLING, "geboortedatum", "2010-02-30"),
        (Entity.LEERLING, "geboortedatum", 20100101),
        (Entity.LEERLING, "adres_geheim", "ja"),
        (Entity.LEERLING, "adres_geheim", 1),
        (Entity.LEERLING, "roepnaam", 7),
        (Entity.LEERLING, "roepnaam", ""),
        (Entity.LEERLING, "roepnaam", "a\x00b"),
        (Entity.LEERLING, "roepnaam", "a\ud800b"),
        (Entity.LEERLING, "roepnaam", "a" * 1_001),
        (Entity.LEERLING, "achternaam", None),
        (Entity.LEERLING, "bsn", "123456789"),
        (Entity.LEERLING, "bsn", 111222333),
        (Entity.LEERLING, "eck_id", "https://ketenid.nl/"),
        (Entity.LEERLING, "leerlingnummer", "K12"),
        (Entity.LEERLING, "email", "geen adres"),
        (Entity.LEERLING, "mobiel", "niet te bellen"),
        (Entity.LEERLING, "herkomst_brin", "9XXX"),
        (Entity.LEERLING, "adres", {"straat": "Laan", "kleur": "rood"}),
        (Entity.LEERLING, "adres", {"straat": 3}),
        (Entity.LEERLING, "adres", {}),
        (Entity.GROEP, "leerjaar", 2**31),
        (Entity.GROEP, "leerjaar", True),
        (Entity.GROEP, "leerjaar", "3"),
        (Entity.GROEP, "schooljaar", "2026/2029"),
        (Entity.OPLEIDING, "leerjaren", [1, "twee"]),
        (Entity.OPLEIDING, "leerjaren", list(range(101))),
        (Entity.TOETSRESULTAAT, "getal", float("nan")),
    ],
)
def test_a_value_that_the_field_cannot_have_is_refused_and_not_repeated(
    entity: Entity, field: str, value: Json
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        pins.checked(entity, field, value)
    error = caught.value
    assert str(error).startswith(f"{entity}.{field}: ")
    assert error.advice.startswith(("Geef ", "Dit veld"))
    assert error.__cause__ is None
    if isinstance(value, str) and len(value) > 2:
        assert value not in f"{error} {error.advice}"


@pytest.mark.parametrize(
    ("entity", "field", "value", "kept"),
    [
        (Entity.LEERLING, "geboortedatum", "2010-02-28", "2010-02-28"),
        (Entity.LEERLING, "adres_geheim", True, True),
        (Entity.LEERLING, "roepnaam", " Anna ", "Anna"),
        (Entity.LEERLING, "roepnaam", None, None),
        (Entity.LEERLING, "leerlingnummer", "00123", "123"),
        (Entity.LEERLING, "email", "a@Thuis.Example", "a@thuis.example"),
        (Entity.LEERLING, "mobiel", "06 12345678", "+31612345678"),
        (Entity.GROEP, "leerjaar", 3, 3),
        (Entity.OPLEIDING, "leerjaren", [1, 2], [1, 2]),
        (Entity.TOETSRESULTAAT, "getal", 7, 7.0),
    ],
)
def test_a_value_is_kept_as_the_sources_give_it(
    entity: Entity, field: str, value: Json, kept: Json
) -> None:
    assert pins.checked(entity, field, value) == kept


def test_every_field_that_can_be_pinned_has_a_type_to_check_by() -> None:
    for entity in Entity:
        for name, description in fields_of(entity).items():
            if description.kind in pins._PINNABLE:
                assert pins._type_of(entity, name) is not None
                with pytest.raises(ConfigurationError):
                    pins.checked(entity, name, {"onbekend": ["?"]})


def test_a_refused_pin_changes_nothing_and_the_next_run_goes_on(make: Make) -> None:
    bench, core_id = pupil(make)
    with pytest.raises(ConfigurationError):
        pin(bench, core_id, "geboortedatum", "geen datum")
    with pytest.raises(ConfigurationError):
        pin(bench, core_id, "schoenmaat", "42")
    yesterday = local_date(bench.clock.now()) - timedelta(days=1)
    with pytest.raises(ConfigurationError):
        pin(bench, core_id, "roepnaam", "Anna", until=yesterday)
    assert bench.query("SELECT COUNT(*) FROM pin") == [(0,)]
    assert bench.query("SELECT COUNT(*) FROM refold") == [(0,)]
    assert bench.sync().outcome is Outcome.DONE


def test_an_address_and_a_date_that_are_pinned_reach_the_core(make: Make) -> None:
    bench, core_id = pupil(make)
    pin(bench, core_id, "geboortedatum", "2011-12-31")
    pin(bench, core_id, "adres", {"straat": "Laan", "huisnummer": "3"})
    assert bench.sync().outcome is Outcome.DONE
    assert [str(day) for (day,) in bench.query("SELECT geboortedatum FROM leerling")] == [
        "2011-12-31"
    ]
    assert bench.query("SELECT straat, huisnummer, postcode FROM adres") == [("Laan", "3", None)]
    assert bench.sync().steps == {}


def test_who_pinned_and_who_lifted_stands_in_the_audit_trail(make: Make) -> None:
    bench, core_id = pupil(make)
    number = pin(bench, core_id, "roepnaam", "Kanarie")
    pins.lift(bench.hub, number, operator="chef")
    key = hub_key(core_id)
    assert bench.query("SELECT operator, action, subject, why FROM audit ORDER BY id") == [
        ("balie", "pin", key, f"pin {number}, leerling.roepnaam"),
        ("chef", "lift", key, f"pin {number}"),
    ]
    before, after = bench.query("SELECT previous, digest FROM audit ORDER BY id")
    assert bytes(before[1]) == bytes(after[0])
    with pytest.raises(SyncError):
        pins.lift(bench.hub, number, operator="chef")
    assert bench.query("SELECT COUNT(*) FROM audit") == [(2,)]
