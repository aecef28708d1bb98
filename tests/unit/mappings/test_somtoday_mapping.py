"""Somtoday's records in the canonical schema, rule by rule. Everything here is synthetic."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from connectors.base import DeliveryContract, Scope
from connectors.protocols.parsing import SourceModel, parse_model
from connectors.somtoday.permissions import contract_of
from connectors.somtoday.wire import ENDPOINTS
from mappings.canonical.fields import NOT_DELIVERED, Adres, Canonical, Entity
from mappings.canonical.onderwijs import Advies, Groep, Inschrijving, Toetsresultaat
from mappings.canonical.organisatie import Instelling, Opleiding, Vak, Vestiging
from mappings.canonical.personen import Leerling, Medewerker, Verzorger, VerzorgerRelatie
from mappings.errors import MappingError
from mappings.mapping import Mapped, State, Strength
from mappings.somtoday import MAPPING


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


VESTIGING, LEERLING, ANDER, VERZORGER, PLAATSING, STAMGROEP, VAK, TOETS, DEEL = map(uuid, range(9))


def contract(resource: str, *without: str) -> DeliveryContract:
    """Everything is delivered but the fields that are named."""
    model: type[SourceModel] = ENDPOINTS[resource].model
    return contract_of(resource, model, permissions=None, drop=frozenset(without))


def mapped(resource: str, *without: str, year: int | None = 2026, **fields: Any) -> Mapped:
    body = msgspec.json.encode({"uuid": LEERLING, **fields})
    parsed = parse_model(ENDPOINTS[resource].model, body)
    scope = Scope(resource, f"{VESTIGING}/HUIDIG", schooljaar=year)
    return MAPPING.map(resource, parsed.record, contract=contract(resource, *without), scope=scope)


def only(found: Mapped, kind: type[Canonical]) -> Any:
    (record,) = [record for record in found.records if type(record) is kind]
    return record


def leerling(*without: str, **fields: Any) -> Mapped:
    return mapped("leerling", *without, **{"achternaam": "Zand", **fields})


# -- organisation --------------------------------------------------------------------------------


def test_an_instelling_has_its_first_brin() -> None:
    made = only(mapped("instelling", naam="Stichting", brins=["99XX", "98XX"]), Instelling)
    assert (made.naam, made.brin, made.brins) == ("Stichting", "99XX", ("99XX", "98XX"))


def test_a_vestiging_has_its_vestigingsnummer_and_delivery_address() -> None:
    identifiers = [{"brinnr": "99XX01"}, {"brinnr": "99XX01", "digideliveryid": "d"}]
    found = mapped("vestiging", naam="Haven", brins=["99XX01"], externalidentifiers=identifiers)
    made = only(found, Vestiging)
    assert (made.vestigingsnummer, made.brins, made.digideliveryid) == ("99XX01", ("99XX01",), "d")


def test_a_number_that_is_no_vestigingsnummer_is_dropped_with_one_warning() -> None:
    found = mapped("vestiging", naam="Haven", brins=["99XX"])
    assert only(found, Vestiging).brins is NOT_DELIVERED
    assert [problem.path for problem in found.problems] == ["brins"]


def test_vak_and_opleiding_belong_to_the_vestiging_that_was_read() -> None:
    assert only(mapped("vak", naam="Koken"), Vak).vestiging == VESTIGING
    found = mapped("opleiding", naam="PrO", leerjaren=[2, 1], vanafschooljaar="2026-2027")
    made = only(found, Opleiding)
    assert made.vestiging == VESTIGING
    assert made.leerjaren == (1, 2)
    assert made.vanaf_schooljaar == "2026/2027"


# -- groups --------------------------------------------------------------------------------------


def stamgroep(*without: str, year: int | None = 2026, **fields: Any) -> Groep:
    found = mapped("stamgroep", *without, year=year, **{"naam": "P3A", **fields})
    made: Groep = only(found, Groep)
    return made


def test_a_stamgroep_belongs_to_the_schooljaar_that_it_was_read_for() -> None:
    made, next_year = stamgroep(), stamgroep(year=2027)
    assert (made.soort, made.schooljaar, made.vestiging) == ("stamgroep", "2026/2027", VESTIGING)
    assert (made.geldig_van, made.geldig_tot) == (date(2026, 8, 1), date(2027, 8, 1))
    assert made.key == f"{LEERLING}/2026"
    assert next_year.key == f"{LEERLING}/2027"


def test_without_a_schooljaar_nothing_is_made_up() -> None:
    made = stamgroep(year=None)
    assert made.key == LEERLING
    assert made.schooljaar is made.geldig_van is made.geldig_tot is NOT_DELIVERED


def test_members_are_sorted_and_unique() -> None:
    made = stamgroep(leerlingen=[{"uuid": uuid(9)}, {"uuid": uuid(3)}, {"uuid": uuid(9)}])
    assert made.leerlingen == (uuid(3), uuid(9))
    assert stamgroep(leerlingen=[]).leerlingen == ()
    assert stamgroep("leerlingen", leerlingen=[]).leerlingen is NOT_DELIVERED


MENTOREN = [
    {"medewerker_uuid": uuid(5), "toewijzing": "TweedeMentorStamgroep"},
    {"medewerker_uuid": uuid(7), "toewijzing": "EersteMentorStamgroep"},
    {"medewerker_uuid": uuid(6), "toewijzing": "EersteMentorStamgroep"},
]


def test_mentors_are_told_apart_by_their_kind() -> None:
    made = stamgroep(mentoren=MENTOREN)
    assert (made.eerste_mentoren, made.tweede_mentoren) == ((uuid(6), uuid(7)), (uuid(5),))


def test_each_kind_of_mentor_has_its_own_permission() -> None:
    permissions = {"naam": True, "eerste_mentor_stamgroep": True, "tweede_mentor_stamgroep": False}
    model = ENDPOINTS["stamgroep"].model
    terms = contract_of("stamgroep", model, permissions=permissions)
    body = msgspec.json.encode({"uuid": STAMGROEP, "naam": "P3A", "mentoren": MENTOREN})
    found = MAPPING.map(
        "stamgroep",
        parse_model(model, body).record,
        contract=terms,
        scope=Scope("stamgroep", VESTIGING),
    )
    made = only(found, Groep)
    assert made.eerste_mentoren == (uuid(6), uuid(7))
    assert made.tweede_mentoren is NOT_DELIVERED


def test_a_mentor_of_unknown_kind_makes_every_kind_unknown() -> None:
    made = stamgroep(mentoren=[*MENTOREN, {"medewerker_uuid": uuid(8), "toewijzing": "Anders"}])
    assert made.eerste_mentoren is made.tweede_mentoren is NOT_DELIVERED


def lesgroep(*without: str, **fields: Any) -> Groep:
    made: Groep = only(mapped("lesgroep", *without, **{"naam": "p3aKOK1", **fields}), Groep)
    return made


def test_a_lesgroep_has_its_own_schooljaar_vak_and_members() -> None:
    made = lesgroep(
        schooljaar="2025/2026",
        vakuuid=VAK,
        vestiging={"uuid": ANDER},
        docenten=[uuid(9), uuid(3)],
        leerlingen=[{"uuid": LEERLING}],
    )
    assert (made.key, made.soort, made.schooljaar) == (LEERLING, "lesgroep", "2025/2026")
    assert (made.geldig_van, made.geldig_tot) == (date(2025, 8, 1), date(2026, 8, 1))
    assert (made.vak, made.vestiging, made.docenten) == (VAK, ANDER, (uuid(3), uuid(9)))


def test_what_a_lesgroep_does_not_say_its_scope_knows() -> None:
    made = lesgroep("schooljaar", "vestiging")
    assert (made.schooljaar, made.vestiging) == ("2026/2027", VESTIGING)
    assert lesgroep().vak is None


# -- persons -------------------------------------------------------------------------------------


def test_a_leerling_is_mapped_field_by_field() -> None:
    made = only(
        leerling(
            voorvoegsel="van der",
            geslacht="VROUW",
            geboortedatum="2010-03-14",
            leerlingnummer=100234,
            mobielnummer="06 10000001",
            emailadres="100234@leerling.example",
            wenstContactViaEMail=True,
            onderwijsSinds="2014-08-01",
        ),
        Leerling,
    )
    assert (made.achternaam, made.voorvoegsel, made.geslacht) == ("Zand", "van der", "V")
    assert (made.geboortedatum, made.onderwijs_sinds) == (date(2010, 3, 14), date(2014, 8, 1))
    assert made.leerlingnummer.reveal() == "100234"
    assert (made.mobiel, made.contact_via_email) == ("+31610000001", True)
    assert made.roepnaam is None


def test_a_leerling_without_a_surname_is_refused() -> None:
    with pytest.raises(MappingError) as caught:
        leerling(achternaam=None)
    assert caught.value.path == "achternaam"


def test_an_invalid_identifier_is_dropped_with_a_warning_that_holds_no_value() -> None:
    found = leerling(eckid="https://ketenid.nl/canary", BSN="123456789")
    made = only(found, Leerling)
    assert made.eck_id is made.bsn is NOT_DELIVERED
    assert {problem.path for problem in found.problems} == {"eckid", "BSN"}
    assert "canary" not in str(found.problems)
    assert "123456789" not in str(found.problems)


ADRES = {"postcode": "1234 ab", "straat": "Kade", "huisnummer": "12b"}


def test_an_address_is_mapped_and_absent_is_empty() -> None:
    made = only(leerling(adres=ADRES, adres_geheim=False), Leerling)
    assert made.adres == Adres(postcode="1234AB", straat="Kade", huisnummer="12", toevoeging="b")
    assert only(leerling(adres_geheim=False), Leerling).adres is None


def test_a_secret_address_that_is_left_out_does_not_erase_the_stored_one() -> None:
    made = only(leerling(adres_geheim=True), Leerling)
    assert made.adres is NOT_DELIVERED
    assert made.adres_geheim is True


def test_an_unreadable_flag_lets_no_address_or_number_through() -> None:
    made = only(
        leerling(
            adres=ADRES,
            adres_geheim="ja",
            mobielnummer="0610000001",
            telefoonnummer="0101234567",
            telefoonnummer_geheim="ja",
        ),
        Leerling,
    )
    assert made.adres is made.mobiel is made.telefoon is NOT_DELIVERED
    assert made.adres_geheim is made.telefoon_geheim is NOT_DELIVERED


def test_a_secret_flag_counts_even_where_it_is_not_permitted() -> None:
    made = only(
        leerling("telefoonnummer_geheim", mobielnummer="0610000001", telefoonnummer_geheim=True),
        Leerling,
    )
    assert made.telefoon_geheim is True


def test_secret_flags_are_strong() -> None:
    strong = {entity: set(fields) for entity, fields in MAPPING.strengths.items()}
    assert strong == {
        Entity.LEERLING: {"adres_geheim", "telefoon_geheim"},
        Entity.VERZORGER: {"adres_geheim", "telefoon_geheim", "mobiel_werk_geheim"},
        Entity.MEDEWERKER: {"adres_geheim", "telefoon_geheim"},
    }
    assert {s for fields in MAPPING.strengths.values() for s in fields.values()} == {
        Strength.STRONG
    }


def test_a_leerling_holds_the_relations_to_verzorgers() -> None:
    found = leerling(verzorgers=[{"uuid": VERZORGER, "volgnummer": 1}])
    made = only(found, VerzorgerRelatie)
    assert made.key == f"{VERZORGER}/{LEERLING}"
    assert (made.verzorger, made.leerling, made.volgnummer) == (VERZORGER, LEERLING, 1)
    assert made.relatiesoort is NOT_DELIVERED


def test_the_advice_of_the_previous_school_is_a_record_of_its_own() -> None:
    made = only(leerling(adviesSchoolVanHerkomst="PrO"), Advies)
    assert (made.leerling, made.advies) == (LEERLING, "PrO")


def test_a_list_that_is_not_shared_is_no_evidence_of_absence() -> None:
    lists = ("plaatsingen", "verzorgers", "adviesSchoolVanHerkomst")
    assert leerling().silent == frozenset()
    found = leerling(*lists)
    assert found.silent == {Entity.INSCHRIJVING, Entity.VERZORGER_RELATIE, Entity.ADVIES}


def test_a_list_that_broke_a_rule_is_no_evidence_of_absence() -> None:
    found = leerling(verzorgers=[{"uuid": "no uuid"}])
    assert found.is_silent_on("verzorger_relatie", "any")
    assert not found.is_silent_on("inschrijving", "any")


def test_a_verzorger_and_the_relations_that_he_has() -> None:
    found = mapped(
        "ouderVerzorger",
        achternaam="de Wit",
        relatie_tot_leerlingen=[
            {
                "uuid": ANDER,
                "relatiesoort": "Moeder",
                "ouderlijk_gezag": True,
                "mag_post_ontvangen": False,
            }
        ],
    )
    assert only(found, Verzorger).achternaam == "de Wit"
    relatie = only(found, VerzorgerRelatie)
    assert relatie.key == f"{LEERLING}/{ANDER}"
    assert (relatie.relatiesoort, relatie.ouderlijk_gezag, relatie.ontvangt_post) == (
        "Moeder",
        True,
        False,
    )
    assert relatie.volgnummer is NOT_DELIVERED


def verzorger(*without: str, **fields: Any) -> Verzorger:
    found = mapped("ouderVerzorger", *without, **{"achternaam": "Wit", **fields})
    made: Verzorger = only(found, Verzorger)
    return made


def test_the_home_number_wins_from_the_first_known_number() -> None:
    numbers = {"telefoonnummer": "0610000002", "uitgebreidTelefoonnummer": "0101234567"}
    assert verzorger(**numbers).telefoon == "+31101234567"
    assert verzorger("uitgebreidTelefoonnummer", **numbers).telefoon == "+31610000002"


def test_the_first_known_number_is_not_taken_where_the_work_number_is_secret() -> None:
    made = verzorger(
        "uitgebreidTelefoonnummer", telefoonnummer="0610000002", mobielwerknummer_geheim=True
    )
    assert made.telefoon is NOT_DELIVERED
    assert made.mobiel_werk_geheim is True


def medewerker(**fields: Any) -> Medewerker:
    made: Medewerker = only(mapped("medewerker", **{"achternaam": "Dijk", **fields}), Medewerker)
    return made


@pytest.mark.parametrize(
    ("written", "number"),
    [("Medewerker 51001", "51001"), ("51001", "51001"), ("Medewerker ", None), (" ", None)],
)
def test_the_personnel_number_loses_the_word(written: str, number: str | None) -> None:
    assert medewerker(medewerkernummer=written).personeelsnummer == number


def test_service_is_half_open() -> None:
    made = medewerker(datum_in_dienst="2019-08-01", datum_uit_dienst="2026-07-31")
    assert (made.geldig_van, made.geldig_tot) == (date(2019, 8, 1), date(2026, 8, 1))
    assert medewerker(datum_in_dienst="2019-08-01").geldig_tot is None


def test_the_main_vestiging_is_a_reference() -> None:
    assert medewerker(hoofdvestiging={"uuid": ANDER}).hoofdvestiging == ANDER


# -- placements ----------------------------------------------------------------------------------


def inschrijvingen(*without: str, **plaatsing: object) -> Mapped:
    return leerling(*without, plaatsingen=[plaatsing])


def test_a_plaatsing_is_an_inschrijving_with_references() -> None:
    made = only(
        inschrijvingen(
            uuid=PLAATSING,
            schooljaar="2026/2027",
            startdatum="2026-08-01",
            einddatum="2027-07-31",
            leerjaar=3,
            opleiding={"uuid": ANDER, "naam": "PrO"},
            stamgroep={"uuid": STAMGROEP, "naam": "P3A"},
            mentoren=[*MENTOREN, {"medewerker_uuid": uuid(8), "toewijzing": "Plaatsing"}],
            opleidingskenmerken=["b", "a"],
        ),
        Inschrijving,
    )
    assert (made.key, made.leerling, made.vestiging) == (PLAATSING, LEERLING, VESTIGING)
    assert (made.opleiding, made.stamgroep) == (ANDER, f"{STAMGROEP}/2026")
    assert made.stamgroep == stamgroep(uuid=STAMGROEP).key
    assert (made.mentor, made.leerjaar, made.kenmerken) == (uuid(8), 3, ("a", "b"))
    assert (made.geldig_van, made.geldig_tot) == (date(2026, 8, 1), date(2027, 8, 1))


def test_the_stamgroep_is_that_of_the_placement_s_own_schooljaar() -> None:
    made = only(
        inschrijvingen(uuid=PLAATSING, schooljaar="2027/2028", stamgroep={"uuid": STAMGROEP}),
        Inschrijving,
    )
    assert made.stamgroep == f"{STAMGROEP}/2027"
    broken = inschrijvingen(uuid=PLAATSING, schooljaar="ooit", stamgroep={"uuid": STAMGROEP})
    assert only(broken, Inschrijving).stamgroep == f"{STAMGROEP}/2026"
    assert [problem.path for problem in broken.problems] == ["plaatsingen[0].schooljaar"]


def test_without_a_uuid_the_leerling_and_the_first_day_are_the_key() -> None:
    found = inschrijvingen(startdatum="2026-08-01")
    assert only(found, Inschrijving).key == f"{LEERLING}/2026-08-01"


@pytest.mark.parametrize("plaatsing", [{}, {"uuid": "kapot", "startdatum": "2026-08-01"}])
def test_a_plaatsing_without_an_identity_is_no_evidence_of_absence(
    plaatsing: dict[str, object],
) -> None:
    good = {"uuid": PLAATSING}
    found = leerling(plaatsingen=[plaatsing, good])
    assert [r.key for r in found.records if type(r) is Inschrijving] == [PLAATSING]
    assert found.is_silent_on("inschrijving", "any")
    assert found.problems[0].path == "plaatsingen[0]"


def test_a_plaatsing_that_ends_before_it_begins_loses_its_end() -> None:
    found = inschrijvingen(uuid=PLAATSING, startdatum="2026-08-01", einddatum="2026-07-01")
    made = only(found, Inschrijving)
    assert (made.geldig_van, made.geldig_tot) == (date(2026, 8, 1), NOT_DELIVERED)
    assert found.problems[0].path == "plaatsingen[0].einddatum"


def test_two_placements_with_one_uuid_give_the_latest_in_any_order() -> None:
    one = {"uuid": PLAATSING, "startdatum": "2025-08-01"}
    two = {"uuid": PLAATSING, "startdatum": "2026-08-01"}
    for order in ([one, two], [two, one]):
        found = leerling(plaatsingen=order)
        assert only(found, Inschrijving).geldig_van == date(2026, 8, 1)
        assert found.problems[0].path == "plaatsingen[1]"


def test_a_plaatsing_by_itself_leaves_the_leerling_to_the_leerling() -> None:
    made = only(mapped("plaatsing", startdatum="2026-08-01"), Inschrijving)
    assert (made.key, made.vestiging, made.leerling) == (LEERLING, VESTIGING, NOT_DELIVERED)


# -- results -------------------------------------------------------------------------------------


def dossier(*without: str, **periode: object) -> Mapped:
    vak = {
        "vakuuid": VAK,
        "niveau": "PRO 3",
        "leerjaar": 3,
        "periodes": [{"periode": 1, **periode}],
    }
    return mapped("voortgangsdossier", *without, leerling_uuid=LEERLING, voortgangsdossiers=[vak])


RESULTAAT = {
    "uuid": TOETS,
    "omschrijving": "Snijden",
    "toetsType": "SAMENGESTELDETOETS",
    "weging": 2,
    "geldend_resultaat": "7,2",
    "pogingen": [{"resultaat": "5.5", "poging": 1}, {"resultaat": "V", "poging": 2}],
    "deeltoetsen": [{"uuid": DEEL, "geldend_resultaat": "8", "pogingen": [{"resultaat": "8"}]}],
}


def results(found: Mapped) -> dict[str, Toetsresultaat]:
    return {
        record.key.removeprefix(f"{LEERLING}/"): record
        for record in found.records
        if isinstance(record, Toetsresultaat)
    }


def test_a_result_keeps_its_mark_as_given_and_as_a_number() -> None:
    found = results(dossier(resultaten=[RESULTAAT]))
    made = found[TOETS]
    assert (made.resultaat, made.getal, made.weging, made.geldend) == ("7,2", 7.2, 2, True)
    assert (made.vak, made.schooljaar, made.periode, made.leerjaar, made.niveau) == (
        VAK,
        "2026/2027",
        1,
        3,
        "PRO 3",
    )
    assert (made.leerling, made.soort) == (LEERLING, "samengestelde_toets")


def test_attempts_and_parts_refer_to_their_result() -> None:
    found = results(dossier(resultaten=[RESULTAAT]))
    assert set(found) == {TOETS, f"{TOETS}/1", f"{TOETS}/2", DEEL, f"{DEEL}/1"}
    second = found[f"{TOETS}/2"]
    assert (second.soort, second.poging, second.resultaat, second.getal, second.geldend) == (
        "poging",
        2,
        "V",
        None,
        False,
    )
    assert second.bovenliggend == found[TOETS].key
    assert (found[DEEL].soort, found[DEEL].bovenliggend) == ("deeltoets", found[TOETS].key)
    assert found[f"{DEEL}/1"].bovenliggend == found[DEEL].key


def test_averages_of_a_period_are_results_of_their_own_kind() -> None:
    found = results(dossier(periodegemiddelde="7,2", rapportgemiddelde="7"))
    average, report = found[f"{VAK}/2026/2027/1"], found[f"{VAK}/2026/2027/1/rapport"]
    assert (average.soort, average.getal) == ("periodegemiddelde", 7.2)
    assert (report.soort, report.resultaat) == ("rapportgemiddelde", "7")


def test_averages_that_are_not_shared_are_no_evidence_of_absence() -> None:
    found = dossier("voortgangsdossiers.periodes.periodegemiddelde", resultaten=[])
    assert found.is_silent_on("toetsresultaat", f"{LEERLING}/{VAK}/2026/2027/1")
    assert not found.is_silent_on("toetsresultaat", f"{LEERLING}/{TOETS}")


def test_results_that_are_not_shared_are_no_evidence_of_absence() -> None:
    found = dossier("voortgangsdossiers.periodes.resultaten")
    assert found.is_silent_on("toetsresultaat", f"{LEERLING}/{TOETS}")


def test_an_exam_file_gives_final_marks_and_both_halves() -> None:
    vak = {
        "vakUUID": VAK,
        "eindcijfer": "7",
        "se_resultaten": {"se_eindcijfer": "6,9", "se_resultaten": [RESULTAAT]},
        "ce_resultaten": {
            "ce_eindcijfer": "7,1",
            "ce_resultaten": [{"tijdvak": "1", "geldend_resultaat": "7,1"}],
        },
    }
    found = results(mapped("examendossier", leerling_uuid=LEERLING, examendossiers=[vak]))
    marks = {key: (made.soort, made.getal) for key, made in found.items()}
    assert marks == {
        f"examen/{VAK}/eindcijfer": ("eindcijfer", 7.0),
        f"examen/{VAK}/se_eindcijfer": ("se_eindcijfer", 6.9),
        f"examen/{VAK}/ce_eindcijfer": ("ce_eindcijfer", 7.1),
        f"examen/{VAK}/ce/1": ("centraal_examen", 7.1),
        f"examen/{TOETS}": ("schoolexamen", 7.2),
        f"examen/{DEEL}": ("deeltoets", 8.0),
    }


# -- trial, version ------------------------------------------------------------------------------


def test_a_trial_names_the_item_of_a_list() -> None:
    body = {"uuid": LEERLING, "achternaam": "Zand", "plaatsingen": [{"uuid": PLAATSING}]}
    rows = MAPPING.trial(
        "leerling",
        parse_model(ENDPOINTS["leerling"].model, msgspec.json.encode(body)).record,
        contract=contract("leerling"),
        scope=Scope("leerling", f"{VESTIGING}/HUIDIG", schooljaar=2026),
    )
    found = {(row.where, row.target): row for row in rows}
    assert found["", "achternaam"].output == "Zand"
    assert found["plaatsingen[0]", "leerling"].output == LEERLING
    assert found["plaatsingen[0]", "leerjaar"].state is State.EMPTY
    assert found["plaatsingen[0]", "leerjaar"].source == ("plaatsingen.leerjaar",)
