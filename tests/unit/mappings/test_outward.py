"""What is secret never reaches a target that may not have it, whoever the target is."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import ClassVar

import pytest

from koppelhub_referentie.outward import AFNEMER
from mappings.canonical.fields import Entity
from mappings.outward import (
    CoreObject,
    CoreRecord,
    Declared,
    Outward,
    Sensitive,
    Treatment,
    asked,
    withhold,
)
from mappings.registry import check_outward, find_outward

ON = date(2026, 10, 5)
SECRET = "GEHEIM-KANARIE"
EVERY = [*find_outward().installed.values(), AFNEMER]
"""Every target that is installed, and that of the example: a new one is tested by being there."""


def person(entity: Entity, key: str, **values: object) -> CoreRecord:
    """A person whose address and numbers are secret."""
    address = {"straat": f"{SECRET}straat", "postcode": SECRET, "woonplaats": "Ergens"}
    told = {"achternaam": "Jansen", "adres": address, "telefoon": SECRET, "mobiel": SECRET}
    hidden = frozenset({"adres", "telefoon", "mobiel"})
    return CoreRecord(entity, key, told | values, hidden=hidden)  # type: ignore[arg-type] # values


def pupil(*, born: str | None = "2014-05-06", gezag: bool | None = True) -> CoreObject:
    """A leerling with a verzorger and a vestiging."""
    own = {} if born is None else {"geboortedatum": born}
    relation = CoreRecord(
        Entity.VERZORGER_RELATIE,
        "K-30",
        {"verzorger": "K-2", "leerling": "K-1"}
        | ({} if gezag is None else {"ouderlijk_gezag": gezag}),
    )
    return CoreObject(
        person(Entity.LEERLING, "K-1", **own),
        ON,
        {
            Entity.VERZORGER: (person(Entity.VERZORGER, "K-2", achternaam="Ouder"),),
            Entity.VERZORGER_RELATIE: (relation,),
            Entity.INSCHRIJVING: (
                CoreRecord(Entity.INSCHRIJVING, "K-4", {"vestiging": "K-5"}, until="2027-08-01"),
            ),
            Entity.VESTIGING: (CoreRecord(Entity.VESTIGING, "K-5", {"naam": "De Boog"}),),
        },
    )


def may_have(target: Outward, kind: Sensitive) -> bool:
    """Whether a target says that the law has it get this."""
    return target.declares[kind].treatment is Treatment.SENT


@pytest.mark.parametrize("target", EVERY, ids=lambda t: t.system)
def test_no_secret_value_leaves_for_any_target(target: Outward) -> None:
    assert set(target.declares) == set(Sensitive)
    body = asked(target, pupil())
    assert body is not None, "a test that sees no body proves nothing"
    if not (may_have(target, Sensitive.ADRES) or may_have(target, Sensitive.TELEFOON)):
        assert SECRET.encode() not in body
    for thing, kind in (
        (pupil(born="2008-10-05"), Sensitive.MEERDERJARIG),
        (pupil(born=None), Sensitive.MEERDERJARIG),
        (pupil(gezag=False), Sensitive.GEZAG),
    ):
        if not may_have(target, kind):
            assert b"Ouder" not in (asked(target, thing) or b"")


@pytest.mark.parametrize("target", EVERY, ids=lambda t: t.system)
def test_equal_objects_give_equal_bodies_that_people_can_read(target: Outward) -> None:
    one, other = asked(target, pupil()), asked(target, pupil())
    assert one == other
    assert one is not None
    assert "Jansen" in target.shown(one).values()


def test_a_secret_address_is_not_found_through_the_verzorgers() -> None:
    open_parent = replace(pupil().of(Entity.VERZORGER)[0], hidden=frozenset())
    thing = replace(pupil(), related={**pupil().related, Entity.VERZORGER: (open_parent,)})
    body = asked(AFNEMER, thing)
    assert body is not None
    assert b"Ouder" in body
    assert f"{SECRET}straat".encode() not in body


def test_what_is_not_secret_is_there() -> None:
    thing = pupil()
    thing = replace(thing, record=replace(thing.record, hidden=frozenset()))
    body = asked(AFNEMER, thing)
    assert body is not None
    assert SECRET.encode() in body


def test_who_comes_of_age_today_is_of_age() -> None:
    declares = AFNEMER.declares
    assert not withhold(pupil(born="2008-10-05"), declares).of(Entity.VERZORGER)
    assert withhold(pupil(born="2008-10-06"), declares).of(Entity.VERZORGER)


def test_a_target_that_gets_none_of_it_gets_none_of_it() -> None:
    nothing = {one: Declared(Treatment.NONE, "niet nodig") for one in Sensitive}
    left = withhold(replace(pupil(), record=replace(pupil().record, hidden=frozenset())), nothing)
    assert set(left.record.values) == {"achternaam", "geboortedatum"}
    assert not left.of(Entity.VERZORGER)
    assert left.of(Entity.VESTIGING)


def test_a_mapping_must_say_what_it_does_with_what_is_secret() -> None:
    class Silent:
        system, version, resource, entity = "stil", "1", "leerlingen", Entity.LEERLING
        declares: ClassVar = {Sensitive.ADRES: Declared(Treatment.SENT, "")}

        def body(self, thing: CoreObject) -> bytes | None:
            return None

        def shown(self, body: bytes) -> dict[str, str]:
            return {}

    assert check_outward(AFNEMER, "referentie") is AFNEMER
    found = check_outward(Silent(), "stil")
    assert isinstance(found, str)
    assert "telefoon" in found
    assert check_outward(object(), "x") == "it names no outward mapping"
