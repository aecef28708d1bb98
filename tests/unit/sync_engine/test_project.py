from __future__ import annotations

from datetime import date
from typing import Any

from mappings.canonical.fields import Entity
from sync_engine.fold import Folded, Reference
from sync_engine.project import Projected, State, columns_of, difference, project

HELD = date(2026, 10, 4)
DAY = date(2026, 10, 5)


def projected(
    entity: Entity,
    current: State | None = None,
    /,
    *,
    cores: dict[str, int] | None = None,
    **values: Any,
) -> Projected:
    folded = Folded(entity, values=dict(values), observed_on=DAY)
    return project(
        folded,
        current,
        resolve=lambda reference: (cores or {}).get(reference.key),
        index=lambda role, text, issuer: f"{role}/{issuer}/{text}",
        held_until=HELD,
    )


def members(*keys: str) -> list[Reference]:
    return [Reference(1, Entity.LEERLING, key) for key in keys]


def test_references_are_columns_with_core_ids() -> None:
    assert columns_of(Entity.INSCHRIJVING)["leerling"] == "leerling_id"
    found = projected(
        Entity.INSCHRIJVING, cores={"l": 7}, leerling=Reference(1, Entity.LEERLING, "l")
    )
    assert (found.state["leerling_id"], found.waiting, found.unresolved) == (7, False, ())


def test_a_required_reference_waits_and_an_optional_one_is_only_counted() -> None:
    lost = Reference(1, Entity.LEERLING, "l")
    assert projected(Entity.INSCHRIJVING, leerling=lost).waiting
    vak = Reference(1, Entity.VAK, "v")
    found = projected(Entity.GROEP, naam="1A", vak=vak)
    assert (found.state["vak_id"], found.waiting, found.unresolved) == (None, False, (vak,))


def test_secret_fields_carry_their_secret_with_them() -> None:
    found = projected(
        Entity.LEERLING,
        mobiel="+31612345678",
        telefoon_geheim=True,
        adres={"straat": "Kade"},
        adres_geheim=None,
    ).state
    assert found["contactgegeven/mobiel"] == {"waarde": "+31612345678", "geheim": True}
    adres = found["adres/woonadres"]
    assert isinstance(adres, dict)
    assert (adres["straat"], adres["postcode"], adres["geheim"]) == ("Kade", None, False)


def test_empty_contacts_addresses_and_identifiers_have_no_row() -> None:
    found = projected(Entity.LEERLING, achternaam="J", email=None, adres=None, eck_id=None).state
    assert not [key for key in found if "/" in key]


def test_an_identifier_is_compared_by_its_index() -> None:
    after = projected(Entity.LEERLING, eck_id="x").state
    before: State = {**after, "identificatie/eck_id/0": {"index": "eck_id/0/x"}}
    assert difference(before, after) == {}
    before["identificatie/eck_id/0"] = {"index": "eck_id/0/y"}
    assert list(difference(before, after)) == ["identificatie/eck_id/0"]


def test_members_of_a_new_group_start_with_it_and_later_ones_when_they_are_seen() -> None:
    new = projected(Entity.GROEP, cores={"a": 1}, naam="1A", leerlingen=members("a"))
    assert new.state["groepsdeelname/leerling/1"] == [None, None, False]
    both = {"a": 1, "b": 2}
    later = projected(
        Entity.GROEP, new.state, cores=both, naam="1A", leerlingen=members("a", "b")
    ).state
    assert later["groepsdeelname/leerling/1"] == [None, None, False]
    assert later["groepsdeelname/leerling/2"] == ["2026-10-05", None, False]


def test_who_left_ends_after_the_last_day_that_he_was_held() -> None:
    before: State = {"groepsdeelname/leerling/1": ["2026-08-01", None, False]}
    after = projected(Entity.GROEP, before, naam="1A", leerlingen=[]).state
    assert after["groepsdeelname/leerling/1"] == ["2026-08-01", "2026-10-05", True, "ended"]


def test_a_difference_names_before_and_after_of_what_differs_only() -> None:
    assert difference({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 9}) == {"b": [2, 9], "c": [3, None]}
    assert difference(None, {"a": 1, "b": None}) == {"a": [None, 1]}
