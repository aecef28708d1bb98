"""UWLR → canonical: golden records, the three values, and what is not made."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from connectors.base import DeliveryContract, Scope
from connectors.uwlr.manifest import MANIFEST
from connectors.uwlr.names import LG, Profiel, allowed
from connectors.uwlr.records import parse, source_key
from mappings.canonical.fields import NOT_DELIVERED, Entity
from mappings.canonical.schema import encode
from mappings.errors import MappingError
from mappings.mapping import Mapped, Strength
from mappings.uwlr import MAPPING
from tests.support.uwlr import body_of

ECKID = f"https://ketenid.nl/201703/{'a1' * 64}"
SCOPE = Scope("leerling", "99XX01/huidig", schooljaar=2026)


def contract(resource: str, *fields: str, without: tuple[str, ...] = ()) -> DeliveryContract:
    names = fields or MANIFEST.resource(resource).fields
    return DeliveryContract({name: name not in without for name in names}, "UWLR 2.2")


def mapped(resource: str, body: str, terms: DeliveryContract, scope: Scope = SCOPE) -> Mapped:
    parsed = parse(resource, body_of(resource, body.replace(">", f' xmlns="{LG}">', 1)))
    return MAPPING.map(resource, parsed.record, contract=terms, scope=scope)


def plain(result: Mapped) -> list[dict[str, Any]]:
    return [msgspec.json.decode(encode(record)) for record in result.records]


PUPIL = (
    f'<leerling key="LL1" eckid="{ECKID}"><achternaam>Voorbeeld</achternaam>'
    "<voorvoegsel>van</voorvoegsel><voornamen>Fenna Maria</voornamen>"
    "<voorletters-1>FM</voorletters-1><roepnaam>Fenna</roepnaam>"
    "<geboortedatum>2013-04-05</geboortedatum><geslacht>2</geslacht><jaargroep>12</jaargroep>"
    '<groep key="G1"/><gebruikersnaam>fenna</gebruikersnaam>'
    "<emailadres>F@Voorbeeld.Example</emailadres><instroomdatum>2025-08-01</instroomdatum>"
    "<uitstroomdatum>2026-12-01</uitstroomdatum></leerling>"
)


def test_a_pupil_and_the_placement_in_it() -> None:
    leerling, inschrijving = plain(mapped("leerling", PUPIL, contract("leerling")))
    assert leerling == {
        "key": "LL1",
        "achternaam": "Voorbeeld",
        "voorvoegsel": "van",
        "roepnaam": "Fenna",
        "voornamen": "Fenna Maria",
        "voorletters": "FM",
        "geslacht": "V",
        "geboortedatum": "2013-04-05",
        "eck_id": ECKID,
        "bsn": None,
        "onderwijsnummer": None,
        "email": "F@voorbeeld.example",
        "gebruikersnaam": "fenna",
    }
    assert inschrijving == {
        "key": "LL1/99XX01/2026",
        "leerling": "LL1",
        "vestiging": "99XX01",
        "stamgroep": "G1/2026",
        "schooljaar": "2026/2027",
        "leerjaar": 2,
        "geldig_van": "2025-08-01",
        "geldig_tot": "2026-12-01",  # gone from that day on: half-open as it stands
    }


def test_under_the_smallest_profile_nothing_else_is_said() -> None:
    fields = tuple(allowed(Profiel.SMAL, "2.3", "leerling") | {"key", "eckid"})
    body = f'<leerling eckid="{ECKID}"><achternaam>Voorbeeld</achternaam></leerling>'
    key = source_key(None, ECKID)
    leerling, inschrijving = plain(mapped("leerling", body, contract("leerling", *fields)))
    assert leerling == {
        "key": key,
        "achternaam": "Voorbeeld",
        "voorvoegsel": None,
        "roepnaam": None,
        "eck_id": ECKID,
    }
    assert inschrijving == {
        "key": f"{key}/99XX01/2026",
        "leerling": key,
        "vestiging": "99XX01",
        "stamgroep": None,
        "schooljaar": "2026/2027",
        "leerjaar": None,
    }


def test_without_jaargroep_and_dates_there_is_no_placement_and_none_is_gone() -> None:
    terms = contract("leerling", without=("jaargroep", "instroomdatum", "uitstroomdatum"))
    result = mapped("leerling", PUPIL, terms)
    assert len(result.records) == 1
    assert result.is_silent_on(Entity.INSCHRIJVING, "LL1/99XX01/2026")


def test_a_vestiging_of_the_pupils_own_goes_before_the_one_asked_for() -> None:
    body = PUPIL.replace("<gebruikersnaam>", '<vestiging key="V2"/><gebruikersnaam>')
    _, inschrijving = plain(mapped("leerling", body, contract("leerling")))
    assert inschrijving["vestiging"] == "V2"


@pytest.mark.parametrize(
    ("code", "letter"), [("0", "O"), ("1", "M"), ("2", "V"), ("9", NOT_DELIVERED)]
)
def test_sex(code: str, letter: object) -> None:
    body = PUPIL.replace("<geslacht>2<", f"<geslacht>{code}<")
    (leerling, _) = plain(mapped("leerling", body, contract("leerling")))
    assert leerling.get("geslacht", NOT_DELIVERED) == letter


@pytest.mark.parametrize(
    ("code", "year"),
    [("11", 1), ("16", 6), ("3", 3), ("V", NOT_DELIVERED), ("N", NOT_DELIVERED)],
)
def test_leerjaar(code: str, year: object) -> None:
    body = PUPIL.replace("<jaargroep>12<", f"<jaargroep>{code}<")
    (_, inschrijving) = plain(mapped("leerling", body, contract("leerling")))
    assert inschrijving.get("leerjaar", NOT_DELIVERED) == year


@pytest.mark.parametrize("number", ["bsn", "sofinummer"])
def test_one_number_under_two_names(number: str) -> None:
    body = PUPIL.replace("</leerling>", f"<{number}>900000014</{number}></leerling>")
    result = mapped("leerling", body, contract("leerling"))
    (leerling, _) = plain(result)
    if "bsn" in leerling:
        assert leerling["bsn"] == "900000014"
    else:
        assert [problem.path for problem in result.problems] == [number]


def test_an_old_eck_id_is_dropped_with_a_warning() -> None:
    old = f"https://id.school/pilot/{'b' * 128}"
    result = mapped("leerling", PUPIL.replace(ECKID, old), contract("leerling"))
    assert [problem.path for problem in result.problems] == ["eckid"]
    assert "eck_id" not in plain(result)[0]


def test_who_has_no_surname_is_set_apart() -> None:
    body = '<leerling key="LL1"><roepnaam>Fenna</roepnaam></leerling>'
    with pytest.raises(MappingError) as caught:
        mapped("leerling", body, contract("leerling"))
    assert caught.value.path == "achternaam"


def test_who_leaves_before_coming_keeps_the_rest() -> None:
    body = PUPIL.replace("2026-12-01", "2024-01-01")
    result = mapped("leerling", body, contract("leerling"))
    assert [problem.path for problem in result.problems] == ["uitstroomdatum"]
    assert "geldig_tot" not in plain(result)[1]


def test_staff_are_medewerkers() -> None:
    body = (
        '<leerkracht key="LK1"><achternaam>Docent</achternaam><emailadres>d@x.example</emailadres>'
        "</leerkracht>"
    )
    (medewerker,) = plain(mapped("leerkracht", body, contract("leerkracht", without=("eckid",))))
    assert medewerker["key"] == "LK1"
    assert medewerker["email"] == "d@x.example"
    assert "eck_id" not in medewerker


@pytest.mark.assumed("uwlr-group-per-schooljaar")
@pytest.mark.parametrize(
    ("tag", "soort"), [("groep", "stamgroep"), ("samengestelde_groep", "lesgroep")]
)
def test_groups_belong_to_the_year_that_is_read(tag: str, soort: str) -> None:
    group = {"key": "G1", "naam": "2B", "leerlingen": ["LL2", "LL1"], "leerkrachten": ["LK1"]}
    parsed = parse(tag, msgspec.json.encode(group))
    result = MAPPING.map(tag, parsed.record, contract=contract(tag), scope=SCOPE)
    (groep,) = plain(result)
    assert groep["key"] == "G1/2026"
    assert (groep["soort"], groep["schooljaar"]) == (soort, "2026/2027")
    assert (groep["geldig_van"], groep["geldig_tot"]) == ("2026-08-01", "2027-08-01")
    assert (groep["leerlingen"], groep["docenten"]) == (["LL1", "LL2"], ["LK1"])
    unsure = contract(tag, without=("leerlingen",))
    (groep,) = plain(MAPPING.map(tag, parsed.record, contract=unsure, scope=SCOPE))
    assert "leerlingen" not in groep


def test_the_school_is_a_vestiging_that_others_name_better() -> None:
    body = (
        '<school key="99XX01"><brincode>99XX</brincode><dependancecode>01</dependancecode></school>'
    )
    (vestiging,) = plain(mapped("school", body, contract("school"), Scope("school", "99XX01")))
    assert vestiging == {"key": "99XX01", "naam": "99XX01", "vestigingsnummer": "99XX01"}
    assert MAPPING.strengths[Entity.VESTIGING] == {"naam": Strength.WEAK}
    body = '<school key="KEY"><schoolkey>KEY</schoolkey></school>'
    (vestiging,) = plain(mapped("school", body, contract("school"), Scope("school", "KEY")))
    assert vestiging == {"key": "KEY", "naam": "KEY", "vestigingsnummer": None}


def test_every_source_of_a_row_is_a_field_of_the_connector() -> None:
    known = {resource.name: set(resource.fields) for resource in MANIFEST.resources}
    for row in MAPPING.describe():
        for path in row.source:
            assert path.startswith("@") or path in known[row.resource], (row.resource, path)
    assert set(MAPPING.resources) == set(known)
