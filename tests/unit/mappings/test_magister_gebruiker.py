"""A user account of Magister's SCIM as a leerling."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from connectors.base import DeliveryContract, Scope
from connectors.magister.connector import MAGISTER
from mappings.canonical.fields import NOT_DELIVERED, Entity
from mappings.canonical.personen import Leerling
from mappings.magister import MAPPING
from mappings.mapping import Mapped

UUID = "1f0c2a9e-0000-4000-8000-00000000000a"
SCOPE = Scope("gebruiker", "gebruikers")
ALL = dict.fromkeys(MAGISTER.manifest.resource("gebruiker").fields, True)


def mapped(*, lacks: tuple[str, ...] = (), **fields: Any) -> Mapped:
    told = {
        "id": UUID,
        "userName": "nzand",
        "name": {"givenName": "Noor", "middleName": "van der", "familyName": "Zand"},
        "active": False,
        "leerlingnummer": "020341",
    }
    record = MAGISTER.parse("gebruiker", msgspec.json.encode(told | fields)).record
    contract = DeliveryContract({**ALL, **dict.fromkeys(lacks, False)})
    return MAPPING.map("gebruiker", record, contract=contract, scope=SCOPE)


def test_a_user_is_a_leerling_with_what_scim_says() -> None:
    (leerling,) = mapped().records
    assert isinstance(leerling, Leerling)
    assert (leerling.roepnaam, leerling.voorvoegsel, leerling.achternaam) == (
        "Noor",
        "van der",
        "Zand",
    )
    assert leerling.gebruikersnaam == "nzand"
    assert leerling.leerlingnummer is not NOT_DELIVERED
    assert leerling.geboortedatum is NOT_DELIVERED
    assert leerling.email is NOT_DELIVERED


def test_an_attribute_that_the_server_does_not_have_is_not_delivered() -> None:
    (leerling,) = mapped(lacks=("name.middleName", "userName")).records
    assert isinstance(leerling, Leerling)
    assert leerling.voorvoegsel is NOT_DELIVERED
    assert leerling.gebruikersnaam is NOT_DELIVERED


@pytest.mark.parametrize(("user_id", "key"), [(UUID, UUID), ("4711", "scim:4711")])
def test_an_id_that_might_be_a_number_of_our_lists_stands_apart(user_id: str, key: str) -> None:
    (leerling,) = mapped(id=user_id).records
    assert leerling.key == key


def test_a_number_that_cannot_be_read_says_nothing_of_the_pupil() -> None:
    told = mapped(leerlingnummer=20341)
    assert told.records == ()
    assert told.silent_keys == {(Entity.LEERLING, UUID)}
