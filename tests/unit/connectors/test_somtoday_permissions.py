"""Somtoday's field permissions become the delivery contract, naming traps included."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import pytest

from connectors.base import DeliveryContract
from connectors.somtoday.permissions import contract_of
from connectors.somtoday.wire import ENDPOINTS

PLAATSING = {"uuid": True, "startdatum": True, "leerjaar": False, "stamgroep": True}


def contract(resource: str, **permissions: Any) -> DeliveryContract:
    return contract_of(resource, ENDPOINTS[resource].model, permissions=permissions)


@pytest.mark.assumed("somtoday-missing-permission")
def test_a_field_is_delivered_only_when_its_permission_is_true() -> None:
    found = contract("vak", uuid=True, naam=False, afkorting="true")
    assert found.fields == {"uuid": True, "naam": False, "afkorting": False}


@pytest.mark.parametrize(
    ("resource", "permission", "field"),
    [
        ("medewerker", "datumInDienst", "datum_in_dienst"),
        ("medewerker", "datumUitDienst", "datum_uit_dienst"),
        ("medewerker", "redenUitDienst", "reden_uit_dienst"),
        ("vestiging", "digideliveryid", "externalidentifiers.brinnr"),
        ("leerling", "BSN", "BSN"),
        ("leerling", "adres", "adres.postcode"),
        ("leerling", "verzorgers", "verzorgers.volgnummer"),
        ("ouderVerzorger", "uitgebreidMobielWerkNummer", "uitgebreidMobielWerkNummer"),
    ],
)
def test_each_permission_governs_its_field(resource: str, permission: str, field: str) -> None:
    assert contract(resource, **{permission: True}).delivers(field)
    assert not contract(resource, **{permission: False}).delivers(field)


@pytest.mark.assumed("somtoday-field-without-key")
@pytest.mark.parametrize(
    ("resource", "permission", "field"),
    [
        ("leerling", "adres", "adres_geheim"),
        ("leerling", "telefoonnummer", "telefoonnummer_geheim"),
        ("ouderVerzorger", "uitgebreidMobielWerkNummer", "mobielwerknummer_geheim"),
        ("medewerker", "prive_telefoonnummer", "privetelefoonnummer_geheim"),
    ],
)
def test_a_secret_flag_goes_with_what_it_hides(resource: str, permission: str, field: str) -> None:
    assert contract(resource, **{permission: True}).delivers(field)
    assert not contract(resource).delivers(field)


def test_prive_email_is_no_permission_for_emailadres() -> None:
    assert not contract("medewerker", prive_email=True).delivers("emailadres")


def test_parts_of_a_placement_have_permissions_of_their_own() -> None:
    found = contract("leerling", plaatsingen=True, plaatsingVeldpermissies=PLAATSING)
    assert found.delivers("plaatsingen.startdatum")
    assert found.delivers("plaatsingen.stamgroep.naam")
    assert not found.delivers("plaatsingen.leerjaar")
    assert not found.delivers("plaatsingen.einddatum")
    assert not found.delivers("plaatsingen.stamgroep.leerlingen")


def test_nothing_of_a_placement_is_delivered_without_the_placement() -> None:
    found = contract("leerling", plaatsingVeldpermissies=PLAATSING)
    assert not any(found.delivers(name) for name in found.fields if name.startswith("plaatsingen"))


def test_a_list_of_mentors_is_delivered_only_whole_but_each_kind_by_itself() -> None:
    nested = {"mentor_plaatsing": False, "eerste_mentor_stamgroep": True}
    found = contract("leerling", plaatsingen=True, plaatsingVeldpermissies=nested)
    assert not found.delivers("plaatsingen.mentoren")
    assert found.delivers("plaatsingen.mentoren.EersteMentorStamgroep")
    assert not found.delivers("plaatsingen.mentoren.Plaatsing")
    both = {"eerste_mentor_stamgroep": True, "tweede_mentor_stamgroep": True}
    assert contract("stamgroep", **both).delivers("mentoren")


def test_a_relation_has_permissions_of_its_own() -> None:
    found = contract(
        "ouderVerzorger",
        relatie_tot_leerlingen=True,
        relatie_tot_leerlingen_permissies={"uuid": True, "ouderlijk_gezag": True},
    )
    assert found.delivers("relatie_tot_leerlingen.ouderlijk_gezag")
    assert not found.delivers("relatie_tot_leerlingen.relatiesoort")


def test_a_dossier_always_names_its_pupil() -> None:
    found = contract(
        "voortgangsdossier",
        vakuuid=True,
        periodes=True,
        periodeVeldpermissies={"periodegemiddelde": True, "resultaten": True},
    )
    assert found.delivers("leerling_uuid")
    assert found.delivers("voortgangsdossiers.periodes.periodegemiddelde_alternatief")
    assert found.delivers("voortgangsdossiers.periodes.resultaten.pogingen.resultaat")
    assert not found.delivers("voortgangsdossiers.periodes.rapportgemiddelde")
    assert not found.delivers("voortgangsdossiers.vaknaam")


def test_an_exam_file_names_its_parts_in_its_own_way() -> None:
    found = contract(
        "examendossier",
        vakUUID=True,
        se_resultaten=True,
        ce_deel=True,
        ce_deelVeldpermissies={"ce_eindcijfer": True},
    )
    assert found.delivers("examendossiers.se_resultaten.se_resultaten.uuid")
    assert not found.delivers("examendossiers.se_resultaten.se_eindcijfer")
    assert found.delivers("examendossiers.ce_resultaten.ce_eindcijfer")
    assert not found.delivers("examendossiers.ce_resultaten.ce_resultaten")


def test_what_is_dropped_at_intake_is_not_delivered() -> None:
    granted = {"BSN": True, "adres": True, "eckid": True}
    model, drop = ENDPOINTS["leerling"].model, frozenset({"BSN", "adres"})
    found = contract_of("leerling", model, permissions=granted, drop=drop)
    assert not found.delivers("BSN")
    assert not found.delivers("adres.postcode")
    assert found.delivers("eckid")


def test_a_resource_without_permissions_is_delivered_whole() -> None:
    found = contract_of("instelling", ENDPOINTS["instelling"].model, permissions=None)
    assert found.fields
    assert all(found.fields.values())


def _specs() -> Path:
    given = os.environ.get("KOPPELHUB_SPECS")
    return Path(given) if given else Path(__file__).parents[4] / "shared" / "specs"


SCHEMAS = {
    "vestiging": ("Vestiging", "VestigingVeldpermissies"),
    "leerling": ("Leerling", "LeerlingVeldpermissies"),
    "plaatsing": ("Plaatsing", "PlaatsingVeldpermissies"),
    "stamgroep": ("Stamgroep", "StamgroepVeldpermissies"),
    "lesgroep": ("Lesgroep", "LesgroepVeldpermissies"),
    "ouderVerzorger": ("OuderVerzorger", "OuderVerzorgerVeldpermissies"),
    "medewerker": ("Medewerker", "MedewerkerVeldpermissies"),
    "vak": ("Vak", "VakVeldpermissies"),
    "opleiding": ("Opleiding", "OpleidingVeldpermissies"),
}


@pytest.fixture(scope="module")
def described() -> dict[str, set[str]]:
    table = _specs() / "somtoday" / "fields-14.10.0.csv"
    if not table.exists():
        pytest.skip("the official description is not beside this checkout")
    fields: dict[str, set[str]] = {}
    with table.open(newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            fields.setdefault(row["schema"], set()).add(row["field"])
    return fields


@pytest.mark.needs_shared_specs
@pytest.mark.parametrize("resource", SCHEMAS)
def test_every_described_field_is_read_and_can_be_permitted(
    described: dict[str, set[str]], resource: str
) -> None:
    schema, permissions = SCHEMAS[resource]
    granted = {
        name: dict.fromkeys(_keys_inside(described, name), True) or True
        for name in described[permissions]
    }
    found = contract(resource, **granted)
    top = {name for name in found.fields if "." not in name}
    assert top == described[schema] - {"debiteurGegevens"}
    assert [name for name in sorted(top) if not found.delivers(name)] == []


def _keys_inside(described: dict[str, set[str]], name: str) -> set[str]:
    nested = {
        "plaatsingVeldpermissies": "PlaatsingVeldpermissies",
        "relatie_tot_leerlingen_permissies": "LeerlingReferentieVeldpermissies",
    }
    return described[nested[name]] if name in nested else set()
