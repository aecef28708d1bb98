"""What Magister's records mean: a golden form of each, and each decision of the mapping."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from connectors.base import DeliveryContract, Scope
from connectors.magister.connector import MAGISTER
from connectors.magister.manifest import MODELS
from connectors.protocols.parsing import field_paths
from mappings.canonical.fields import Entity
from mappings.canonical.schema import ENTITY_OF, encode
from mappings.errors import MappingError
from mappings.magister import MAPPING
from mappings.mapping import Mapped

SCOPE_YEAR = 2026


def everything(resource: str, *, without: tuple[str, ...] = ()) -> DeliveryContract:
    paths = field_paths(MODELS[resource][0])
    return DeliveryContract({path: path not in without for path in paths})


def mapped(resource: str, body: dict[str, Any], *without: str) -> Mapped:
    parsed = MAGISTER.parse(resource, msgspec.json.encode(body))
    scope = Scope(resource, "HUIDIG", schooljaar=SCOPE_YEAR)
    return MAPPING.map(
        resource, parsed.record, contract=everything(resource, without=without), scope=scope
    )


def told(resource: str, body: dict[str, Any], *without: str) -> list[dict[str, Any]]:
    """What comes out: entity and the fields that are delivered."""
    return [
        {"entity": str(ENTITY_OF[type(record)]), **msgspec.json.decode(encode(record))}
        for record in mapped(resource, body, *without).records
    ]


AANMELDING = {
    "aanmelding_id": "501",
    "lesperiode": "2627",
    "begindatum": "2026-08-01",
    "einddatum": "2027-07-31",
    "klas_id": "88",
    "klas": "P3A",
    "studie_id": "7",
    "studie": "PRO3",
    "leerjaar": "3",
    "locatie_id": "11",
    "pro_indicatie": "1",
    "mentor1_pers_id": "700",
    "mentor2_pers_id": "701",
}
LEERLING = {
    "leer_id": "30000",
    "stamnr": "00123",
    "roepnaam": "Noor",
    "voorletters": "N.M.",
    "tussenvoegsel": "van der",
    "achternaam": "Zand",
    "geslacht": "V",
    "geboortedatum": "14-03-2010",
    "email": "Noor@Voorbeeld.Example",
    "mobiel": "06 12345678",
    "login": "noor",
    "aanmeldingen": [AANMELDING],
}
GOLDEN: dict[str, tuple[str, dict[str, Any], list[dict[str, Any]]]] = {
    "a pupil with an enrolment": (
        "leerling",
        LEERLING,
        [
            {
                "entity": "leerling",
                "key": "30000",
                "achternaam": "Zand",
                "voorvoegsel": "van der",
                "roepnaam": "Noor",
                "voornamen": None,
                "voorletters": "N.M.",
                "geslacht": "V",
                "geboortedatum": "2010-03-14",
                "leerlingnummer": "123",
                "eck_id": None,
                "bsn": None,
                "onderwijsnummer": None,
                "email": "Noor@voorbeeld.example",
                "mobiel": "+31612345678",
                "gebruikersnaam": "noor",
            },
            {
                "entity": "inschrijving",
                "key": "501",
                "leerling": "30000",
                "vestiging": "11",
                "opleiding": "7",
                "stamgroep": "88/2627",
                "mentor": "700",
                "schooljaar": "2026/2027",
                "leerjaar": 3,
                "kenmerken": ["PRO-indicatie"],
                "geldig_van": "2026-08-01",
                "geldig_tot": "2027-08-01",
            },
        ],
    ),
    "a guardian of two children": (
        "verzorger",
        {
            "verzorger_id": "9",
            "achternaam": "Zand",
            "email": "ouder@voorbeeld.example",
            "geheim": "1",
            "kinderen": [
                {"leer_id": "30000", "volgnummer": "1", "relatie": "Moeder", "gezag": "1"},
                {"leer_id": "30001", "gezag": "0"},
            ],
        },
        [
            {
                "entity": "verzorger",
                "key": "9",
                "achternaam": "Zand",
                "voorvoegsel": None,
                "voorletters": None,
                "email": "ouder@voorbeeld.example",
                "telefoon_geheim": True,
                "adres_geheim": True,
            },
            {
                "entity": "verzorger_relatie",
                "key": "9/30000",
                "verzorger": "9",
                "leerling": "30000",
                "relatiesoort": "Moeder",
                "volgnummer": 1,
                "ouderlijk_gezag": True,
            },
            {
                "entity": "verzorger_relatie",
                "key": "9/30001",
                "verzorger": "9",
                "leerling": "30001",
                "relatiesoort": None,
                "volgnummer": None,
                "ouderlijk_gezag": False,
            },
        ],
    ),
    "a teaching group": (
        "groep",
        {
            "groep_id": "42",
            "lesperiode": "2728",
            "groep": "p3.kokA",
            "is_stamklas": "0",
            "locatie_id": "11",
            "mentor1_pers_id": "700",
            "mentor3_pers_id": "702",
            "leden": [
                {"leer_id": "2", "vak_code": "kok"},
                {"leer_id": "1", "vak_code": "kok"},
            ],
            "docenten": [{"pers_id": "700", "vak_code": "kok"}],
        },
        [
            {
                "entity": "groep",
                "key": "42/2728",
                "naam": "p3.kokA",
                "soort": "lesgroep",
                "omschrijving": None,
                "schooljaar": "2027/2028",
                "vestiging": "11",
                "vak": "kok",
                "leerlingen": ["1", "2"],
                "docenten": ["700"],
                "eerste_mentoren": ["700"],
                "tweede_mentoren": ["702"],
                "geldig_van": "2027-08-01",
                "geldig_tot": "2028-08-01",
            }
        ],
    ),
    "a member of staff who left": (
        "medewerker",
        {
            "pers_id": "700",
            "stamnr": "51000",
            "code": "*DIJ",
            "achternaam": "Dijk",
            "email_werk": "dij@voorbeeld.example",
            "datum_in": "20160801",
            "datum_uit": "2027-01-31T00:00:00",
            "locatie_id": "11",
        },
        [
            {
                "entity": "medewerker",
                "key": "700",
                "achternaam": "Dijk",
                "voorvoegsel": None,
                "roepnaam": None,
                "voorletters": None,
                "personeelsnummer": "51000",
                "afkorting": "DIJ",
                "gebruikersnaam": None,
                "email": "dij@voorbeeld.example",
                "hoofdvestiging": "11",
                "geldig_van": "2016-08-01",
                "geldig_tot": "2027-02-01",
            }
        ],
    ),
    "a location": (
        "vestiging",
        {"locatie_id": "11", "omschrijving": "De Haven", "brin": "99xx", "nevenvestiging": "1"},
        [
            {
                "entity": "vestiging",
                "key": "11",
                "naam": "De Haven",
                "afkorting": None,
                "vestigingsnummer": "99XX01",
                "brins": ["99XX01"],
            }
        ],
    ),
    "a programme": (
        "studie",
        {"studie_id": "7", "studie": "PRO3", "ilt_codes": ["0090"]},
        [
            {
                "entity": "opleiding",
                "key": "7",
                "naam": "PRO3",
                "afkorting": "PRO3",
                "code": "0090",
            }
        ],
    ),
    "a subject": (
        "vak",
        {"vak_code": "kok", "omschrijving": "Koken"},
        [{"entity": "vak", "key": "kok", "naam": "Koken", "afkorting": "kok"}],
    ),
    "a pupil of the fixed functions": (
        "actieve_leerling",
        {
            "stamnr_str": "20341",
            "lesperiode": "2627",
            "achternaam": "Zand",
            "geb_datum_str": "14-03-2010",
            "leerfase.leerjaar": "3",
            "administratieve_eenheid.omschrijving": "De Haven",
            "straat": "Kade",
            "nr": "12",
            "nr.tv": "b",
            "postcode": "1234 ab",
            "plaats.woonplaats": "Voorbeeldstad",
            "telefoon": "0101234567",
            "telefoon_2": "0612345678",
            "tel._1_geheim": "False",
            "personeelslid.volledige_naam": "Dijk, Karin",
        },
        [
            {
                "entity": "leerling",
                "key": "stamnr:20341",
                "achternaam": "Zand",
                "voorvoegsel": None,
                "roepnaam": None,
                "voorletters": None,
                "geslacht": None,
                "geboortedatum": "2010-03-14",
                "leerlingnummer": "20341",
                "email": None,
                "mobiel": "+31612345678",
                "telefoon": "+31101234567",
                "telefoon_geheim": False,
                "adres": {
                    "straat": "Kade",
                    "huisnummer": "12",
                    "toevoeging": "b",
                    "postcode": "1234AB",
                    "woonplaats": "Voorbeeldstad",
                    "land": None,
                    "regels": None,
                },
                "gebruikersnaam": None,
            },
            {
                "entity": "inschrijving",
                "key": "stamnr:20341/2627",
                "leerling": "stamnr:20341",
                "schooljaar": "2026/2027",
                "leerjaar": 3,
            },
        ],
    ),
    "a group of the fixed functions": (
        "lesgroep",
        {
            "lesgroep": "11286",
            "lesperiode": "2627",
            "groep": "p3.kokA",
            "is_stamklas": "0",
            "leden": ["20341"],
            "docenten": ["11"],
            "vakken": ["kok"],
        },
        [
            {
                "entity": "groep",
                "key": "lesgroep:11286/2627",
                "naam": "p3.kokA",
                "soort": "lesgroep",
                "schooljaar": "2026/2027",
                "vak": "kok",
                "leerlingen": ["stamnr:20341"],
                "docenten": ["stamnr:11"],
                "geldig_van": "2026-08-01",
                "geldig_tot": "2027-08-01",
            }
        ],
    ),
    "a pupil's account": (
        "gebruiker",
        {
            "id": "u1",
            "userName": "noor",
            "name": {"givenName": "Noor", "middleName": "van der", "familyName": "Zand"},
            "active": True,
            "leerlingnummer": "20341",
        },
        [
            {
                "entity": "leerling",
                "key": "scim:u1",
                "achternaam": "Zand",
                "voorvoegsel": "van der",
                "roepnaam": "Noor",
                "leerlingnummer": "20341",
                "gebruikersnaam": "noor",
            }
        ],
    ),
    "an account of somebody else": ("gebruiker", {"id": "u2", "userName": "dij"}, []),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_golden_form_of_each_record(name: str) -> None:
    resource, body, expected = GOLDEN[name]
    assert told(resource, body) == expected


# -- dates ----------------------------------------------------------------------------------------


def stay(*without: str, **columns: str | None) -> dict[str, Any]:
    given = {k: v for k, v in {**AANMELDING, **columns}.items() if v is not None}
    body = {**LEERLING, "aanmeldingen": [given]}
    return told("leerling", body, *without)[1]


@pytest.mark.assumed("einddatum and vertrekdatum are the last day, counted in")
@pytest.mark.parametrize(
    ("einddatum", "vertrekdatum", "end"),
    [
        ("2027-07-31", None, "2027-08-01"),
        ("2027-07-31", "2026-12-18", "2026-12-19"),
        ("2026-12-18", "2027-07-31", "2026-12-19"),
        (None, "2026-12-18", "2026-12-19"),
        (None, None, None),
        ("2027-07-31", "2026-07-01", "2026-08-01"),  # left before his first day: no day at all
    ],
)
def test_a_stay_ends_on_the_earlier_day(
    einddatum: str | None, vertrekdatum: str | None, end: str | None
) -> None:
    assert stay(einddatum=einddatum, vertrekdatum=vertrekdatum)["geldig_tot"] == end


def test_an_end_without_the_column_of_leavers_is_not_delivered() -> None:
    assert "geldig_tot" not in stay("aanmeldingen.vertrekdatum")
    assert "geldig_tot" not in stay(vertrekdatum="onbekend")


def test_a_class_is_known_by_its_period() -> None:
    assert stay(lesperiode="2728")["stamgroep"] == "88/2728"
    assert stay(klas_id=None, klas=None)["stamgroep"] is None


def test_an_odd_code_of_a_period_takes_the_year_of_the_scope() -> None:
    assert stay(lesperiode="26A")["schooljaar"] == "2026/2027"


def test_a_pupil_whose_enrolments_cannot_be_read_is_silent_about_them() -> None:
    broken = {**LEERLING, "aanmeldingen": [{"lesperiode": "2627"}]}
    found = mapped("leerling", broken)
    assert [ENTITY_OF[type(record)] for record in found.records] == [Entity.LEERLING]
    assert found.is_silent_on("inschrijving", "501")


# -- groups, subjects, codes -----------------------------------------------------------------------


def groep(**columns: object) -> dict[str, Any]:
    return told("groep", {**GOLDEN["a teaching group"][1], **columns})[0]


def test_members_that_are_not_known_are_not_delivered_and_none_is_nobody() -> None:
    assert "leerlingen" not in groep(leden=None)
    assert groep(leden=[])["leerlingen"] == []


def test_a_group_of_several_subjects_has_none_and_a_class_says_nothing_of_it() -> None:
    many = [{"leer_id": "1", "vak_code": "kok"}, {"leer_id": "1", "vak_code": "bak"}]
    assert groep(leden=many)["vak"] is None
    home = groep(is_stamklas="1")
    assert home["soort"] == "stamgroep"
    assert "vak" not in home


def test_a_group_that_does_not_say_what_it_is_is_set_apart() -> None:
    body = {**GOLDEN["a teaching group"][1], "is_stamklas": "misschien"}
    with pytest.raises(MappingError) as caught:
        told("groep", body)
    assert caught.value.path == "is_stamklas"


def test_a_programme_with_several_national_codes_has_none() -> None:
    found = told("studie", {"studie_id": "7", "studie": "PRO", "ilt_codes": ["0090", "0100"]})
    assert "code" not in found[0]


@pytest.mark.parametrize(
    ("code", "shown"),
    [("*DIJ", "DIJ"), ("DIJ*", "DIJ"), ("_DIJ", "DIJ"), ("D_J", "D_J"), ("*", None)],
)
def test_marks_are_taken_off_a_code(code: str, shown: str | None) -> None:
    body = {**GOLDEN["a member of staff who left"][1], "code": code}
    assert told("medewerker", body)[0]["afkorting"] == shown


# -- what is secret -------------------------------------------------------------------------------


def test_a_secret_number_that_is_left_out_is_not_empty() -> None:
    guardian = {"verzorger_id": "9", "achternaam": "Zand", "geheim": "1", "kinderen": []}
    assert "telefoon" not in told("verzorger", guardian)[0]
    assert told("verzorger", {**guardian, "geheim": "0"})[0]["telefoon"] is None
    shown = told("verzorger", {**guardian, "telefoon": "0101234567"})[0]
    assert (shown["telefoon"], shown["telefoon_geheim"]) == ("+31101234567", True)


def test_a_flag_that_cannot_be_read_hides_the_number() -> None:
    guardian = {"verzorger_id": "9", "achternaam": "Z", "geheim": "?", "telefoon": "0101234567"}
    found = told("verzorger", {**guardian, "kinderen": []})[0]
    assert "telefoon" not in found
    assert "telefoon_geheim" not in found


def test_a_second_number_that_is_no_mobile_one_is_not_taken_for_it() -> None:
    pupil = GOLDEN["a pupil of the fixed functions"][1]
    assert "mobiel" not in told("actieve_leerling", {**pupil, "telefoon_2": "0101234567"})[0]


def test_a_location_without_a_key_is_not_delivered_and_one_with_a_key_is() -> None:
    pupil = GOLDEN["a pupil of the fixed functions"][1]
    assert "vestiging" not in told("actieve_leerling", pupil)[1]
    assert told("actieve_leerling", {**pupil, "locatie_id": "11"})[1]["vestiging"] == "11"


# -- identity -------------------------------------------------------------------------------------


def test_no_key_of_one_mode_is_that_of_another() -> None:
    keys: dict[str, set[str]] = {}
    for resource, body, _ in GOLDEN.values():
        for record in mapped(resource, body).records:
            keys.setdefault(f"{ENTITY_OF[type(record)]}", set()).add(record.key)
    assert {key.partition(":")[0] for key in keys["leerling"]} == {"30000", "stamnr", "scim"}
    assert len(keys["groep"]) == 2


def test_an_account_without_a_delivered_number_says_nothing_of_a_pupil() -> None:
    found = mapped("gebruiker", {"id": "u1"}, "leerlingnummer")
    assert found.is_silent_on("leerling", "scim:u1")


def test_every_row_has_a_trial() -> None:
    for resource, body, _ in GOLDEN.values():
        record = MAGISTER.parse(resource, msgspec.json.encode(body)).record
        scope = Scope(resource, "HUIDIG", schooljaar=SCOPE_YEAR)
        rows = MAPPING.trial(resource, record, contract=everything(resource), scope=scope)
        assert bool(rows) is (body.get("id") != "u2")
