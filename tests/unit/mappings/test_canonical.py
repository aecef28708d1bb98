"""Canonical records as the engine keeps them: JSON, and back."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from fixtures.school.keys import synthetic_eckid
from mappings.canonical.fields import Canonical, VerkregenEckId
from mappings.canonical.personen import Leerling, Medewerker
from mappings.canonical.schema import encode
from sector.identifiers import EckId

ECK = synthetic_eckid(1, 1)
OBTAINED = VerkregenEckId(
    waarde=EckId(ECK), keten="keten", sector="vo", geldig_van=date(2026, 11, 28)
)


def identifier(kind: type[Any], value: str) -> object:
    return kind(value)


@pytest.mark.parametrize("kind", [Leerling, Medewerker])
@pytest.mark.parametrize("until", [None, date(2027, 8, 1)])
def test_an_obtained_eck_id_comes_back_as_it_went(
    kind: type[Leerling | Medewerker], until: date | None
) -> None:
    value = msgspec.structs.replace(OBTAINED, geldig_tot=until)
    record: Canonical = kind(key="K-1", achternaam=msgspec.UNSET, eck_verkregen=value)
    form = msgspec.json.decode(encode(record))
    assert form == {
        "key": "K-1",
        "eck_verkregen": {
            "waarde": ECK,
            "keten": "keten",
            "sector": "vo",
            "geldig_van": "2026-11-28",
            "geldig_tot": None if until is None else "2027-08-01",
        },
    }
    kept = msgspec.convert(form["eck_verkregen"], VerkregenEckId, dec_hook=identifier)
    assert kept == value


def test_an_obtained_eck_id_is_not_shown_by_its_value() -> None:
    assert ECK not in repr(OBTAINED)
