from __future__ import annotations

from typing import Any

import pytest

from fixtures.school.keys import synthetic_bsn
from mappings.canonical.fields import Entity
from sync_engine import pins
from sync_engine.options import Kind as RunKind
from tests.support.hubs import Bench
from tests.unit.sync_engine.conftest import Make

ECK, OTHER = (f"https://ketenid.nl/pilot/{digit * 128}" for digit in "ab")
LEERLING = {"achternaam": "Jansen", "geboortedatum": "2012-03-04", "roepnaam": "Anna"}
GROEP = {"naam": "1A", "soort": "stamgroep", "schooljaar": "2026/2027", "vestiging": "v"}


def vestigingen(bench: Bench) -> None:
    for source in bench.sources.values():
        source.put(Entity.VESTIGING, "v", naam="Haven", vestigingsnummer="99XX01")


def put(bench: Bench, name: str, entity: Entity, key: str, **values: Any) -> None:
    bench.sources[name].put(entity, key, **values)


def together(bench: Bench, entity: Entity, one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether a record of the first source and one of the second are one in the core."""
    put(bench, "s0", entity, "a", **one)
    put(bench, "s1", entity, "b", **other)
    for name in bench.sources:
        bench.sync(name)
    assert not bench.cases()
    return bench.core(entity, "a") == bench.core(entity, "b", "s1")


# -- exact keys ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"bsn": synthetic_bsn(1)}, {"bsn": synthetic_bsn(1)}, True),
        ({"bsn": synthetic_bsn(1)}, {"bsn": synthetic_bsn(2)}, False),
        ({"eck_id": ECK}, {"eck_id": ECK}, True),
        ({"eck_id": ECK}, {"eck_id": OTHER}, False),
        ({"leerlingnummer": "101"}, {"leerlingnummer": "101"}, False),
        ({}, {}, False),
    ],
)
def test_pupils_of_two_koppelingen_are_one_by_personal_numbers_only(
    make: Make, one: dict[str, str], other: dict[str, str], *, same: bool
) -> None:
    base = {"achternaam": "Jansen", "geboortedatum": "2012-03-04"}
    twin = {"achternaam": "Bakker", "geboortedatum": "2012-03-04"}
    assert together(make(2), Entity.LEERLING, base | one, twin | other) is same


@pytest.mark.parametrize(
    ("number", "born", "cores"),
    [
        ("101", "2012-03-04", 1),
        ("101", "2013-05-06", 2),
        ("101", None, 2),
        ("102", "2012-03-04", 2),
    ],
)
def test_a_leerlingnummer_joins_within_one_koppeling_with_the_birth_date(
    make: Make, number: str, born: str | None, cores: int
) -> None:
    bench = make()
    put(bench, "s0", Entity.LEERLING, "a", **LEERLING, leerlingnummer="101")
    second = {**LEERLING, "geboortedatum": born, "leerlingnummer": number}
    put(bench, "s0", Entity.LEERLING, "b", **second)
    bench.sync()
    assert len({bench.core(Entity.LEERLING, key) for key in "ab"}) == cores


def test_one_verzorger_of_a_source_is_one_for_all_siblings(make: Make) -> None:
    bench = make()
    put(bench, "s0", Entity.VERZORGER, "ouder", achternaam="Jansen")
    for key in ("l1", "l2"):
        put(bench, "s0", Entity.LEERLING, key, achternaam="Jansen")
        relation = {"verzorger": "ouder", "leerling": key}
        put(bench, "s0", Entity.VERZORGER_RELATIE, f"ouder/{key}", **relation)
    bench.sync()
    rows = bench.query("SELECT DISTINCT verzorger_id FROM verzorger_relatie")
    assert rows == [(bench.core(Entity.VERZORGER, "ouder"),)]


def test_verzorgers_are_never_merged_by_name_and_address(make: Make) -> None:
    ouder = {"achternaam": "Jansen", "adres": {"straat": "Kade", "postcode": "1234AB"}}
    assert not together(make(2), Entity.VERZORGER, ouder, ouder)


@pytest.mark.parametrize(
    ("key", "same"), [({"eck_id": ECK}, True), ({"personeelsnummer": "7"}, False)]
)
def test_staff_of_two_koppelingen_are_one_by_eck_id_only(
    make: Make, key: dict[str, str], *, same: bool
) -> None:
    person = {"achternaam": "Smit", **key}
    assert together(make(2), Entity.MEDEWERKER, person, person) is same


def test_a_personeelsnummer_joins_within_one_koppeling(make: Make) -> None:
    bench = make()
    for key in "ab":
        put(bench, "s0", Entity.MEDEWERKER, key, achternaam="Smit", personeelsnummer="7")
    bench.sync()
    assert bench.core(Entity.MEDEWERKER, "a") == bench.core(Entity.MEDEWERKER, "b")


@pytest.mark.parametrize(
    ("period", "same"),
    [
        (("2026-08-01", "2027-08-01"), True),
        (("2027-07-31", None), True),
        (("2027-08-01", "2028-08-01"), False),
        (("2025-08-01", "2026-08-01"), False),
        ((None, None), True),
    ],
)
def test_inschrijvingen_are_one_when_their_periods_overlap(
    make: Make, period: tuple[str | None, str | None], *, same: bool
) -> None:
    bench = make(2)
    vestigingen(bench)
    for name in bench.sources:
        put(bench, name, Entity.OPLEIDING, "o", naam="Havo", code="0405")
        put(bench, name, Entity.LEERLING, "l", achternaam="Jansen", eck_id=ECK)
    at = {"leerling": "l", "vestiging": "v", "opleiding": "o"}
    first = at | {"geldig_van": "2026-08-01", "geldig_tot": "2027-08-01"}
    second = at | {"geldig_van": period[0], "geldig_tot": period[1]}
    assert together(bench, Entity.INSCHRIJVING, first, second) is same


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"opleiding": "p"}, True),  # each system names an opleiding in its way
        ({"opleiding": None}, True),
        ({"schooljaar": "2027/2028"}, False),
        ({"schooljaar": "2027/2028", "opleiding": "p"}, False),
        ({"schooljaar": None, "opleiding": "p"}, False),
        ({"vestiging": None}, False),
        ({"geldig_van": "2027-02-01"}, False),
    ],
)
def test_inschrijvingen_of_one_schooljaar_and_vestiging_are_one_in_two_systems(
    make: Make, change: dict[str, str | None], *, same: bool
) -> None:
    bench = make(2)
    vestigingen(bench)
    for name in bench.sources:
        put(bench, name, Entity.OPLEIDING, "o", naam="PrO", code="0090")
        put(bench, name, Entity.OPLEIDING, "p", naam="PrO 3", code="0091")
        put(bench, name, Entity.LEERLING, "l", achternaam="Jansen", eck_id=ECK)
    at = {"leerling": "l", "vestiging": "v", "opleiding": "o", "schooljaar": "2026/2027"}
    first = at | {"geldig_van": "2026-08-01", "geldig_tot": "2027-02-01"}
    second = at | {"geldig_van": "2026-10-01", "geldig_tot": "2027-08-01"} | change
    assert together(bench, Entity.INSCHRIJVING, first, second) is same


def test_two_inschrijvingen_of_one_system_at_one_time_stay_two(make: Make) -> None:
    bench = make(2)
    vestigingen(bench)
    at = {"leerling": "l", "vestiging": "v", "schooljaar": "2026/2027"}
    for name in bench.sources:
        put(bench, name, Entity.LEERLING, "l", achternaam="Jansen", eck_id=ECK)
    for key in "ab":
        put(bench, "s0", Entity.INSCHRIJVING, key, **at)
    bench.sync("s0")
    assert bench.core(Entity.INSCHRIJVING, "a") != bench.core(Entity.INSCHRIJVING, "b")
    put(bench, "s1", Entity.INSCHRIJVING, "c", **at)
    bench.sync("s1")
    assert bench.cases() == [("s1", "inschrijving", "c", "match")]  # which of both, a person says


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"naam": "1a"}, True),
        ({"naam": "1B"}, False),
        ({"soort": "lesgroep"}, False),
        ({"schooljaar": "2027/2028"}, False),
        ({"vestiging": None}, False),
    ],
)
def test_groepen_are_one_by_vestiging_schooljaar_kind_and_name(
    make: Make, change: dict[str, str | None], *, same: bool
) -> None:
    bench = make(2)
    vestigingen(bench)
    assert together(bench, Entity.GROEP, GROEP, GROEP | change) is same


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"code": "0011"}, {"code": "0011", "afkorting": "nl"}, True),
        ({"code": "0011"}, {"code": "0022"}, False),
        ({"afkorting": "ne"}, {"afkorting": "ne"}, True),
        ({"afkorting": "ne", "vestiging": None}, {"afkorting": "ne"}, False),
    ],
)
def test_vakken_are_one_by_national_code_else_by_vestiging_and_abbreviation(
    make: Make, one: dict[str, Any], other: dict[str, Any], *, same: bool
) -> None:
    bench = make(2)
    vestigingen(bench)
    base = {"naam": "Nederlands", "vestiging": "v"}
    assert together(bench, Entity.VAK, base | one, base | other) is same


def test_results_are_never_one_by_their_content(make: Make) -> None:
    bench = make(2)
    for name in bench.sources:
        put(bench, name, Entity.LEERLING, "l", achternaam="Jansen", eck_id=ECK)
    result = {"leerling": "l", "omschrijving": "SO", "resultaat": "7,5"}
    assert not together(bench, Entity.TOETSRESULTAAT, result, result)


# -- doubt -----------------------------------------------------------------------------------------


def test_equal_and_contradicting_keys_open_a_case_and_link_nothing(make: Make) -> None:
    bench = make(2)
    put(bench, "s0", Entity.LEERLING, "a", **LEERLING, bsn=synthetic_bsn(1), eck_id=ECK)
    put(bench, "s1", Entity.LEERLING, "b", **LEERLING, bsn=synthetic_bsn(1), eck_id=OTHER)
    bench.sync("s0")
    report = bench.sync("s1")
    assert bench.cases() == [("s1", "leerling", "b", "contradiction")]
    assert (report.cases, report.situations) == (1, {"disputed": 1})
    assert len(bench.query("SELECT id FROM leerling")) == 1
    assert not bench.query("SELECT * FROM link WHERE koppeling_id = 2")


def test_two_records_of_one_run_that_contradict_each_other_are_not_joined(make: Make) -> None:
    bench = make()
    put(bench, "s0", Entity.LEERLING, "a", **LEERLING, bsn=synthetic_bsn(1), eck_id=ECK)
    put(bench, "s0", Entity.LEERLING, "b", **LEERLING, bsn=synthetic_bsn(1), eck_id=OTHER)
    bench.sync()
    assert bench.cases() == [("s0", "leerling", "b", "contradiction")]
    assert len(bench.query("SELECT id FROM leerling")) == 1


def test_a_linked_record_whose_new_key_contradicts_keeps_its_accepted_form(make: Make) -> None:
    bench = make(2)
    for name in bench.sources:
        put(bench, name, Entity.LEERLING, "a", **LEERLING, eck_id=ECK)
        bench.sync(name)
    changed = {**LEERLING, "roepnaam": "Ander"}
    put(bench, "s0", Entity.LEERLING, "a", **changed, eck_id=OTHER)
    bench.sync("s0")
    assert bench.cases() == [("s0", "leerling", "a", "contradiction")]
    assert bench.query("SELECT roepnaam FROM leerling") == [("Anna",)]
    bench.sync("s0")
    assert len(bench.cases()) == 1
    put(bench, "s0", Entity.LEERLING, "a", **changed, eck_id=ECK)
    bench.sync("s0")
    assert not bench.cases()
    assert bench.query("SELECT roepnaam FROM leerling") == [("Ander",)]


def test_a_key_that_a_record_no_longer_has_links_nobody(make: Make) -> None:
    bench = make(2)
    put(bench, "s0", Entity.LEERLING, "a", achternaam="Jansen", eck_id=ECK)
    bench.sync("s0")
    put(bench, "s0", Entity.LEERLING, "a", achternaam="Jansen", eck_id=None)
    bench.sync("s0")
    put(bench, "s1", Entity.LEERLING, "b", achternaam="Bakker", eck_id=ECK)
    bench.sync("s1")
    assert bench.core(Entity.LEERLING, "a") != bench.core(Entity.LEERLING, "b", "s1")


def test_who_looks_like_another_is_a_case_and_never_a_link(make: Make) -> None:
    bench = make(2)
    put(bench, "s0", Entity.LEERLING, "a", **LEERLING)
    put(bench, "s1", Entity.LEERLING, "b", **LEERLING)
    bench.sync("s0")
    for _ in range(2):
        bench.sync("s1")
        assert bench.cases() == [("s1", "leerling", "b", "score")]
        assert len(bench.query("SELECT id FROM leerling")) == 1
    detail = bench.query("SELECT detail FROM zaak")[0][0]
    assert f'"core_id":{bench.core(Entity.LEERLING, "a")}' in detail
    assert "Jansen" not in detail


@pytest.mark.parametrize(
    ("tables", "is_case"),
    [
        ({"case_at": 0.9}, True),  # nine tenths of the weight agree
        ({"case_at": 0.901}, False),
        ({"case_at": 0.9, "entities": {"leerling": {"case_at": 0.901}}}, False),
        ({"case_at": 0.901, "sources": {"s1": {"case_at": 0.9}}}, True),
        ({"case_at": 0.5, "sure_at": 0.5}, True),  # sure or not: a person answers
    ],
)
def test_from_the_threshold_on_it_is_a_case_and_below_it_is_new(
    make: Make, tables: dict[str, Any], *, is_case: bool
) -> None:
    bench = make(2)
    bench.policy(correlation=tables)
    here, there = ({"adres": {"straat": "Kade", "postcode": code}} for code in ("1234AB", "9999ZZ"))
    put(bench, "s0", Entity.LEERLING, "a", **LEERLING, **here)
    put(bench, "s1", Entity.LEERLING, "b", **LEERLING, **there)
    bench.sync("s0")
    bench.sync("s1")
    assert bench.cases() == ([("s1", "leerling", "b", "score")] if is_case else [])
    assert len(bench.query("SELECT id FROM leerling")) == (1 if is_case else 2)


def test_what_refers_to_a_disputed_record_waits_and_follows_it(make: Make) -> None:
    bench = make(2)
    put(bench, "s0", Entity.LEERLING, "a", **LEERLING)
    put(bench, "s1", Entity.LEERLING, "b", **LEERLING)
    put(bench, "s1", Entity.INSCHRIJVING, "i", leerling="b")
    bench.sync("s0")
    assert bench.sync("s1").waiting == 1
    put(bench, "s1", Entity.LEERLING, "b", **{**LEERLING, "achternaam": "Bakker"})
    bench.sync("s1")
    assert not bench.cases()
    rows = bench.query("SELECT leerling_id FROM inschrijving")
    assert rows == [(bench.core(Entity.LEERLING, "b", "s1"),)]


def test_pupils_within_one_source_are_not_compared_by_looks(make: Make) -> None:
    bench = make()
    for key in "ab":
        put(bench, "s0", Entity.LEERLING, key, **LEERLING)
    bench.sync()
    assert not bench.cases()
    assert len(bench.query("SELECT id FROM leerling")) == 2


# -- groups of one name ----------------------------------------------------------------------------


def test_two_groups_of_one_name_in_one_school_stay_two(make: Make) -> None:
    bench = make(2)
    vestigingen(bench)
    for key in ("g1", "g2"):
        put(bench, "s0", Entity.GROEP, key, **GROEP)
    bench.sync("s0")
    put(bench, "s1", Entity.GROEP, "h", **GROEP)
    bench.sync("s1")
    bench.settle()
    assert bench.core(Entity.GROEP, "g1") != bench.core(Entity.GROEP, "g2")
    assert bench.cases() == [("s1", "groep", "h", "match")]


def test_a_second_group_of_that_name_does_not_join_through_another_source(make: Make) -> None:
    bench = make(2)
    vestigingen(bench)
    put(bench, "s0", Entity.GROEP, "g1", **GROEP)
    put(bench, "s1", Entity.GROEP, "h", **GROEP)
    bench.sync("s0")
    bench.sync("s1")
    put(bench, "s0", Entity.GROEP, "g2", **GROEP)
    bench.sync("s0")
    assert bench.core(Entity.GROEP, "g1") == bench.core(Entity.GROEP, "h", "s1")
    assert bench.core(Entity.GROEP, "g1") != bench.core(Entity.GROEP, "g2")


def test_a_group_that_is_renamed_in_one_source_first_stays_linked(make: Make) -> None:
    bench = make(2)
    vestigingen(bench)
    for name in bench.sources:
        put(bench, name, Entity.GROEP, "g", **GROEP)
        bench.sync(name)
    put(bench, "s0", Entity.GROEP, "g", **{**GROEP, "naam": "1X"})
    bench.sync("s0")
    assert not bench.cases()
    assert bench.core(Entity.GROEP, "g") == bench.core(Entity.GROEP, "g", "s1")
    assert bench.query("SELECT naam FROM groep") == [("1X",)]


def test_a_group_whose_vestiging_arrives_late_is_matched_again(make: Make) -> None:
    bench = make(2)
    put(bench, "s0", Entity.VESTIGING, "v", naam="Haven", vestigingsnummer="99XX01")
    for name in bench.sources:
        put(bench, name, Entity.GROEP, "g", **GROEP)
        bench.sync(name)
    assert bench.core(Entity.GROEP, "g") != bench.core(Entity.GROEP, "g", "s1")
    put(bench, "s1", Entity.VESTIGING, "v", naam="Haven", vestigingsnummer="99XX01")
    bench.sync("s1")
    assert bench.core(Entity.GROEP, "g") == bench.core(Entity.GROEP, "g", "s1")
    assert len(bench.query("SELECT id FROM groep")) == 1


def test_a_group_is_not_matched_again_because_a_member_arrives(make: Make) -> None:
    """Nothing that it is known by is another; a namesake that came meanwhile is no doubt of it."""
    bench = make(2)
    vestigingen(bench)
    put(bench, "s0", Entity.GROEP, "g", **GROEP, leerlingen=["komt nog"])
    put(bench, "s1", Entity.GROEP, "h", **GROEP)
    bench.sync("s0")
    bench.sync("s1")
    put(bench, "s1", Entity.GROEP, "namesake", **GROEP)
    bench.sync("s1")
    put(bench, "s0", Entity.LEERLING, "komt nog", achternaam="Jansen")
    bench.sync("s0")
    assert bench.cases() == []
    member = bench.core(Entity.LEERLING, "komt nog")
    assert bench.query("SELECT groep_id, persoon_id FROM groepsdeelname") == [
        (bench.core(Entity.GROEP, "g"), member)
    ]


def test_a_record_is_not_matched_again_for_what_another_of_its_core_record_names(
    make: Make,
) -> None:
    """A vak that is gone, by the word of a person who refuses that it goes, waits for nothing."""
    bench = make(2)
    vak = {"code": "0022", "naam": "Wiskunde"}
    for name in bench.sources:
        put(bench, name, Entity.VAK, "old", **vak)
    put(bench, "s0", Entity.VAK, "new", **vak, vestiging="komt nog")
    put(bench, "s1", Entity.VAK, "new", **vak)
    bench.sync("s0")
    bench.sources["s0"].remove(Entity.VAK, "old")
    bench.sync("s0")
    bench.later()
    plan = bench.sync("s0", plan_only=True)
    assert plan.steps == {"vak.close": 1}
    bench.sync("s0", kind=RunKind.REFUSE, refused=plan.plan_id, operator="test", why="klopt niet")
    bench.sync("s1")
    put(bench, "s0", Entity.VESTIGING, "komt nog", naam="Haven")
    bench.sync("s0")
    assert [case for case in bench.cases() if "old" in case] == []


# -- merging ---------------------------------------------------------------------------------------


def bridged(make: Make) -> tuple[Bench, int, int]:
    """One pupil whom two sources know apart, with a group and a pin; then a key bridges them."""
    bench = make(2)
    put(bench, "s0", Entity.LEERLING, "a", achternaam="Jansen")
    put(bench, "s1", Entity.LEERLING, "b", achternaam="Jansen-Bakker", eck_id=ECK)
    put(bench, "s1", Entity.INSCHRIJVING, "i", leerling="b")
    put(bench, "s1", Entity.GROEP, "g", naam="1A", soort="stamgroep", leerlingen=["b"])
    bench.sync("s0")
    bench.sync("s1")
    older, younger = bench.core(Entity.LEERLING, "a"), bench.core(Entity.LEERLING, "b", "s1")
    assert older < younger
    person = {"entity": Entity.LEERLING, "reason": "test", "operator": "test"}
    pins.pin(bench.hub, younger, field="roepnaam", value="Pin", **person)  # type: ignore[arg-type] # keyword arguments from a dict
    bench.sync("s1")
    put(bench, "s0", Entity.LEERLING, "a", achternaam="Jansen", eck_id=ECK)
    bench.sync("s0")
    return bench, older, younger


def test_evidence_that_bridges_two_records_merges_them_into_the_older(make: Make) -> None:
    bench, older, younger = bridged(make)
    assert bench.query("SELECT id FROM leerling") == [(older,)]
    assert bench.query("SELECT core_id, survivor_id FROM alias") == [(younger, older)]
    assert bench.core(Entity.LEERLING, "b", "s1") == older
    assert not bench.cases()
    before = bench.query("SELECT * FROM leerling")
    bench.settle()
    assert bench.query("SELECT * FROM leerling") == before


def test_references_follow_a_merge_at_once(make: Make) -> None:
    bench, older, _ = bridged(make)
    assert bench.query("SELECT leerling_id FROM inschrijving") == [(older,)]
    members = bench.query("SELECT persoon_id, beeindigd FROM groepsdeelname")
    assert [(person, bool(ended)) for person, ended in members] == [(older, False)]


def test_pins_follow_a_merge(make: Make) -> None:
    bench, _, _ = bridged(make)
    assert bench.query("SELECT roepnaam FROM leerling") == [("Pin",)]
    bench.settle()
    assert bench.query("SELECT roepnaam FROM leerling") == [("Pin",)]


def test_identifiers_follow_a_merge(make: Make) -> None:
    bench, older, _ = bridged(make)
    assert bench.identifiers() == {(older, "eck_id", 0): ECK}


def test_a_bridge_between_two_persons_is_a_case(make: Make) -> None:
    bench = make(2)
    put(bench, "s0", Entity.LEERLING, "a", achternaam="Jansen", eck_id=ECK)
    put(bench, "s1", Entity.LEERLING, "b", achternaam="Bakker", eck_id=OTHER, bsn=synthetic_bsn(1))
    bench.sync("s0")
    bench.sync("s1")
    put(bench, "s0", Entity.LEERLING, "a", achternaam="Jansen", eck_id=ECK, bsn=synthetic_bsn(1))
    bench.sync("s0")
    assert bench.cases() == [("s0", "leerling", "a", "contradiction")]
    assert len(bench.query("SELECT id FROM leerling")) == 2


# -- persons decide --------------------------------------------------------------------------------


def decide(bench: Bench, kind: str, core_id: int | None) -> None:
    bench.query(
        "INSERT INTO decision (kind, koppeling_id, entity, source_key, core_id, operator, why, "
        "created_at) VALUES (?, 2, 'leerling', 'b', ?, 'test', 'test', '2026-10-05') RETURNING id",
        kind,
        core_id,
    )


@pytest.mark.parametrize(("kind", "cores"), [("link", 1), ("create", 2), ("ignore", 1)])
def test_a_decision_answers_before_any_score(make: Make, kind: str, cores: int) -> None:
    bench = make(2)
    put(bench, "s0", Entity.LEERLING, "a", **LEERLING)
    put(bench, "s1", Entity.LEERLING, "b", **LEERLING)
    bench.sync("s0")
    bench.sync("s1")
    core_id = bench.core(Entity.LEERLING, "a")
    decide(bench, kind, core_id if kind == "link" else None)
    for _ in range(2):
        bench.sync("s1")
        assert not bench.cases()
        assert len(bench.query("SELECT id FROM leerling")) == cores
    linked = bench.query("SELECT core_id FROM link WHERE koppeling_id = 2")
    assert bool(linked) == (kind != "ignore")
    assert (linked == [(core_id,)]) == (kind == "link")


@pytest.mark.parametrize(
    ("reaction", "cores", "cases"),
    [
        ({"unmatched": "ignore"}, 0, 0),
        ({"unmatched": "case"}, 0, 1),
        ({"unmatched": "create"}, 1, 0),
    ],
)
def test_policy_says_what_is_done_with_a_new_record(
    make: Make, reaction: dict[str, str], cores: int, cases: int
) -> None:
    bench = make()
    bench.policy(reactions=reaction)
    put(bench, "s0", Entity.LEERLING, "a", **LEERLING)
    bench.sync()
    bench.sync()
    assert len(bench.query("SELECT id FROM leerling")) == cores
    assert len(bench.cases()) == cases


def test_policy_may_ask_a_person_for_every_link(make: Make) -> None:
    bench = make(2)
    bench.policy(reactions={"unlinked": "case"})
    for name in bench.sources:
        put(bench, name, Entity.LEERLING, "a", **LEERLING, eck_id=ECK)
        bench.sync(name)
    assert bench.cases() == [("s1", "leerling", "a", "match")]
    assert not bench.query("SELECT * FROM link WHERE koppeling_id = 2")


# -- waiting ---------------------------------------------------------------------------------------


def test_while_a_change_waits_for_its_reference_the_accepted_form_goes_on(make: Make) -> None:
    bench = make()
    put(bench, "s0", Entity.LEERLING, "a", achternaam="Jansen")
    place = {"vestiging": "v", "leerjaar": 1}
    put(bench, "s0", Entity.INSCHRIJVING, "i", leerling="a", **place)
    bench.sync()
    put(bench, "s0", Entity.INSCHRIJVING, "i", leerling="komt nog", **place | {"leerjaar": 2})
    vestigingen(bench)
    assert bench.sync().waiting == 1
    found = bench.query("SELECT leerling_id, vestiging_id, leerjaar FROM inschrijving")
    vestiging = bench.core(Entity.VESTIGING, "v")
    assert found == [(bench.core(Entity.LEERLING, "a"), vestiging, 1)]
    put(bench, "s0", Entity.LEERLING, "komt nog", achternaam="Bakker")
    bench.sync()
    found = bench.query("SELECT leerling_id, vestiging_id, leerjaar FROM inschrijving")
    assert found == [(bench.core(Entity.LEERLING, "komt nog"), vestiging, 2)]


def test_a_group_that_is_made_anew_in_one_source_rejoins_through_another_only(make: Make) -> None:
    bench = make(2)
    vestigingen(bench)
    put(bench, "s0", Entity.GROEP, "alone", **{**GROEP, "naam": "1Z"})
    for name in bench.sources:
        put(bench, name, Entity.GROEP, "g1", **GROEP)
        bench.sync(name)
    for old, new, label in (("g1", "g2", "1A"), ("alone", "anew", "1Z")):
        bench.sources["s0"].remove(Entity.GROEP, old)
        put(bench, "s0", Entity.GROEP, new, **{**GROEP, "naam": label})
    bench.sync("s0", kind=RunKind.DELTA)
    assert bench.core(Entity.GROEP, "g2") == bench.core(Entity.GROEP, "g1", "s1")
    assert bench.core(Entity.GROEP, "anew") != bench.core(Entity.GROEP, "alone")
