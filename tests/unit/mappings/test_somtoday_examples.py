"""The published examples, and a golden form of records of our own, through the whole way in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.base import DeliveryContract, Scope
from connectors.protocols.parsing import parse_model
from connectors.somtoday.permissions import contract_of
from connectors.somtoday.wire import ENDPOINTS
from mappings.canonical.fields import NOT_DELIVERED
from mappings.canonical.onderwijs import Groep, Inschrijving, Toetsresultaat
from mappings.canonical.personen import Leerling, Medewerker, VerzorgerRelatie
from mappings.canonical.schema import ENTITY_OF, encode
from mappings.mapping import Mapped
from mappings.somtoday import MAPPING
from mappings.somtoday.mapping import NUMBER

ROOT = Path(__file__).parents[3]
GOLDEN = Path(__file__).parent / "golden"
VESTIGING = "0b6f3f0e-7f2c-4c1d-9d55-2f4e8d1a1001"

FILES = {
    "instelling": "instelling.json",
    "vestiging": "vestiging.json",
    "opleiding": "opleiding_page.json",
    "vak": "vak_page.json",
    "medewerker": "medewerker_page.json",
    "leerling": "leerling_page.json",
    "ouderVerzorger": "ouderverzorger_page.json",
    "stamgroep": "stamgroep_page.json",
    "lesgroep": "lesgroep_page.json",
}


def examples(name: str) -> dict[str, Any]:
    specs = Path(os.environ.get("KOPPELHUB_SPECS", ROOT.parent / "shared" / "specs"))
    file = specs / "somtoday" / "examples" / name
    if not file.exists():
        pytest.skip("the official descriptions are not beside this checkout")
    page: dict[str, Any] = msgspec.json.decode(file.read_bytes())
    return page


def map_one(resource: str, item: object, contract: DeliveryContract) -> Mapped:
    parsed = parse_model(ENDPOINTS[resource].model, msgspec.json.encode(item))
    assert parsed.problems == ()
    scope = Scope(resource, f"{VESTIGING}/HUIDIG", schooljaar=2026)
    return MAPPING.map(resource, parsed.record, contract=contract, scope=scope)


def everything(resource: str) -> DeliveryContract:
    return contract_of(resource, ENDPOINTS[resource].model, permissions=None)


def map_example(resource: str) -> list[Mapped]:
    items = examples(FILES[resource])[ENDPOINTS[resource].list_key]
    return [map_one(resource, item, everything(resource)) for item in items]


@pytest.mark.needs_shared_specs
@pytest.mark.parametrize("resource", FILES)
def test_every_published_example_is_mapped_without_a_warning(resource: str) -> None:
    found = map_example(resource)
    assert found
    assert all(one.records and not one.problems and not one.silent for one in found)


@pytest.mark.needs_shared_specs
def test_the_published_leerling_is_as_it_reads() -> None:
    noor, sem = map_example("leerling")
    person, placement, relation = noor.records
    assert isinstance(person, Leerling)
    assert isinstance(placement, Inschrijving)
    assert isinstance(relation, VerzorgerRelatie)
    assert (person.achternaam, person.voorvoegsel, person.geslacht) == ("Zand", "van der", "V")
    assert placement.leerling == person.key
    assert str(placement.geldig_tot) == "2027-08-01"
    assert relation.volgnummer == 1
    (secret,) = sem.records
    assert isinstance(secret, Leerling)
    assert secret.adres is NOT_DELIVERED
    assert secret.adres_geheim is True


@pytest.mark.needs_shared_specs
def test_the_published_permissions_decide_what_the_published_leerling_says() -> None:
    page = examples(FILES["leerling"])
    permissions = page["veldpermissies"]
    contract = contract_of("leerling", ENDPOINTS["leerling"].model, permissions=permissions)
    found = map_one("leerling", page["leerlingen"][0], contract)
    (person,) = found.records
    assert isinstance(person, Leerling)
    assert person.achternaam == "Zand"
    assert person.geslacht is person.bsn is person.email is NOT_DELIVERED
    assert found.is_silent_on("inschrijving", "any")


@pytest.mark.needs_shared_specs
def test_the_published_groups_and_staff_agree_on_their_references() -> None:
    (stamgroep,), (lesgroep,) = map_example("stamgroep"), map_example("lesgroep")
    (home,), (teaching,) = stamgroep.records, lesgroep.records
    (staff,) = map_example("medewerker")[0].records
    placement = next(r for r in map_example("leerling")[0].records if isinstance(r, Inschrijving))
    assert isinstance(home, Groep)
    assert isinstance(teaching, Groep)
    assert isinstance(staff, Medewerker)
    assert placement.stamgroep == home.key
    assert home.leerlingen == teaching.leerlingen == (placement.leerling,)
    assert home.eerste_mentoren == teaching.docenten == (staff.key,)
    assert staff.personeelsnummer == "51001"


@pytest.mark.needs_shared_specs
def test_the_published_progress_file_gives_result_attempt_and_average() -> None:
    page = examples("voortgangsdossier.json")
    page["leerling_uuid"] = VESTIGING
    found = map_one("voortgangsdossier", page, everything("voortgangsdossier"))
    kinds = [r.soort for r in found.records if isinstance(r, Toetsresultaat)]
    assert kinds == ["toets", "poging", "periodegemiddelde"]
    assert {r.getal for r in found.records if isinstance(r, Toetsresultaat)} == {7.2}


def test_the_golden_records_are_mapped_as_before() -> None:
    """What the mapping makes has changed when this fails.

    Meant so? Raise `NUMBER` in `mappings/somtoday/mapping.py` when only a function changed, so that
    every record is mapped anew, and write the golden file from what is compared here.
    """
    sources = msgspec.json.decode((GOLDEN / "somtoday-source.json").read_bytes())
    made = {
        resource: [
            {"entity": str(ENTITY_OF[type(record)]), **msgspec.json.decode(encode(record))}
            for item in items
            for record in map_one(resource, item, everything(resource)).records
        ]
        for resource, items in sources.items()
    }
    golden = msgspec.json.decode((GOLDEN / "somtoday-canonical.json").read_bytes())
    assert {"number": NUMBER, "records": made} == golden
