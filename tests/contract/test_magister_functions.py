"""The fixed functions, for a school without our lists: what they give, and lack."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from connectors.base import Layer, Scope
from connectors.errors import (
    ConnectorError,
    RequestRefusedError,
)
from connectors.magister.connector import MagisterConnector
from fixtures.sandbox import faults
from fixtures.sandbox.faults import AnyFault
from fixtures.sandbox.magister import MagisterSandbox
from fixtures.school.plan import plan_school
from fixtures.school.school import School
from tests.contract.suite import keys, read
from tests.support.magister import PUPILS, TODAY, MagisterHarness, asked

STUDENTS = "function=GetActiveStudents"
STAFF = "function=GetActiveEmpoyees"


@pytest.fixture
def harness(magister: MagisterHarness) -> MagisterHarness:
    return magister


@pytest.fixture
def connector(harness: MagisterHarness) -> MagisterConnector:
    return harness.connect(mode="functions")


def students(key: str = "HUIDIG") -> Scope:
    return Scope("actieve_leerling", key, schooljaar=2027 if key == "VOLGEND" else 2026)


STAFF_SCOPE = Scope("actief_personeelslid", "SCHOOL")
GROUPS = Scope("lesgroep", "HUIDIG", schooljaar=2026)


def pupils_now(harness: MagisterHarness) -> set[str]:
    rows = harness.rows("presentis-leerlingen")
    return {row["stamnr"] for row in rows if row["lesperiode"] == "2627"}


def test_what_is_read_and_what_is_not_delivered(
    harness: MagisterHarness, connector: MagisterConnector
) -> None:
    scopes = connector.scopes(today=TODAY)
    assert [(s.resource, s.key) for s in scopes] == [
        ("vak", "FUNCTIES"),
        ("actief_personeelslid", "SCHOOL"),
        ("actieve_leerling", "HUIDIG"),
        ("lesgroep", "HUIDIG"),
    ]
    found = {}
    for scope in scopes:
        found[scope.resource], reading = harness.read_all(connector, scope)
        assert reading.completeness.complete, scope.resource
        assert found[scope.resource]
    assert set(found["actieve_leerling"]) <= pupils_now(harness)
    declared = connector.manifest.resource("actief_personeelslid").fields
    assert not any("mail" in name for name in declared)


def test_both_forms_give_the_same_records(harness: MagisterHarness) -> None:
    one, other = (harness.connect(mode="functions", format=form) for form in ("csv", "xml"))
    for scope in (students(), STAFF_SCOPE, GROUPS):
        assert harness.read_all(one, scope)[0] == harness.read_all(other, scope)[0]


def test_members_and_teachers_are_those_of_the_administration(
    harness: MagisterHarness, connector: MagisterConnector
) -> None:
    groups, _ = harness.read_all(connector, GROUPS)
    numbers = {row["leer_id"]: row["stamnr"] for row in harness.rows("presentis-leerlingen")}
    staff = {row["pers_id"]: row["stamnr"] for row in harness.rows("presentis-medewerkers")}
    active = set(harness.read_all(connector, students())[0])
    members: dict[str, set[str]] = {}
    for row in harness.rows("presentis-groepsleden"):
        number, today = numbers[row["leer_id"]], harness.sandbox.school.today.isoformat()
        if number in active and row["begindatum"] <= today <= row["einddatum"]:
            members.setdefault(row["groep_id"], set()).add(number)
    teachers: dict[str, set[str]] = {}
    for row in harness.rows("presentis-docentgroepen"):
        if row["pers_id"] in staff:  # who teaches here may be on no list of this school
            teachers.setdefault(row["groep_id"], set()).add(staff[row["pers_id"]])
    names = [body["groep"] for body in groups.values()]
    for key, body in groups.items():
        assert set(body["leden"]) == members[key]
        if names.count(body["groep"]) == 1:
            assert set(body["docenten"]) == teachers[key]


def test_a_call_for_each_person_and_no_more(
    harness: MagisterHarness, connector: MagisterConnector
) -> None:
    for scope in connector.scopes(today=TODAY):
        read(connector.snapshot(scope))
    names = asked(harness.sandbox)
    active = len(harness.read_all(connector, students())[0])
    staff = len(harness.rows("presentis-medewerkers"))
    assert names.count("GetLeerlingGroepen") == active
    assert names.count("GetPersoneelGroepVakken") == staff
    assert names.count("GetPersoneelKlasVakken") == staff
    assert names.count("Login") == 1


def test_the_pace_of_five_a_second_is_kept(harness: MagisterHarness) -> None:
    connector = harness.connect(mode="functions", per_second="5")
    before = harness.clock.slept
    read(connector.snapshot(GROUPS))
    calls = len(harness.sandbox.calls)
    assert (harness.clock.slept - before).total_seconds() >= (calls - 6) / 5


def test_next_year_is_asked_from_may_on_and_may_be_empty(harness: MagisterHarness) -> None:
    harness.sandbox.administration.next_year = False
    connector = harness.connect(mode="functions", resources=("actieve_leerling",))
    assert [s.key for s in connector.scopes(today=date(2027, 4, 30))] == ["HUIDIG"]
    assert [s.key for s in connector.scopes(today=date(2027, 5, 1))] == ["HUIDIG", "VOLGEND"]
    reading = connector.snapshot(students("VOLGEND"))
    assert keys(read(reading)) == []
    assert reading.completeness.complete
    assert harness.sandbox.calls[-1].lesperiode == "2728"


def test_the_current_period_is_asked_without_a_code(
    harness: MagisterHarness, connector: MagisterConnector
) -> None:
    read(connector.snapshot(students()))
    assert harness.sandbox.calls[-1].lesperiode == ""
    named = harness.connect(mode="functions", lesperiode="2627")
    read(named.snapshot(students()))
    assert harness.sandbox.calls[-1].lesperiode == "2627"


@pytest.mark.parametrize(
    ("scope", "query"), [(students(), STUDENTS), (STAFF_SCOPE, STAFF)], ids=["students", "staff"]
)
def test_zero_rows_are_never_all_left(
    harness: MagisterHarness, connector: MagisterConnector, scope: Scope, query: str
) -> None:
    harness.arm(faults.ZeroRows(), query)
    reading = connector.snapshot(scope)
    assert keys(read(reading)) == []
    assert not reading.completeness.complete
    assert reading.completeness.advice


@pytest.mark.parametrize("function", ["GetLeerlingGroepen", "GetPersoneelGroepVakken"])
def test_in_summer_no_group_is_closed(
    harness: MagisterHarness, connector: MagisterConnector, function: str
) -> None:
    harness.arm(faults.ZeroRows(count=None), f"function={function}")
    resource = "lesgroep" if function == "GetLeerlingGroepen" else "vak"
    reading = connector.snapshot(GROUPS if resource == "lesgroep" else Scope("vak", "FUNCTIES"))
    assert keys(read(reading)) == []
    assert not reading.completeness.complete
    assert "zomer" in reading.completeness.advice


def test_staff_that_comes_twice_is_one_with_both_functions(
    harness: MagisterHarness, connector: MagisterConnector
) -> None:
    second = {"Code": "_XX", "Functie.Omschr": "Zorgcoördinator", "Loginaccount.Naam": "tweede"}
    before, _ = harness.read_all(connector, STAFF_SCOPE)
    harness.arm(faults.RepeatedRow(at=0, change=second), STAFF)
    after, reading = harness.read_all(connector, STAFF_SCOPE)
    assert before.keys() == after.keys()
    changed = [key for key in before if before[key] != after[key]]
    assert len(changed) == 1
    assert after[changed[0]]["code"] == before[changed[0]]["code"]
    assert "Zorgcoördinator" in after[changed[0]]["functie.omschr"]
    assert reading.completeness.complete


def test_the_well_spelled_name_is_the_second_try() -> None:
    with MagisterSandbox(School(plan_school(PUPILS)), newer_names=True) as sandbox:
        harness = MagisterHarness(sandbox)
        connector = harness.connect(mode="functions")
        assert keys(read(connector.snapshot(STAFF_SCOPE)))
        assert asked(sandbox)[-2:] == ["GetActiveEmpoyees", "GetActiveEmployees"]
        assert [r for r in connector.check() if not r.ok] == []
        connector.close()


def test_a_right_that_lacks_is_not_tried_under_another_name(
    harness: MagisterHarness, connector: MagisterConnector
) -> None:
    harness.sandbox.magister.deny("GetActiveEmpoyees")
    with pytest.raises(RequestRefusedError) as caught:
        read(connector.snapshot(STAFF_SCOPE))
    assert "ADFuncties.GetActiveEmpoyees" in caught.value.advice
    assert "GetActiveEmployees" not in asked(harness.sandbox)


@pytest.mark.parametrize(
    ("fault", "query"),
    [
        (faults.NoRight(), "function=GetLeerlingGroepen"),
        (faults.ServerError(count=None), "function=GetPersoneelKlasVakken"),
        (faults.HtmlPage(), "function=GetLeerlingGroepen"),
    ],
)
def test_one_person_that_cannot_be_asked_ends_the_groups(
    harness: MagisterHarness, connector: MagisterConnector, fault: AnyFault, query: str
) -> None:
    harness.arm(msgspec.structs.replace(fault, after=3), query)
    reading = connector.snapshot(GROUPS)
    with pytest.raises(ConnectorError):
        read(reading)
    assert not reading.completeness.complete


def test_a_location_has_a_key_where_the_setting_gives_its_name_one(
    harness: MagisterHarness,
) -> None:
    name = harness.rows("presentis-vestigingen")[0]["omschrijving"]
    connector = harness.connect(mode="functions", locaties=f"{name}=99XX01")
    scope = next(s for s in connector.scopes(today=TODAY) if s.resource == "vestiging")
    locations, reading = harness.read_all(connector, scope)
    assert locations["99XX01"]["omschrijving"] == name
    assert reading.completeness.complete
    pupils, reading = harness.read_all(connector, students())
    known = {p.get("locatie_id") for p in pupils.values()}
    assert known == {"99XX01", None}
    assert reading.contract.delivers("locatie_id")


@pytest.mark.parametrize(
    ("name", "layer"),
    [("getactivestudents", Layer.RIGHTS), ("getpersoneelklasvakken", Layer.RIGHTS)],
)
def test_check_names_the_function_that_is_not_allowed(
    harness: MagisterHarness, connector: MagisterConnector, name: str, layer: Layer
) -> None:
    assert [r for r in connector.check() if not r.ok] == []
    harness.sandbox.magister.deny(name)
    (failed,) = (r for r in connector.check() if not r.ok)
    assert failed.layer is layer
    assert name in failed.advice.lower()


def test_filters_hold_for_the_functions_too(harness: MagisterHarness) -> None:
    connector = harness.connect(mode="functions", klas_wel="P.*")
    pupils, _ = harness.read_all(connector, students())
    assert pupils
    assert all(body["klas"].startswith("P") for body in pupils.values())
    groups, _ = harness.read_all(connector, GROUPS)
    assert {n for body in groups.values() for n in body["leden"]} <= set(pupils)
