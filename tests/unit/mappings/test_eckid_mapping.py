"""ECK iDs that the hub obtained → canonical."""

from __future__ import annotations

from datetime import date

import pytest

from connectors.base import DeliveryContract, Scope
from connectors.eckid.records import FIELDS, Body, Vraag, parse
from connectors.errors import ParseError
from mappings.canonical.fields import NOT_DELIVERED, VerkregenEckId
from mappings.canonical.personen import Leerling, Medewerker
from mappings.eckid import MAPPING
from mappings.errors import MappingError
from sector.identifiers import EckId

TEST = f"https://ketenid.nl/pilot/{'a1' * 64}"
CONTRACT = DeliveryContract(dict.fromkeys(FIELDS, True))
FIRST = date(2026, 11, 28)


def body(
    eck_id: str | None = TEST,
    *,
    van: date | None = FIRST,
    tot: date | None = None,
    vraag: Vraag | None = None,
    keten: str = "http://keten/1",
) -> bytes:
    return Body("K-12", eck_id, keten, "http://sector/2", van, tot, vraag).encode()


def mapped(raw: bytes, resource: str = "leerling") -> Leerling | Medewerker:
    record = parse(resource, raw).record
    (found,) = MAPPING.map(
        resource, record, contract=CONTRACT, scope=Scope(resource, "99XX00")
    ).records
    assert isinstance(found, Leerling | Medewerker)
    return found


@pytest.mark.parametrize("resource", ["leerling", "medewerker"])
def test_it_says_its_eck_id_and_nothing_else(resource: str) -> None:
    found = mapped(body(), resource)
    said = {name for name in found.__struct_fields__ if getattr(found, name) is not NOT_DELIVERED}
    assert said == {"key", "eck_verkregen"}
    assert found.key == "K-12"
    assert found.eck_verkregen == VerkregenEckId(
        waarde=EckId(TEST), keten="http://keten/1", sector="http://sector/2", geldig_van=FIRST
    )


@pytest.mark.parametrize(
    ("tot", "end"),
    [
        (date(2026, 12, 31), date(2027, 1, 1)),
        (FIRST, date(2026, 11, 29)),
        (date(2026, 11, 20), FIRST),  # obtained after he had left: it held for no day
    ],
)
def test_the_last_day_counts_in(tot: date, end: date) -> None:
    found = mapped(body(tot=tot)).eck_verkregen
    assert isinstance(found, VerkregenEckId)
    assert (found.geldig_van, found.geldig_tot) == (FIRST, end)


@pytest.mark.parametrize(
    "raw",
    [
        body(TEST.upper()),
        body(TEST.replace("pilot", "sppilot")),
        body(keten=""),
        body(van=None),
    ],
)
def test_what_is_no_eck_id_of_a_chain_is_not_kept(raw: bytes) -> None:
    record = parse("leerling", raw).record
    found = MAPPING.map("leerling", record, contract=CONTRACT, scope=Scope("leerling", "99XX00"))
    (leerling,) = found.records
    assert isinstance(leerling, Leerling)
    assert leerling.eck_verkregen is NOT_DELIVERED
    assert len(found.problems) == 1
    assert TEST[-10:] not in repr(found.problems)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (body(vraag=Vraag.PGN), "pgn"),
        (body(vraag=Vraag.EMAIL), "email"),
        (body(None, van=None, vraag=Vraag.GEWEIGERD), "eck_id"),
        (b"[]", "$"),
        (b'{"vraag": "iets"}', "$"),
    ],
)
def test_a_record_with_a_question_is_set_apart(raw: bytes, path: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse("leerling", raw)
    assert caught.value.path == path
    assert caught.value.source_key in {"K-12", None}
    assert caught.value.advice


def test_an_eck_id_that_is_taken_back_is_empty() -> None:
    record = parse("leerling", body(None, van=None)).record
    found = MAPPING.map("leerling", record, contract=CONTRACT, scope=Scope("leerling", "99XX00"))
    (leerling,) = found.records
    assert isinstance(leerling, Leerling)
    assert leerling.eck_verkregen is None
    assert not found.problems


def test_a_record_without_eck_id_makes_nothing() -> None:
    with pytest.raises((ParseError, MappingError)):
        mapped(b'{"key": "K-12"}')
